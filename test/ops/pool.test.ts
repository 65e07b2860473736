import { describe, expect, test } from 'vitest'
import type { Attributes } from '../../dsl/signature.ts'
import { generator, pick } from './random.ts'
import { sidesOf } from './plain-loops.ts'
import { ask, backward, type Call, codes, expectClose, expectGradients, type Fed, fed, forward, size } from './run-operator.ts'

interface Pooled {
  readonly shape: readonly number[]
  readonly most: readonly number[]
  readonly mean: readonly number[]
  /** Element of the input that each window's maximum comes from. */
  readonly from: readonly number[]
}

/** Caffe's pooling layer, written down plainly; `pad: same` pads the smaller half in front. */
function pooled(x: Fed, a: Attributes): Pooled {
  const [N, C, H, W] = x.shape as [number, number, number, number]
  const kernel = (a['kernel'] as readonly number[] | undefined) ?? [H, W]
  const stride = (a['stride'] as readonly number[] | undefined) ?? kernel
  const dilation = (a['dilation'] as readonly number[] | undefined) ?? [1, 1]
  const reach = kernel.map((k, d) => dilation[d]! * (k - 1) + 1)
  const sizes = [H, W].map((extent, d) => {
    if (a['pad'] === 'same') {
      const out = Math.ceil(extent / stride[d]!)
      const around = Math.max(0, (out - 1) * stride[d]! + reach[d]! - extent)
      return { out, pad: Math.floor(around / 2), end: extent + Math.ceil(around / 2) }
    }
    const [pad, behind] = sidesOf((a['pad'] as readonly number[] | undefined) ?? [0, 0], d)
    const inexact = (extent + pad + behind - reach[d]!) / stride[d]!
    let out = (a['round'] === 'ceil' ? Math.ceil(inexact) : Math.floor(inexact)) + 1
    if ((out - 1) * stride[d]! >= extent + pad) out--
    return { out, pad, end: extent + behind }
  })
  const [rows, columns] = sizes as [typeof sizes[0], typeof sizes[0]]
  const [most, mean, from]: [number[], number[], number[]] = [[], [], []]
  for (let n = 0; n < N; n++)
    for (let c = 0; c < C; c++)
      for (let h = 0; h < rows.out; h++)
        for (let w = 0; w < columns.out; w++) {
          const [top, left] = [h * stride[0]! - rows.pad, w * stride[1]! - columns.pad]
          let [best, at, total, valid, within] = [-Infinity, -1, 0, 0, 0]
          for (let i = 0; i < kernel[0]!; i++)
            for (let j = 0; j < kernel[1]!; j++) {
              const [row, column] = [top + i * dilation[0]!, left + j * dilation[1]!]
              if (row >= rows.end || column >= columns.end) continue
              within++
              if (row < 0 || row >= H || column < 0 || column >= W) continue
              const k = ((n * C + c) * H + row) * W + column
              if (x.data[k]! > best) [best, at] = [x.data[k]!, k]
              total += x.data[k]!
              valid++
            }
          const count = a['count'] === 'valid' ? valid : a['count'] === 'padded' ? kernel[0]! * kernel[1]! : within
          most.push(best)
          from.push(at)
          mean.push(total / count)
        }
  return { shape: [N, C, rows.out, columns.out], most, mean, from }
}

function check(x: Fed, attributes: Attributes): void {
  const { count: _, ...others } = attributes
  const name = attributes['kernel'] ? '' : 'global_'
  const [most, mean]: [Call, Call] = [{ op: `${name}max_pool`, inputs: [x], attributes: others }, {
    op: `${name}avg_pool`,
    inputs: [x],
    attributes,
  }]
  const want = pooled(x, attributes)
  expect(ask(most)).toEqual({ shape: ['n', ...want.shape.slice(1)] })
  expect(ask(mean)).toEqual({ shape: ['n', ...want.shape.slice(1)] })
  expectClose(forward(most), want.most)
  expectClose(forward(mean), want.mean)
  expectGradients(mean)
  const dy = fed(want.shape, 77).data
  const dx = new Float64Array(size(x.shape))
  want.from.forEach((k, i) => {
    dx[k]! += dy[i]!
  })
  expectClose(backward(most, dy).inputs[0], dx)
}

