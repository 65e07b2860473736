import { describe, expect, test } from 'vitest'
import { arrays, augment, type CallEntry, type Dataset, type Draw, type InputEntry } from '../../runtime/index.ts'

/** What moves with a picture, and what is refused. Every number of a sample is the place that it was at, so it tells where it went. */
const COUNT = 40
const [H, W] = [4, 6]
const MIRROR: CallEntry = { call: 'mirror', args: {} }
const crop = (size: number | number[], pad?: number): CallEntry => ({ call: 'crop', args: { size, ...(pad !== undefined && { pad }) } })
const places = (planes: number, h = H, w = W): number[] => Array.from({ length: COUNT * planes * h * w }, (_, i) => 1 + (i % (h * w)))
const pictures = (more: Parameters<typeof arrays>[0] = {}): Dataset =>
  arrays({ image: { shape: [2, H, W], type: 'f32', data: Float32Array.from(places(2)) }, ...more })
const labelMap = { shape: [H, W], type: 'i32', data: Int32Array.from(places(1)) } as const

async function read(dataset: Dataset, draw?: Draw): Promise<Record<string, number[][]>> {
  const into = Object.fromEntries(
    Object.entries(dataset.fields).map(([name, { shape, type }]) => {
      const size = COUNT * shape.reduce((a, b) => a * b, 1)
      return [name, type === 'i32' ? new Int32Array(size) : new Float32Array(size)]
    }),
  )
  await dataset.read(Array.from({ length: COUNT }, (_, i) => i), into, draw)
  return Object.fromEntries(
    Object.entries(into).map((
      [name, data],
    ) => [name, Array.from({ length: COUNT }, (_, i) => [...data.slice(i * data.length / COUNT, (i + 1) * data.length / COUNT)])]),
  )
}
const draw = { seed: 3, epoch: 1 }
const repeated = (sample: readonly number[], planes: number): number[] => Array.from({ length: planes }, () => sample).flat()
/** Whether random places were drawn at all. */
const varied = (samples: readonly number[][]): void => expect(new Set(samples.map(String)).size).toBeGreaterThan(1)

describe('what lies over a picture moves as the picture does', () => {
  test.each([
    ['mirror', [MIRROR]],
    ['crop', [crop([2, 3])]],
    ['both, in one order and the other', [crop([3, 5]), MIRROR, crop(2)]],
  ])('%s: label maps, targets with and without channels, several pictures', async (_, calls) => {
    const dataset = augment(
      pictures({
        label: labelMap,
        depth: { shape: [H, W], type: 'f32', data: Float32Array.from(places(1)) },
        flow: { shape: [2, H, W], type: 'f32', data: Float32Array.from(places(2)) },
        clip: { shape: [3, 2, H, W], type: 'f32', data: Float32Array.from(places(6)) },
        kind: { shape: [], type: 'i32', data: Int32Array.from({ length: COUNT }, (_, i) => i) },
        scores: { shape: [5], type: 'f32', data: Float32Array.from({ length: 5 * COUNT }, (_, i) => i) },
      }),
      calls,
    )
    for (const given of [draw, undefined]) {
      const { image, label, depth, flow, clip, kind, scores } = await read(dataset, given)
      if (given) varied(image!)
      image!.forEach((own, i) => {
        const one = own.slice(0, own.length / 2)
        expect(label![i]).toEqual(one)
        expect(depth![i]).toEqual(one)
        expect(own).toEqual(repeated(one, 2))
        expect(flow![i]).toEqual(own)
        expect(clip![i]).toEqual(repeated(one, 6))
        expect(kind![i]).toEqual([i])
        expect(scores![i]).toEqual([0, 1, 2, 3, 4].map((k) => 5 * i + k))
      })
    }
  })

  const inputsOf = (ignore?: number[]): InputEntry[] => [
    { name: 'image', type: 'f32', shape: ['n', 2, H, W] },
    { name: 'label', type: 'i32', shape: ['n', H, W], classes: 100, ...(ignore && { ignore }) },
  ]
  test.each([[undefined, -1], [[255], 255], [[0], 0]] as const)(
    'what is around a label map is what losses ignore: %j',
    async (ignore, fill) => {
      const dataset = augment(pictures({ label: labelMap }), [crop([H, W], 2)], inputsOf(ignore && [...ignore]))
      const { image, label } = await read(dataset, draw)
      varied(image!)
      image!.forEach((own, i) => expect(label![i]).toEqual(own.slice(0, H * W).map((v) => (v === 0 ? fill : v))))
      expect((await read(dataset)).label![0]).toEqual(places(1).slice(0, H * W))
    },
  )
  test('where that is not clear, it is refused; without pads there is nothing around', () => {
    const data = pictures({ label: labelMap })
    expect(() => augment(data, [crop([H, W], 1)], inputsOf([-1, 255]))).toThrow(
      /around the label map label stands what losses and metrics ignore, and these ignore -1 and 255: write the same ignore in all of them/,
    )
    expect(() => augment(data, [crop([H, W], 1)], inputsOf([]))).toThrow(
      /there is none that all of them ignore: crop without pad, write the same ignore in all of them/,
    )
    expect(
      augment(data, [MIRROR, crop(2)], inputsOf([-1, 255]).map((input) => ({ ...input, shape: ['n', ...input.shape.slice(1, -2), 2, 2] })))
        .fields['label']!.shape,
    ).toEqual([2, 2])
  })
})

