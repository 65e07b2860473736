import { InputError } from '../../bundle/errors.ts'
import { checkOptions, flag, oneOf, type Rule } from '../../bundle/options.ts'
import { say } from '../../bundle/plain.ts'
import { showShape } from '../../bundle/sizes.ts'
import { type Pixels, type PixelSource, readable, type Rectangle } from './source.ts'
import { resample, tapsOf } from './resample.ts'

export interface PixelOptions {
  /**
   * The shape that the net takes: `[channels, height, width]`, optionally with 'n' in front as in `net.manifest.inputs`. One channel is
   * grey, three are red, green and blue, four have alpha. Default: three channels of the source's own size.
   */
  readonly shape?: readonly (number | 'n')[]
  /** The channels and their order. Default by the shape. `alpha`: the opacity, for a drawing on a canvas without background. */
  readonly channels?: 'rgb' | 'bgr' | 'grey' | 'alpha' | 'rgba' | 'bgra'
  /** `hwc`: channels last, for nets that were trained so; `shape` is then [height, width, channels]. Default `chw`. */
  readonly layout?: 'chw' | 'hwc'
  /**
   * The way to fit a source of other proportions: `cover` (the default, and what the command does) crops to the middle, `contain` leaves
   * a border of `background`, `fill` distorts.
   */
  readonly fit?: 'cover' | 'contain' | 'fill'
  /** The part of the source that is looked at, in its pixels. Default: all of it. */
  readonly crop?: Rectangle
  /** Left and right exchanged: what a camera at the user's side shows. Default false. */
  readonly mirror?: boolean
  /** The color under transparent pixels and of borders: red, green and blue from 0 to 255. Default white. */
  readonly background?: readonly [number, number, number]
  /** Light and dark exchanged, for nets that were trained with light strokes on dark ground. Default false. */
  readonly invert?: boolean
  /** The numbers for black and white. Default [0, 1], as the command reads pictures. */
  readonly range?: readonly [number, number]
  /**
   * The mean that is subtracted from each channel, and the deviation that it is then divided by: one number, or one a channel in the
   * order of the result.
   */
  readonly mean?: number | readonly number[]
  readonly std?: number | readonly number[]
  /** Written here, from its beginning on, instead of into a new array. */
  readonly into?: Float32Array
}

const isList = (v: unknown, length?: number): v is readonly number[] =>
  Array.isArray(v) && (length === undefined || v.length === length) && v.every((each) => Number.isFinite(each))
const AMOUNTS: Rule = [(v) => Number.isFinite(v) || isList(v), 'a number, or one a channel']
const RULES: Readonly<Record<keyof PixelOptions, Rule>> = {
  shape: [
    (v) => Array.isArray(v) && v.every((dim, i) => (Number.isSafeInteger(dim) && dim > 0) || (i === 0 && dim === 'n')),
    '[channels, height, width]',
  ],
  channels: oneOf('rgb', 'bgr', 'grey', 'alpha', 'rgba', 'bgra'),
  layout: oneOf('chw', 'hwc'),
  fit: oneOf('cover', 'contain', 'fill'),
  crop: [(v) => isRectangle(v), '{ x, y, width, height } in pixels of the source'],
  mirror: flag,
  background: [(v) => isList(v, 3) && v.every((c) => c >= 0 && c <= 255), '[red, green, blue] from 0 to 255'],
  invert: flag,
  range: [(v) => isList(v, 2), '[black, white]'],
  mean: AMOUNTS,
  std: [(v) => AMOUNTS[0](v) && ![v].flat().includes(0), 'a number that is not 0, or one a channel'],
  into: [(v) => v instanceof Float32Array, 'a Float32Array'],
}

const isRectangle = (v: unknown): boolean => {
  const { x, y, width, height } = (v ?? {}) as Partial<Rectangle>
  return [x, y, width, height].every(Number.isFinite) && x! >= 0 && y! >= 0 && width! > 0 && height! > 0
}

type Channels = NonNullable<PixelOptions['channels']>
const COUNT: Readonly<Record<Channels, number>> = { grey: 1, alpha: 1, rgb: 3, bgr: 3, rgba: 4, bgra: 4 }