describe('max_pool and avg_pool', () => {
  test.each<[string, readonly number[], Attributes]>([
    ['windows side by side', [2, 3, 6, 4], { kernel: [2, 2] }],
    ['a stride of their own', [1, 2, 7, 8], { kernel: [3, 3], stride: [2, 2] }],
    ['ceil', [1, 2, 6, 8], { kernel: [3, 3], stride: [2, 2], round: 'ceil' }],
    ['ceil, side by side', [1, 2, 7, 5], { kernel: [2, 2], round: 'ceil' }],
    ['padding', [1, 2, 5, 6], { kernel: [3, 3], stride: [1, 1], pad: [1, 1] }],
    ['padding and ceil', [1, 2, 7, 8], { kernel: [3, 3], stride: [2, 2], pad: [1, 1], round: 'ceil' }],
    ['a last window that starts in the padding is dropped', [1, 2, 7, 6], { kernel: [2, 2], pad: [1, 1], round: 'ceil' }],
    ['wide padding', [1, 2, 6, 5], { kernel: [5, 5], stride: [1, 1], pad: [3, 3], round: 'ceil' }],
    ['a stride wider than the window', [1, 3, 7, 5], { kernel: [1, 1], stride: [2, 2], round: 'ceil' }],
    ['a last window outside the map is dropped without padding too', [1, 2, 4, 5], { kernel: [1, 2], stride: [3, 3], round: 'ceil' }],
    ['rectangles', [1, 2, 8, 7], { kernel: [3, 2], stride: [2, 1], pad: [1, 0], round: 'ceil' }],
    ['rows left over', [1, 2, 5, 7], { kernel: [2, 3] }],
    ['the whole map', [2, 3, 4, 5], { kernel: [4, 5] }],
    ['unequal padding', [1, 2, 5, 6], { kernel: [3, 3], stride: [2, 2], pad: [0, 1, 2, 0] }],
    ['unequal padding and ceil', [1, 2, 6, 7], { kernel: [3, 4], stride: [2, 3], pad: [1, 2, 3, 0], round: 'ceil' }],
    ['dilation', [1, 2, 7, 8], { kernel: [3, 2], stride: [1, 2], dilation: [2, 3] }],
    ['dilation, padding and ceil', [1, 2, 7, 6], { kernel: [2, 3], stride: [2, 2], dilation: [3, 2], pad: [1, 2, 0, 1], round: 'ceil' }],
    ['dilation and pad: same', [1, 2, 7, 6], { kernel: [3, 2], stride: [1, 1], dilation: [2, 3], pad: 'same' }],
    ['pad: same', [1, 2, 5, 6], { kernel: [3, 2], stride: [1, 1], pad: 'same' }],
    ['pad: same with a stride', [1, 2, 7, 6], { kernel: [3, 4], stride: [2, 3], pad: 'same' }],
  ])('%s', (_, shape, attributes) => {
    for (const count of ['caffe', 'valid', 'padded']) check(fed(shape, 3), { ...attributes, count })
  })

  test.each(Array.from({ length: 40 }, (_, seed) => seed))('whatever they are asked for: seed %i', (seed) => {
    const r = generator(seed)
    const pairOf = (from: readonly number[]): [number, number] => [pick(r, from), pick(r, from)]
    const kernel = pairOf([1, 2, 3, 4])
    const pad = pick(r, [true, false, false, false]) ? 'same'
      : [kernel[0], kernel[0], kernel[1], kernel[1]].map((k) => Math.min(k - 1, pick(r, [0, 0, 1, 2])))
    check(fed([pick(r, [1, 2]), pick(r, [1, 2]), ...pairOf([4, 5, 6, 7])], seed + 1), {
      kernel,
      pad,
      stride: pairOf([1, 2, 3]),
      round: pick(r, ['floor', 'ceil']),
      count: pick(r, ['caffe', 'valid', 'padded']),
    })
  })

  test('the stride is as large as the window where none is given', () => {
    expect(ask({ op: 'max_pool', inputs: [fed([1, 2, 9, 8])], attributes: { kernel: [3, 2] } })).toEqual({ shape: ['n', 2, 3, 4] })
  })
  test('an average counts padding as Caffe and PyTorch do where nothing else is said', () => {
    const x: Fed = { shape: [1, 1, 2, 2], data: [1, 2, 3, 4] }
    expectClose(forward({ op: 'avg_pool', inputs: [x], attributes: { kernel: [2, 2], stride: [2, 2], pad: [1, 1] } }), [0.25, 0.5, 0.75, 1])
  })
})

