import { InputError } from '../../bundle/errors.ts'
import { say } from '../../bundle/plain.ts'

/** Bytes of a picture by rows: RGBA as ImageData has them; also RGB and grey. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray
  readonly width: number
  readonly height: number
}

/**
 * A source of pixels: a canvas (of the page or OffscreenCanvas), an image, a video, a VideoFrame, an ImageBitmap, ImageData, or bytes
 * with width and height.
 */
export type PixelSource = Pixels | { readonly width: number; readonly height: number } | {
  readonly displayWidth: number
  readonly displayHeight: number
}

/** A rectangle of a picture, in its pixels. */
export interface Rectangle {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** A picture whose bytes were not read yet. */
export interface Readable {
  readonly width: number
  readonly height: number
  /**
   * Pixels of a rectangle, and where in them it lies: they may be more, and they may be fewer where the rectangle is to become at most `most` pixels wide and
   * high, since what draws shrinks large pictures faster than this does.
   */
  read(
    rectangle: Rectangle,
    most: { readonly width: number; readonly height: number },
  ): { readonly pixels: Pixels; readonly rectangle: Rectangle }
}

/** Throws InputError for what shows no pixels, or none yet; it says what to wait for. */
export function readable(source: unknown): Readable {
  if (typeof source !== 'object' || source === null)
    throw new InputError(`fromPixels takes a canvas, image, video, ImageBitmap or ImageData, not ${say(source)}`)
  if (isPixels(source)) return pixels(source)
  return drawable(source as Drawn)
}

const isPixels = (source: object): source is Pixels =>
  ArrayBuffer.isView((source as Partial<Pixels>).data) || ('data' in source && 'width' in source)

const kindOf = (value: unknown): string => (ArrayBuffer.isView(value) ? value.constructor.name : say(value))

function pixels(source: Pixels & { readonly colorSpace?: string }): Readable {
  const { data, width, height, colorSpace } = source
  if (!(Number.isSafeInteger(width) && width > 0 && Number.isSafeInteger(height) && height > 0))
    throw new InputError(`fromPixels: a picture is at least one pixel wide and high, this one is ${say(width)} x ${say(height)}`)
  // A canvas turns a wide gamut, or 16-bit floats, to bytes of sRGB.
  if (colorSpace !== undefined && (colorSpace !== 'srgb' || kindOf(data) === 'Float16Array')) {
    const canvas = newCanvas(width, height)
    contextOf(canvas).putImageData(source as ImageData, 0, 0)
    return drawable(canvas as unknown as Drawn)
  }
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray))
    throw new InputError(`fromPixels: data is a Uint8Array or Uint8ClampedArray, not ${kindOf(data)}`)
  if (![4, 3, 1].some((channels) => data.length === width * height * channels)) {
    throw new InputError(
      `fromPixels: ${width} x ${height} pixels are ${width * height * 4} bytes as RGBA (${width * height * 3} as RGB, ${
        width * height
      } as grey), here are ${data.length}`,
    )
  }
  return { width, height, read: (rectangle) => ({ pixels: source, rectangle }) }
}

/** The properties, of things that a canvas can draw, that are read here. */
interface Drawn {
  readonly width?: unknown
  readonly height?: unknown
  readonly displayWidth?: number
  readonly displayHeight?: number
  readonly naturalWidth?: number
  readonly naturalHeight?: number
  readonly complete?: boolean
  readonly videoWidth?: number
  readonly videoHeight?: number
  readonly readyState?: number
}

function sizeOf(source: Drawn): { width: number; height: number } {
  const refuse = (why: string): never => {
    throw new InputError(`fromPixels: ${why}`)
  }
  if (source.videoWidth !== undefined) {
    // HAVE_CURRENT_DATA: there is a picture to show.
    if (source.readyState! < 2 || source.videoWidth === 0)
      refuse("this video shows no picture yet: wait for its 'loadeddata' event, or call it from requestVideoFrameCallback")
    return { width: source.videoWidth, height: source.videoHeight! }
  }
  if (source.naturalWidth !== undefined) {
    if (!source.complete) refuse('this image is not loaded yet: await image.decode() first')
    if (source.naturalWidth === 0) refuse('this image could not be loaded, or is an SVG without width and height')
    return { width: source.naturalWidth, height: source.naturalHeight! }
  }
  if (source.displayWidth !== undefined) {
    if (source.displayWidth === 0) refuse('this VideoFrame was closed')
    return { width: source.displayWidth, height: source.displayHeight! }
  }
  if (source instanceof Blob) return refuse('a file is not decoded yet: fromPixels(await createImageBitmap(file))')
  const { width, height } = source
  if (typeof width !== 'number' || typeof height !== 'number')
    return refuse(`a canvas, image, video, ImageBitmap or ImageData is wanted, not ${say(source)}`)
  if (!(width > 0 && height > 0))
    refuse(`a picture is at least one pixel wide and high, this one is ${width} x ${height}${'close' in source ? ': it was closed' : ''}`)
  return { width, height }
}