/**
 * Pixels as the numbers that a net takes: [channels, height, width], 0..1, of sRGB values; of a list of sources one after another, as a batch
 * has them. Without `channels`, `range` and so on it gives what the command reads of a file with the same picture: its middle, scaled by
 * the same cubic, transparency on white, grey by ITU-R BT.601. Throws InputError for what shows no pixels (yet), may not be read, or does
 * not fit the options.
 */
export function fromPixels(source: PixelSource | readonly PixelSource[], options: PixelOptions = {}): Float32Array {
  const checked = checkOptions('fromPixels', options, RULES)
  const sources = Array.isArray(source) ? source as readonly PixelSource[] : [source as PixelSource]
  if (sources.length === 0) throw new InputError('fromPixels: here is a list without pictures')
  const read = sources.map(readable)
  const targets = read.map(({ width, height }) => targetOf(checked, width, height))
  const [target] = targets as [Target]
  const other = targets.find(({ width, height }) => width !== target.width || height !== target.height)
  if (other)
    throw new InputError(
      `fromPixels: these pictures differ in size (${target.width} x ${target.height}, ${other.width} x ${other.height}): say the shape that all of them get`,
    )
  const size = target.count * target.height * target.width
  const into = checked.into ?? new Float32Array(size * read.length)
  if (into.length < size * read.length)
    throw new InputError(
      `fromPixels: ${read.length > 1 ? `${read.length} times ` : ''}${showShape([target.count, target.height, target.width])} is ${
        size * read.length
      } numbers, into has ${into.length}`,
    )
  read.forEach((picture, i) => write(picture, target, checked, into.subarray(i * size, (i + 1) * size)))
  return into
}

interface Target {
  readonly channels: Channels
  readonly count: number
  readonly height: number
  readonly width: number
}

function targetOf({ shape, channels, layout, crop }: PixelOptions, ownWidth: number, ownHeight: number): Target {
  const own = crop ?? { width: ownWidth, height: ownHeight }
  const dims = (shape?.[0] === 'n' ? shape.slice(1) : shape ?? []) as number[]
  if (shape && dims.length !== 3 && dims.length !== 2)
    throw new InputError(
      `fromPixels: a picture is ${layout === 'hwc' ? '[height, width, channels]' : '[channels, height, width]'}, not ${showShape(shape)}`,
    )
  const [count, height, width] = dims.length === 2 ? [1, ...dims] as [number, number, number]
    : dims.length === 0 ? [COUNT[channels ?? 'rgb'], Math.round(own.height), Math.round(own.width)]
    : layout === 'hwc' ? [dims[2]!, dims[0]!, dims[1]!] : dims as [number, number, number]
  const chosen = channels ?? ({ 1: 'grey', 3: 'rgb', 4: 'rgba' } as const)[count]
  if (!chosen)
    throw new InputError(
      `fromPixels: pixels have 1, 3 or 4 channels, not ${count}${
        layout !== 'hwc' && [1, 3, 4].includes(width) ? ` (is it the order height, width, channels? then layout: 'hwc')` : ''
      }`,
    )
  if (COUNT[chosen] !== count)
    throw new InputError(
      `fromPixels: ${chosen} is ${COUNT[chosen]} channel${COUNT[chosen] > 1 ? 's' : ''}, ${showShape(shape!)} has ${count}`,
    )
  return { channels: chosen, count, height: Math.max(1, height), width: Math.max(1, width) }
}