describe('lp_pool', () => {
  test.each<[string, readonly number[], Attributes]>([
    ['the root of the sum of squares', [2, 2, 4, 5], { kernel: [2, 2] }],
    ['sums of absolute values', [1, 2, 4, 5], { kernel: [2, 3], stride: [1, 1], p: 1 }],
    ['cubes, padding and ceil', [1, 2, 6, 5], { kernel: [3, 3], stride: [2, 2], pad: [1, 0, 1, 1], round: 'ceil', p: 3 }],
    ['a fractional exponent and dilation', [1, 1, 6, 5], { kernel: [2, 3], stride: [1, 1], dilation: [3, 2], p: 2.5 }],
  ])('%s', (_, shape, attributes) => {
    const { p = 2, ...window } = attributes as { p?: number }
    const x = fed(shape, 3)
    const powers = { ...x, data: Array.from(x.data, (v) => Math.abs(v) ** p) }
    const { kernel } = window as unknown as { kernel: readonly number[] }
    const want = pooled(powers, { ...window, count: 'padded' }).mean.map((v) => (v * kernel[0]! * kernel[1]!) ** (1 / p))
    expectClose(forward({ op: 'lp_pool', inputs: [x], attributes }), want)
    expectGradients({ op: 'lp_pool', inputs: [x], attributes })
  })
  test('a window of zeros hands nothing back', () => {
    expect([
      ...backward({ op: 'lp_pool', inputs: [{ shape: [1, 1, 2, 2], data: [0, 0, 0, 0] }], attributes: { kernel: [2, 2] } }, [1]).inputs[0]!,
    ])
      .toEqual([0, 0, 0, 0])
  })
})

describe('global pooling', () => {
  test.each([[[2, 3, 4, 5]], [[1, 2, 1, 1]], [[3, 2, 9, 9]]])('of %j', (shape) => check(fed(shape, 2), {}))
})

describe('ties of a maximum', () => {
  test('go to the first in row order', () => {
    const x: Fed = { shape: [1, 1, 2, 4], data: [5, 5, 1, 2, 5, 5, 2, 2] }
    expectClose(backward({ op: 'max_pool', inputs: [x], attributes: { kernel: [2, 2] } }, [10, 20]).inputs[0], [10, 0, 0, 20, 0, 0, 0, 0])
  })
  test('also where windows overlap', () =>
    check({ shape: [1, 2, 7, 7], data: fed([1, 2, 7, 7], 4).data.map((v) => Math.round(v)) }, { kernel: [3, 3], stride: [2, 2] }))
  test('padding loses against the smallest number', () => {
    const x: Fed = { shape: [1, 1, 1, 1], data: [-1e30] }
    expectClose(forward({ op: 'max_pool', inputs: [x], attributes: { kernel: [3, 3], stride: [1, 1], pad: [1, 1] } }), [-1e30])
  })
})

describe('refuses', () => {
  const refused = (shape: readonly number[], attributes: Attributes) => codes({ op: 'max_pool', inputs: [fed(shape)], attributes })
  test('what was flattened', () => {
    expect(refused([2, 8], { kernel: [2, 2] })).toEqual(['shape/max-pool-rank'])
    expect(codes({ op: 'global_avg_pool', inputs: [fed([2, 8])] })).toEqual(['shape/global-avg-pool-rank'])
  })
  test('a window larger than the map', () => expect(refused([2, 2, 3, 3], { kernel: [4, 2] })).toEqual(['shape/max-pool-window']))
  test('a pad as large as the window', () => {
    expect(refused([2, 2, 3, 3], { kernel: [2, 2], pad: [2, 1] })).toEqual(['argument/max-pool-pad'])
    expect(refused([2, 2, 3, 3], { kernel: [2, 2], pad: [1, 1] })).toEqual([])
    expect(refused([2, 2, 3, 3], { kernel: [2, 2], pad: [0, 2, 0, 0] })).toEqual(['argument/max-pool-pad'])
  })
  test('a dilated window whose elements all lie beside the map', () => {
    expect(refused([1, 1, 1, 4], { kernel: [2, 2], stride: [1, 1], dilation: [2, 1], pad: [1, 1, 0, 0] })).toEqual([
      'argument/max-pool-pad',
    ])
  })
  test('labels', () =>
    expect(codes({ op: 'avg_pool', inputs: [fed([2, 2, 3, 3], 1, { labels: true })], attributes: { kernel: [2, 2] } })).toEqual([
      'shape/label-as-numbers',
    ]))
})