/** A picture is halved by drawing while it has more pixels than this, and is that much larger than what is made of it. */
const HALVED_FROM = 2 ** 19

function drawable(source: Drawn): Readable {
  const { width, height } = sizeOf(source)
  return {
    width,
    height,
    read(rectangle, most) {
      const x = Math.max(0, Math.floor(rectangle.x))
      const y = Math.max(0, Math.floor(rectangle.y))
      let [w, h] = [
        Math.min(width, Math.ceil(rectangle.x + rectangle.width)) - x,
        Math.min(height, Math.ceil(rectangle.y + rectangle.height)) - y,
      ]
      const full = { w, h }
      let drawn: unknown = source
      let from = { x, y, width: w, height: h }
      // By exactly one half, each pixel is the mean of four in every browser.
      while (w * h > HALVED_FROM && w >= 4 * most.width && h >= 4 * most.height) {
        const even = { ...from, width: w - (w % 2), height: h - (h % 2) }
        const half = newCanvas(even.width / 2, even.height / 2)
        draw(half, drawn, even)
        ;[w, h] = [even.width / 2, even.height / 2]
        drawn = half
        from = { x: 0, y: 0, width: w, height: h }
      }
      const scale = { x: w / full.w, y: h / full.h }
      return {
        pixels: taken(drawn, from),
        rectangle: {
          x: (rectangle.x - x) * scale.x,
          y: (rectangle.y - y) * scale.y,
          width: rectangle.width * scale.x,
          height: rectangle.height * scale.y,
        },
      }
    },
  }
}

type Canvas = OffscreenCanvas | HTMLCanvasElement
type Context = OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D

/** Used again and again: a camera asks thirty times a second. */
let kept: Canvas | undefined
/** Larger ones are let go. */
const KEPT_PIXELS = 2 ** 21

/** Draws and reads back. */
function taken(source: unknown, from: Rectangle): Pixels {
  const canvas = kept ?? newCanvas(from.width, from.height)
  kept = undefined
  if (canvas.width < from.width || canvas.height < from.height) {
    canvas.width = Math.max(canvas.width, from.width)
    canvas.height = Math.max(canvas.height, from.height)
  }
  const context = contextOf(canvas)
  context.clearRect(0, 0, from.width, from.height)
  draw(canvas, source, from, from)
  let pixels: ImageData
  try {
    pixels = context.getImageData(0, 0, from.width, from.height)
  } catch (error) {
    throw new InputError(
      `fromPixels: the page may not read this picture (${
        (error as Error).message
      }): it comes from another origin, so load it with crossOrigin = 'anonymous', from a server that allows it (CORS)`,
    )
  }
  // One that may not be read is not used again.
  if (canvas.width * canvas.height <= KEPT_PIXELS) kept = canvas
  return pixels
}

function draw(canvas: Canvas, source: unknown, from: Rectangle, to: { readonly width: number; readonly height: number } = canvas): void {
  try {
    contextOf(canvas).drawImage(source as CanvasImageSource, from.x, from.y, from.width, from.height, 0, 0, to.width, to.height)
  } catch (error) {
    throw new InputError(
      `fromPixels: a canvas, image, video, ImageBitmap or ImageData is wanted; this cannot be drawn: ${(error as Error).message}`,
    )
  }
}

function newCanvas(width: number, height: number): Canvas {
  if (typeof OffscreenCanvas !== 'undefined') return new OffscreenCanvas(width, height)
  if (typeof document === 'undefined')
    throw new InputError('fromPixels: there is no canvas here to draw it on: hand in the bytes, { data, width, height }')
  return Object.assign(document.createElement('canvas'), { width, height })
}

function contextOf(canvas: Canvas): Context {
  const context = (canvas as OffscreenCanvas).getContext('2d', { willReadFrequently: true })
  if (!context) throw new InputError('fromPixels: this browser gives no 2D context of a canvas')
  return context
}