describe('which fields they are is told by the inputs of the net', () => {
  test('a flat field is a picture where its input is one, and stays flat', async () => {
    const flat = arrays({ pixels: { shape: [H * W], type: 'f32', data: Float32Array.from(places(1)) }, label: labelMap })
    const inputs: InputEntry[] = [{ name: 'image', type: 'f32', shape: ['n', 1, H, W] }, {
      name: 'label',
      type: 'i32',
      shape: ['n', H, W],
      classes: 100,
    }]
    const { pixels, label } = await read(augment(flat, [MIRROR], inputs), draw)
    varied(pixels!)
    expect(pixels).toEqual(label)
    expect(() => augment(flat, [crop(2)], inputs)).toThrow(/pixels: f32 \[24\], label: i32 \[2, 2\]\), as augment crop leaves them/)
  })
  test('a picture whose input is flat is changed all the same', async () => {
    const { image } = await read(augment(pictures(), [MIRROR], [{ name: 'x', type: 'f32', shape: ['n', 2 * H * W] }]), draw)
    varied(image!)
  })
  test('what no input reads is left alone, whatever its shape', async () => {
    const dataset = augment(
      pictures({
        boxes: { shape: [3, 4], type: 'f32', data: new Float32Array(12 * COUNT) },
        small: { shape: [2, 1, 1], type: 'f32', data: new Float32Array(2 * COUNT) },
      }),
      [crop(2)],
      [{ name: 'image', type: 'f32', shape: ['n', 2, 2, 2] }],
    )
    expect(dataset.fields['boxes']!.shape).toEqual([3, 4])
    expect((await read(dataset, draw)).boxes![0]).toEqual(new Array(12).fill(0))
  })
})

describe('refused, with the reason', () => {
  const zeros = (shape: number[], type: 'f32' | 'i32' = 'f32') => ({
    shape,
    type,
    data: type === 'i32' ? new Int32Array(COUNT * shape.reduce((a, b) => a * b, 1))
      : new Float32Array(COUNT * shape.reduce((a, b) => a * b, 1)),
  })
  test.each(
    [
      [
        'boxes',
        { boxes: zeros([5, 4]) },
        /moves the pixels of image \[2, 4, 6\], and boxes \[5, 4\] cannot follow: it is no map of 4 x 6; leave it out of the train block, or train with augment: false/,
      ],
      ['a label map of another size', { label: zeros([2, 3], 'i32') }, /label \[2, 3\] cannot follow/],
      [
        'pictures of two sizes',
        { other: zeros([3, 8, 8]) },
        /image \[2, 4, 6\] and other \[3, 8, 8\] differ in size, so it is not clear what moves with what/,
      ],
    ] as const,
  )('%s', (_, more, reason) => {
    expect(() => augment(pictures(more), [MIRROR])).toThrow(reason)
  })
  test('no picture, an unknown call, a window that does not fit', () => {
    expect(() => augment(arrays({ x: zeros([3]), label: zeros([], 'i32') }), [MIRROR])).toThrow(
      /augment mirror: there are no pictures \[channels, height, width\] to change \(x \[3\], label \[\]\)/,
    )
    expect(() => augment(pictures(), [{ call: 'normalize', args: {} }])).toThrow('there is no augmentation normalize: mirror, crop')
    expect(() => augment(pictures(), [crop(9)], [{ name: 'image', type: 'f32', shape: ['n', 2, 9, 9] }])).toThrow(
      'crop of 9 x 9 does not fit into 4 x 6 with pad 0',
    )
  })
})