function write(picture: ReturnType<typeof readable>, target: Target, options: PixelOptions, into: Float32Array): void {
  const { crop = { x: 0, y: 0, width: picture.width, height: picture.height }, fit = 'cover', background = [255, 255, 255] } = options
  if (crop.x + crop.width > picture.width + 1e-6 || crop.y + crop.height > picture.height + 1e-6)
    throw new InputError(
      `fromPixels: crop ${crop.width} x ${crop.height} at ${crop.x}, ${crop.y} reaches beyond the picture, which is ${picture.width} x ${picture.height}`,
    )
  const { width, height } = target
  const [wide, high] = [crop.width / width, crop.height / height]
  const cut = fit === 'cover' ? Math.min(wide, high) : undefined
  const wanted: Rectangle = cut === undefined ? crop
    : { x: crop.x + (crop.width - cut * width) / 2, y: crop.y + (crop.height - cut * height) / 2, width: cut * width, height: cut * height }
  const shrunk = Math.max(wide, high)
  const inner = fit === 'contain'
    ? { width: Math.max(1, Math.round(crop.width / shrunk)), height: Math.max(1, Math.round(crop.height / shrunk)) } : { width, height }
  const { pixels, rectangle } = picture.read(wanted, inner)
  const across = tapsOf(inner.width, rectangle.x, rectangle.width, pixels.width)
  const down = tapsOf(inner.height, rectangle.y, rectangle.height, pixels.height)
  const same = pixels.width === width && pixels.height === height && rectangle.x === 0 && rectangle.y === 0 && rectangle.width === width &&
    rectangle.height === height
  const [left, top] = [Math.floor((width - inner.width) / 2), Math.floor((height - inner.height) / 2)]
  const { range: [black, white] = [0, 1], mean, std } = options
  planesOf(pixels, target.channels, background).forEach(({ plane, border }, c) => {
    const scaled = same ? plane : resample(plane, pixels.width, across, down)
    const [shift, divide] = [valueOf('mean', mean, 0, c, target.count), valueOf('std', std, 1, c, target.count)]
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const [v, u] = [y - top, (options.mirror ? width - 1 - x : x) - left]
        const inside = v >= 0 && v < inner.height && u >= 0 && u < inner.width
        // Bytes, as files have them: a cubic reaches beyond black and white at edges.
        const byte = Math.min(255, Math.max(0, Math.round(inside ? scaled[v * inner.width + u]! : border)))
        const value = black + (white - black) * (options.invert && c < 3 ? 255 - byte : byte) / 255
        into[options.layout === 'hwc' ? (y * width + x) * target.count + c : (c * height + y) * width + x] = (value - shift) / divide
      }
    }
  })
}

function valueOf(name: string, given: number | readonly number[] | undefined, otherwise: number, channel: number, count: number): number {
  if (given === undefined || typeof given === 'number') return given ?? otherwise
  if (given.length !== count)
    throw new InputError(
      `fromPixels: ${name} has ${given.length} numbers, the picture ${count} channel${count > 1 ? 's' : ''}: ${say(given)}`,
    )
  return given[channel]!
}

/** Red, green, blue to luma by ITU-R BT.601 in 16 bits, rounded, as PIL has it: as the command reads pictures. */
const grey = (r: number, g: number, b: number): number =>
  (19595 * Math.round(r) + 38470 * Math.round(g) + 7471 * Math.round(b) + 32768) >> 16

/** Channels in the order of the result, 0..255, and what stands beside the picture. Alpha and what is under it stay apart where alpha is asked for. */
function planesOf(
  { data, width, height }: Pixels,
  channels: Channels,
  background: readonly number[],
): { plane: Float32Array; border: number }[] {
  const count = width * height
  const step = data.length / count
  const planes = Array.from({ length: COUNT[channels] }, () => new Float32Array(count))
  const opaque = channels === 'rgba' || channels === 'bgra'
  const first = channels.startsWith('b') ? 2 : 0
  for (let i = 0, at = 0; i < count; i++, at += step) {
    const alpha = step === 4 ? data[at + 3]! : 255
    if (channels === 'alpha') {
      planes[0]![i] = alpha
      continue
    }
    const over = (k: number): number => {
      const value = data[step === 1 ? at : at + k]!
      return alpha === 255 || opaque ? value : (value * alpha + background[k]! * (255 - alpha)) / 255
    }
    if (channels === 'grey') planes[0]![i] = step === 1 ? data[at]! : grey(over(0), over(1), over(2))
    else {
      planes[0]![i] = over(first)
      planes[1]![i] = over(1)
      planes[2]![i] = over(2 - first)
      if (opaque) planes[3]![i] = alpha
    }
  }
  const [r, g, b] = background as [number, number, number]
  const borders = channels === 'alpha' ? [0]
    : channels === 'grey' ? [grey(r, g, b)] : [...(first === 0 ? [r, g, b] : [b, g, r]), ...(opaque ? [0] : [])]
  return planes.map((plane, i) => ({ plane, border: borders[i]! }))
}
