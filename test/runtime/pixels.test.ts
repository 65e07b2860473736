import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodePicture } from '../../runtime/data/node/sharp.ts'
import { fromPixels, InputError, type PixelOptions } from '../../runtime/index.ts'

/** A picture of bytes by (x, y, channel). */
const picture = (width: number, height: number, of: (x: number, y: number, c: number) => number, channels = 4) => ({
  width,
  height,
  data: Uint8ClampedArray.from(
    { length: width * height * channels },
    (_, i) => of(Math.floor(i / channels) % width, Math.floor(i / channels / width), i % channels),
  ),
})
const plain = (r: number, g: number, b: number, a = 255) => picture(2, 2, (_, __, c) => [r, g, b, a][c]!)
const bytes = (numbers: Float32Array) => [...numbers].map((v) => Math.round(v * 255))

describe('fromPixels', () => {
  test('channels first, 0..1, red green blue', () => {
    const found = fromPixels(picture(3, 2, (x, y, c) => [10 * x, 100 * y, 7, 255][c]!))
    expect(bytes(found)).toEqual([0, 10, 20, 0, 10, 20, 0, 0, 0, 100, 100, 100, 7, 7, 7, 7, 7, 7])
    expect(found[1]).toBe(Math.fround(10 / 255))
  })

  test.each([
    ['bgr', { channels: 'bgr' }, [30, 30, 30, 30, 20, 20, 20, 20, 10, 10, 10, 10]],
    ['channels last', { layout: 'hwc', shape: [2, 2, 3] }, [10, 20, 30, 10, 20, 30, 10, 20, 30, 10, 20, 30]],
    ['with alpha', { channels: 'rgba' }, [10, 10, 10, 10, 20, 20, 20, 20, 30, 30, 30, 30, 255, 255, 255, 255]],
    // BT.601: 0.299 * 10 + 0.587 * 20 + 0.114 * 30 = 18.15.
    ['grey by the shape, with the batch in front', { shape: ['n', 1, 2, 2] }, [18, 18, 18, 18]],
    ['grey, inverted', { shape: [2, 2], invert: true }, [237, 237, 237, 237]],
    ['alpha', { channels: 'alpha' }, [255, 255, 255, 255]],
  ] as [string, PixelOptions, number[]][])('%s', (_, options, want) => {
    expect(bytes(fromPixels(plain(10, 20, 30), options))).toEqual(want)
  })

  test('pure green is 150, as PIL and OpenCV have it', () => {
    expect(bytes(fromPixels(plain(0, 255, 0), { channels: 'grey' }))[0]).toBe(150)
  })

  test('transparency lies on white, or on what is said', () => {
    // 51 / 255 = 1/5 of 200, 4/5 of the ground.
    expect(bytes(fromPixels(plain(200, 200, 200, 51), { channels: 'grey' }))[0]).toBe(244)
    expect(bytes(fromPixels(plain(200, 200, 200, 51), { channels: 'grey', background: [0, 0, 0] }))[0]).toBe(40)
    expect(bytes(fromPixels(plain(200, 200, 200, 51), { channels: 'alpha' }))[0]).toBe(51)
  })

  test('range, mean and std', () => {
    const [r, , , , g] = fromPixels(plain(255, 51, 0), { mean: [0.5, 0.1, 0], std: [0.25, 0.5, 1] })
    expect(r).toBeCloseTo((1 - 0.5) / 0.25, 6)
    expect(g).toBeCloseTo((0.2 - 0.1) / 0.5, 6)
    expect(fromPixels(plain(255, 51, 0), { range: [-1, 1] })[4]).toBeCloseTo(-0.6, 6)
    expect(fromPixels(plain(255, 51, 0), { range: [0, 255] })[4]).toBe(51)
  })

  test('half the size: the weights of a cubic, by hand', () => {
    // Keys' kernel at 0.25, 0.75, 1.25, 1.75: twice as wide, the pixels of a line lie there on either side of a middle.
    const w = [0.8671875, 0.2265625, -0.0703125, -0.0234375] as const
    const sum = 2 * (w[0] + w[1] + w[2] + w[3])
    // Its only light pixel, at 5.5, lies 0.5 behind the middle of output 2, and 1.5 in front of that of output 3.
    const line = picture(12, 1, (x, _, c) => (c === 3 || x === 5 ? 255 : 0))
    const found = fromPixels(line, { shape: [1, 1, 6], fit: 'fill', range: [0, 255] })
    expect([...found]).toEqual([0, 0, Math.round(255 * w[0] / sum), Math.round(255 * w[1] / sum), 0, 0])
  })

  test('cover cuts the middle, contain leaves a border, fill distorts, crop and mirror', () => {
    // Red, green, blue columns of two pixels.
    const columns = picture(6, 2, (x, _, c) => (c === 3 ? 255 : Math.floor(x / 2) === c ? 255 : 0))
    expect(bytes(fromPixels(columns, { shape: [3, 2, 2] }))).toEqual([0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0])
    expect(bytes(fromPixels(columns, { shape: [3, 2, 2], crop: { x: 0, y: 0, width: 2, height: 2 } }).subarray(0, 4))).toEqual([
      255,
      255,
      255,
      255,
    ])
    expect(bytes(fromPixels(columns, { mirror: true }).subarray(0, 6))).toEqual([0, 0, 0, 0, 255, 255])
    const boxed = bytes(fromPixels(columns, { shape: [3, 6, 6], fit: 'contain', background: [1, 2, 3] }))
    expect(boxed.slice(0, 6)).toEqual([1, 1, 1, 1, 1, 1])
    expect(boxed.slice(12, 18)).toEqual([255, 255, 0, 0, 0, 0])
    expect(boxed.slice(72, 78)).toEqual([3, 3, 3, 3, 3, 3])
    expect(bytes(fromPixels(columns, { shape: [3, 2, 3], fit: 'fill' })).map((v) => v > 200)).toEqual([
      true,
      false,
      false,
      true,
      false,
      false,
      false,
      true,
      false,
      false,
      true,
      false,
      false,
      false,
      true,
      false,
      false,
      true,
    ])
  })

  test('a list is a batch; `into` is written to', () => {
    const into = new Float32Array(8)
    expect(fromPixels([plain(0, 0, 0), plain(255, 255, 255)], { shape: [1, 2, 2], into })).toBe(into)
    expect([...into]).toEqual([0, 0, 0, 0, 1, 1, 1, 1])
    expect(() => fromPixels([plain(0, 0, 0), picture(3, 3, () => 0)])).toThrow(/2 x 2, 3 x 3.*say the shape/)
  })

  test('RGB and grey bytes', () => {
    expect(bytes(fromPixels(picture(2, 1, (x, _, c) => 10 * x + c, 3)))).toEqual([0, 10, 1, 11, 2, 12])
    expect(bytes(fromPixels(picture(2, 1, (x) => 9 + x, 1), { channels: 'grey' }))).toEqual([9, 10])
  })

  test.each([
    [{ width: 2, height: 2, data: new Uint8Array(10) }, {}, /16 bytes as RGBA \(12 as RGB, 4 as grey\), here are 10/],
    [{ width: 2, height: 2, data: new Float32Array(16) }, {}, /Uint8ClampedArray, not Float32Array/],
    ['photo.jpg', {}, /takes a canvas, image, video, ImageBitmap or ImageData, not "photo.jpg"/],
    [new Blob(['x']), {}, /await createImageBitmap\(file\)/],
    [[], {}, /without pictures/],
    [plain(0, 0, 0), { shape: [28, 28, 3] }, /not 28 \(is it the order/],
    [plain(0, 0, 0), { shape: [1, 4, 2, 2] }, /not \[1, 4, 2, 2\]/],
    [plain(0, 0, 0), { shape: [3, 2, 2], channels: 'grey' }, /grey is 1 channel, \[3, 2, 2\] has 3/],
    [plain(0, 0, 0), { mean: [0, 0] }, /mean has 2 numbers, the picture 3 channels/],
    [plain(0, 0, 0), { std: 0 }, /std 0: a number that is not 0/],
    [plain(0, 0, 0), { crop: { x: 1, y: 0, width: 2, height: 2 } }, /reaches beyond the picture, which is 2 x 2/],
    [plain(0, 0, 0), { into: new Float32Array(3) }, /12 numbers, into has 3/],
    [plain(0, 0, 0), { chanels: 'grey' }, /no option chanels, did you mean `channels`|did you mean/],
    [{ width: 0, height: 0, getContext() {} }, {}, /at least one pixel wide and high/],
    [{ videoWidth: 0, videoHeight: 0, readyState: 0 }, {}, /loadeddata/],
    [{ naturalWidth: 0, naturalHeight: 0, complete: false }, {}, /await image.decode\(\)/],
  ] as [never, PixelOptions, RegExp][])('refuses %#', (source, options, why) => {
    expect(() => fromPixels(source, options)).toThrow(InputError)
    expect(() => fromPixels(source, options)).toThrow(why)
  })
})

describe('beside the command', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fusenet-pixels-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test.each([[[3, 48, 40]], [[1, 48, 40]], [[3, 12, 12]], [[1, 20, 9]], [[3, 90, 70]]] as [[number, number, number]][])(
    'a file as %j',
    async (shape) => {
      // Smooth, with an edge.
      const image = picture(40, 48, (x, y, c) => (c === 0 ? 120 + 100 * Math.sin(x / 5) : c === 1 ? 4 * y : x > 18 && y > 20 ? 220 : 30), 3)
      const file = join(folder, `${shape.join('-')}.png`)
      await sharp(image.data, { raw: { width: 40, height: 48, channels: 3 } }).png().toFile(file)
      const want = await decodePicture(file, shape)
      const found = bytes(fromPixels(image, { shape }))
      const off = found.map((v, i) => Math.abs(v - want[i]!))
      const mean = off.reduce((a, b) => a + b) / off.length
      // The same bytes where nothing is scaled; two levels where it shrinks. What grows is cut at whole pixels there: that shows at the edge.
      if (shape[1] > 48) expect(mean).toBeLessThan(1)
      else expect(Math.max(...off)).toBeLessThanOrEqual(shape[1] === 48 ? 0 : 2)
    },
  )
})
