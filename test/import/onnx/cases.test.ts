import { describe, test } from 'vitest'
import { float, floats, ints, type Node, node, scalar, type Tensor } from './write-onnx.ts'
import { holds, numbers } from './holds.ts'

const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v))

describe('element by element', () => {
  const rows: [string, number, Node['attributes'], (v: number) => number, Record<string, Tensor>?][] = [
    ['Relu', 17, {}, (v) => Math.max(v, 0)],
    ['LeakyRelu', 17, { alpha: 0.25 }, (v) => (v > 0 ? v : v / 4)],
    ['Elu', 17, { alpha: 0.5 }, (v) => (v > 0 ? v : (Math.exp(v) - 1) / 2)],
    ['Selu', 17, {}, (v) => 1.0507009873554805 * (v > 0 ? v : 1.6732632423543772 * (Math.exp(v) - 1))],
    ['Selu', 17, { alpha: 0.5, gamma: float(2) }, (v) => 2 * (v > 0 ? v : (Math.exp(v) - 1) / 2)],
    ['Celu', 17, { alpha: float(2) }, (v) => Math.max(0, v) + Math.min(0, 2 * (Math.exp(v / 2) - 1))],
    ['Sigmoid', 17, {}, sigmoid],
    ['HardSigmoid', 17, {}, (v) => Math.max(0, Math.min(1, v / 5 + 0.5))],
    ['HardSigmoid', 17, { alpha: 0.5, beta: 0.25 }, (v) => Math.max(0, Math.min(1, v / 2 + 0.25))],
    ['HardSwish', 17, {}, (v) => v * Math.max(0, Math.min(1, v / 6 + 0.5))],
    ['Softplus', 17, {}, (v) => Math.log(1 + Math.exp(v))],
    ['Mish', 18, {}, (v) => v * Math.tanh(Math.log(1 + Math.exp(v)))],
    ['Gelu', 20, { approximate: 'tanh' }, (v) => v / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))],
    ['Swish', 24, {}, (v) => v * sigmoid(v)],
    ['Swish', 24, { alpha: 0.5 }, (v) => v * sigmoid(v / 2)],
    ['Clip', 6, { min: -0.5, max: 0.75 }, (v) => Math.max(-0.5, Math.min(0.75, v))],
    ['Clip', 13, {}, (v) => Math.max(-0.5, Math.min(0.75, v)), { lo: scalar(-0.5), hi: scalar(0.75) }],
    // Where min > max, max everywhere.
    ['Clip', 13, {}, () => -1, { lo: scalar(1), hi: scalar(-1) }],
    ['Pow', 15, {}, (v) => v ** 3, { e: scalar(3) }],
    ['Sub', 17, {}, (v) => v - 0.5, { c: scalar(0.5) }],
    ['Div', 17, {}, (v) => v / 4, { c: floats([1, 1, 1, 1], [4]) }],
    ['Min', 17, {}, (v) => Math.min(v, 0.25), { c: scalar(0.25) }],
  ]
  test.each(rows)('%s, opset %i, %j', async (op, opset, attributes, f, initializers = {}) => {
    await holds({
      nodes: [node(op, ['x', ...Object.keys(initializers)], ['y'], attributes)],
      more: { opset, initializers },
      want: (x) => x.map(f),
    })
  })

  test('a number for each channel, on either side; and numbers that differ at every place', async () => {
    const c = { c: floats([3, 1, 1], [0.5, -1, 2]) }
    const per = (f: (v: number, c: number) => number) => (x: readonly number[]): number[] =>
      x.map((v, i) => f(v, c.c.data[Math.floor(i / 16) % 3]!))
    await holds({ nodes: [node('Sub', ['c', 'x'], ['y'])], more: { initializers: c }, want: per((v, k) => k - v) })
    await holds({ nodes: [node('Div', ['x', 'c'], ['y'])], more: { initializers: c }, want: per((v, k) => v / k) })
    const all = floats([4, 4], numbers(16))
    await holds({
      nodes: [node('Mul', ['x', 'all'], ['y'])],
      more: { initializers: { all } },
      want: (x) => x.map((v, i) => v * all.data[i % 16]!),
    })
  })

  test('broadcast and axis of opset 6', async () => {
    await holds({
      nodes: [node('Add', ['x', 'c'], ['y'], { broadcast: 1, axis: 1 })],
      more: { opset: 6, initializers: { c: floats([3], [1, 2, 3]) } },
      want: (x) => x.map((v, i) => v + Math.floor(i / 16) % 3 + 1),
    })
  })
})

/** Pixels of windows of a map [n, C, H, W], padded in front by `pad`; undefined beyond the map. */
function windows(
  x: readonly number[],
  [n, c, h, w]: readonly number[],
  k: number,
  stride: number,
  pad: number,
  out: number,
): (number | undefined)[][] {
  const all: (number | undefined)[][] = []
  for (let map = 0; map < n! * c!; map++)
    for (let i = 0; i < out; i++)
      for (let j = 0; j < out; j++) {
        all.push(Array.from({ length: k * k }, (_, at) => {
          const [row, column] = [i * stride - pad + Math.floor(at / k), j * stride - pad + at % k]
          return row >= 0 && row < h! && column >= 0 && column < w! ? x[(map * h! + row) * w! + column] : undefined
        }))
      }
  return all
}
const inside = (window: readonly (number | undefined)[]): number[] => window.filter((v): v is number => v !== undefined)
const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0)

describe('windows', () => {
  const shape = [2, 3, 5, 5]
  const at =
    (k: number, stride: number, pad: number, out: number, f: (window: (number | undefined)[]) => number) =>
    (x: readonly number[]): number[] => windows(x, shape, k, stride, pad, out).map(f)
  const rows: [string, string, Node['attributes'], (x: readonly number[]) => number[]][] = [
    ['MaxPool', 'padded', { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }, at(3, 2, 1, 3, (w) => Math.max(...inside(w)))],
    ['MaxPool', 'rounded up', { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }, at(2, 2, 0, 3, (w) => Math.max(...inside(w)))],
    [
      'MaxPool',
      'rounded up, larger than the map',
      { kernel_shape: [7, 7], strides: [4, 4], ceil_mode: 1 },
      at(7, 4, 0, 1, (w) => Math.max(...inside(w))),
    ],
    [
      'AveragePool',
      'rounded up, larger than the map',
      { kernel_shape: [8, 8], strides: [4, 4], pads: [1, 1, 1, 1], ceil_mode: 1 },
      at(8, 4, 1, 1, (w) => sum(inside(w)) / inside(w).length),
    ],
    // A third row of windows would lie wholly in the padding.
    [
      'MaxPool',
      'rounded up, a window in the padding',
      { kernel_shape: [2, 2], strides: [3, 3], pads: [0, 0, 1, 1], ceil_mode: 1 },
      at(2, 3, 0, 2, (w) => Math.max(...inside(w))),
    ],
    [
      'AveragePool',
      'of the map alone',
      { kernel_shape: [3, 3], pads: [1, 1, 1, 1] },
      at(3, 1, 1, 5, (w) => sum(inside(w)) / inside(w).length),
    ],
    [
      'AveragePool',
      'of the padding too',
      { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 },
      at(3, 1, 1, 5, (w) => sum(inside(w)) / 9),
    ],
    [
      'AveragePool',
      'SAME_UPPER',
      { kernel_shape: [2, 2], auto_pad: 'SAME_UPPER' },
      at(2, 1, 0, 5, (w) => sum(inside(w)) / inside(w).length),
    ],
    [
      'AveragePool',
      'SAME_LOWER',
      { kernel_shape: [2, 2], auto_pad: 'SAME_LOWER' },
      at(2, 1, 1, 5, (w) => sum(inside(w)) / inside(w).length),
    ],
    ['LpPool', 'p 2', { kernel_shape: [2, 2], strides: [1, 1] }, at(2, 1, 0, 4, (w) => Math.sqrt(sum(inside(w).map((v) => v * v))))],
    ['GlobalAveragePool', '', {}, at(5, 1, 0, 1, (w) => sum(inside(w)) / 25)],
    ['GlobalMaxPool', '', {}, at(5, 1, 0, 1, (w) => Math.max(...inside(w)))],
  ]
  test.each(rows)('%s %s', async (op, _, attributes, want) => {
    await holds({ x: shape, nodes: [node(op, ['x'], ['y'], attributes)], want })
  })

  const weight = floats([2, 3, 3, 3], numbers(54))
  const conv = (stride: number, pad: number, out: number, bias: readonly number[]) => (x: readonly number[]): number[] => {
    const all = windows(x, shape, 3, stride, pad, out)
    return [0, 1].flatMap((n) =>
      bias.flatMap((b, o) =>
        Array.from(
          { length: out * out },
          (_, p) =>
            b +
            sum([0, 1, 2].map((c) => sum(all[(n * 3 + c) * out * out + p]!.map((v, k) => (v ?? 0) * weight.data[(o * 3 + c) * 9 + k]!)))),
        )
      )
    )
  }
  test('Conv, padded, with a bias and SAME', async () => {
    await holds({
      x: shape,
      nodes: [node('Conv', ['x', 'w', 'b'], ['y'], { pads: [1, 1, 1, 1], strides: [2, 2] })],
      more: { initializers: { w: weight, b: floats([2], [1, -1]) } },
      want: conv(2, 1, 3, [1, -1]),
    })
    await holds({
      x: shape,
      nodes: [node('Conv', ['x', 'w'], ['y'], { auto_pad: 'SAME_LOWER' })],
      more: { initializers: { w: weight } },
      want: conv(1, 1, 5, [0, 0]),
    })
  })

  test('ConvTranspose of one channel is the sum of what each pixel spreads; output_shape takes from the front first', async () => {
    const w = floats([1, 1, 2, 2], [1, 2, 3, 4])
    const spread = (x: readonly number[]): number[][] => {
      const y = Array.from({ length: 4 }, () => new Array<number>(4).fill(0))
      x.forEach((v, i) => w.data.forEach((k, j) => (y[2 * Math.floor(i / 2) + Math.floor(j / 2)]![2 * (i % 2) + j % 2]! += v * k)))
      return y
    }
    await holds({
      x: [1, 1, 2, 2],
      nodes: [node('ConvTranspose', ['x', 'w'], ['y'], { strides: [2, 2] })],
      more: { initializers: { w } },
      want: (x) => spread(x).flat(),
    })
    await holds({
      x: [1, 1, 2, 2],
      nodes: [node('ConvTranspose', ['x', 'w'], ['y'], { strides: [2, 2], output_shape: [3, 3] })],
      more: { initializers: { w } },
      want: (x) => spread(x).slice(1).flatMap((row) => row.slice(1)),
    })
  })

  test('a signal is a map of one row', async () => {
    await holds({
      x: [2, 1, 5],
      nodes: [node('Conv', ['x', 'w'], ['y'], { pads: [1, 0] })],
      more: { initializers: { w: floats([1, 1, 2], [10, 1]) } },
      want: (x) => x.map((v, i) => v + 10 * (i % 5 ? x[i - 1]! : 0)),
    })
  })
})

describe('matrices and normalization', () => {
  const a = numbers(6)
  const dot = (row: readonly number[], column: number): number => sum(row.map((v, k) => v * a[k * 2 + column]!))
  const rowsOf = (x: readonly number[]): number[][] => Array.from({ length: x.length / 3 }, (_, i) => x.slice(3 * i, 3 * i + 3))
  test('Gemm with alpha and beta, MatMul of rows', async () => {
    await holds({
      x: [2, 3],
      nodes: [node('Gemm', ['x', 'a', 'c'], ['y'], { alpha: 0.5, beta: float(2) })],
      more: { initializers: { a: floats([3, 2], a), c: floats([2], [1, 3]) } },
      want: (x) => rowsOf(x).flatMap((row) => [0.5 * dot(row, 0) + 2, 0.5 * dot(row, 1) + 6]),
    })
    await holds({
      x: [2, 4, 3],
      nodes: [node('MatMul', ['x', 'a'], ['y'])],
      more: { initializers: { a: floats([3, 2], a) } },
      want: (x) => rowsOf(x).flatMap((row) => [dot(row, 0), dot(row, 1)]),
    })
  })

  /** Matrices [rows, inner] times [inner, columns], pair by pair. */
  const products = (a: readonly number[], b: readonly number[], rows: number, inner: number, columns: number): number[] =>
    Array.from({ length: a.length / inner * columns }, (_, at) => {
      const [matrix, row, column] = [Math.floor(at / (rows * columns)), Math.floor(at / columns) % rows, at % columns]
      return sum(
        Array.from({ length: inner }, (__, k) => a[(matrix * rows + row) * inner + k]! * b[(matrix * inner + k) * columns + column]!),
      )
    })
  /** [rows, columns] of each matrix turned. */
  const turned = (x: readonly number[], rows: number, columns: number): number[] =>
    x.map((_, at) => {
      const [matrix, i, j] = [Math.floor(at / (rows * columns)), Math.floor(at / rows) % columns, at % rows]
      return x[matrix * rows * columns + j * columns + i]!
    })

  test('MatMul of two values: one product a sample and head, as in attention', async () => {
    // q k^T of two heads.
    await holds({
      x: [2, 2, 3, 4],
      nodes: [node('Relu', ['x'], ['q']), node('Transpose', ['x'], ['k'], { perm: [0, 1, 3, 2] }), node('MatMul', ['q', 'k'], ['y'])],
      want: (x) => products(x.map((v) => Math.max(v, 0)), turned(x, 3, 4), 3, 4, 3),
    })
    await holds({
      x: [2, 3, 3],
      nodes: [node('MatMul', ['x', 'x'], ['y'])],
      want: (x) => products(x, x, 3, 3, 3),
    })
  })

  test('MatMul with a constant in front, and with one matrix for each head', async () => {
    const m = numbers(8)
    await holds({
      x: [2, 4, 3],
      nodes: [node('MatMul', ['m', 'x'], ['y'])],
      more: { initializers: { m: floats([2, 4], m) } },
      want: (x) => products([...m, ...m], x, 2, 4, 3),
    })
    const heads = numbers(24)
    await holds({
      x: [2, 2, 3, 4],
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      more: { initializers: { w: floats([2, 4, 3], heads) } },
      want: (x) => products(x, [...heads, ...heads], 3, 4, 3),
    })
  })

  test('Einsum: sums of products of two values, of one, and with a constant', async () => {
    const einsum = (equation: string, ...inputs: string[]): Node => node('Einsum', inputs, ['y'], { equation })
    const x = [2, 3, 4]
    await holds({ x, nodes: [einsum('bij,bkj->bik', 'x', 'x')], want: (v) => products(v, turned(v, 3, 4), 3, 4, 3) })
    // The result of an equation without an arrow has the other letters, in the order of the alphabet.
    await holds({ x, nodes: [einsum('aij->aji', 'x')], want: (v) => turned(v, 3, 4) })
    await holds({
      x,
      nodes: [einsum('b i j -> b i', 'x')],
      want: (v) => Array.from({ length: 6 }, (_, i) => sum(v.slice(4 * i, 4 * i + 4))),
    })
    const w = numbers(8)
    await holds({
      x,
      nodes: [einsum('bij,jo->boi', 'x', 'w')],
      more: { initializers: { w: floats([4, 2], w) } },
      want: (v) => turned(products(v, [...w, ...w], 3, 4, 2), 3, 2),
    })
    await holds({
      x,
      nodes: [einsum('jo,bij->bio', 'w', 'x')],
      more: { initializers: { w: floats([4, 2], w) } },
      want: (v) => products(v, [...w, ...w], 3, 4, 2),
    })
  })

  test('Cast of computed numbers to whole ones: towards 0', async () => {
    await holds({
      nodes: [node('Cast', ['x'], ['i'], { to: 7 }), node('Cast', ['i'], ['y'], { to: 1 })],
      want: (x) => x.map((v) => Math.trunc(v) + 0),
    })
  })

  const moments = (list: readonly number[]): [number, number] => {
    const mean = sum(list) / list.length
    return [mean, sum(list.map((v) => (v - mean) ** 2)) / list.length]
  }
  /** Groups of `size` neighbours are normalized together; then gamma and beta by the place within the sample. */
  const normalized = (size: number, affine: (at: number) => [number, number]) => (x: readonly number[]): number[] =>
    Array.from({ length: x.length / size }, (_, g) => {
      const group = x.slice(g * size, (g + 1) * size)
      const [mean, variance] = moments(group)
      return group.map((v, i) => (v - mean) / Math.sqrt(variance + 0.01) * affine(g * size + i)[0] + affine(g * size + i)[1])
    }).flat()
  const channel = (i: number): number => Math.floor(i / 16) % 3
  const [gamma, beta] = [floats([3], [1, 2, -1]), floats([3], [0.5, 0, 1])]
  test('BatchNormalization, InstanceNormalization, LayerNormalization of maps', async () => {
    const initializers = { gamma, beta, mean: floats([3], [0.1, 0.2, 0.3]), variance: floats([3], [1, 2, 3]) }
    await holds({
      nodes: [node('BatchNormalization', ['x', ...Object.keys(initializers)], ['y'], { epsilon: 0.01 })],
      more: { initializers },
      want: (x) =>
        x.map((v, i) =>
          (v - initializers.mean.data[channel(i)]!) / Math.sqrt(initializers.variance.data[channel(i)]! + 0.01) * gamma.data[channel(i)]! +
          beta.data[channel(i)]!
        ),
    })
    await holds({
      nodes: [node('InstanceNormalization', ['x', 'gamma', 'beta'], ['y'], { epsilon: 0.01 })],
      more: { initializers: { gamma, beta } },
      want: normalized(16, (i) => [gamma.data[channel(i)]!, beta.data[channel(i)]!]),
    })
    await holds({
      nodes: [node('LayerNormalization', ['x', 'w'], ['y'], { axis: 1, epsilon: 0.01 })],
      more: { initializers: { w: floats([3, 4, 4], numbers(48)) } },
      want: normalized(48, (i) => [numbers(48)[i % 48]!, 0]),
    })
  })

  test('GroupNormalization: a number a group in opset 18, one a channel from 21 on', async () => {
    const x = [1, 4, 2, 2]
    await holds({
      x,
      nodes: [node('GroupNormalization', ['x', 'w', 'b'], ['y'], { num_groups: 2, epsilon: 0.01 })],
      more: { opset: 18, initializers: { w: floats([2], [2, 3]), b: floats([2], [0, 1]) } },
      want: normalized(8, (i) => (i < 8 ? [2, 0] : [3, 1])),
    })
    await holds({
      x,
      nodes: [node('GroupNormalization', ['x', 'w', 'b'], ['y'], { num_groups: 2, epsilon: 0.01 })],
      more: { opset: 21, initializers: { w: floats([4], [2, 3, 4, 5]), b: floats([4], [0, 1, 2, 3]) } },
      want: normalized(8, (i) => [2 + Math.floor(i / 4), Math.floor(i / 4)]),
    })
  })

  const softmax = (size: number, stride = 1) => (x: readonly number[]): number[] =>
    x.map((v, i) => {
      const first = i - Math.floor(i / stride) % size * stride
      return Math.exp(v) / sum(Array.from({ length: size }, (_, k) => Math.exp(x[first + k * stride]!)))
    })
  test('Softmax: all axes behind axis 1 together before opset 13, the last one from 13 on', async () => {
    await holds({ nodes: [node('Softmax', ['x'], ['y'])], more: { opset: 12 }, want: softmax(48) })
    await holds({ nodes: [node('Softmax', ['x'], ['y'])], more: { opset: 13 }, want: softmax(4) })
    await holds({
      nodes: [node('LogSoftmax', ['x'], ['y'], { axis: 1 })],
      more: { opset: 13 },
      want: (x) => softmax(3, 16)(x).map(Math.log),
    })
  })

  test('reductions: axes as an attribute and as an input, kept and not', async () => {
    const maps = (f: (map: number[]) => number) => (x: readonly number[]): number[] =>
      Array.from({ length: 6 }, (_, m) => f(x.slice(16 * m, 16 * m + 16)))
    await holds({ nodes: [node('ReduceMean', ['x'], ['y'], { axes: [2, 3] })], want: maps((m) => sum(m) / 16) })
    await holds({
      nodes: [node('ReduceSum', ['x', 'axes'], ['y'], { keepdims: 0 })],
      more: { initializers: { axes: ints(-1, -2) } },
      want: maps(sum),
    })
    await holds({
      nodes: [node('ReduceL2', ['x', 'axes'], ['y'])],
      more: { opset: 18, initializers: { axes: ints(2, 3) } },
      want: maps((m) => Math.sqrt(sum(m.map((v) => v * v)))),
    })
    await holds({
      x: [2, 5],
      nodes: [node('ArgMax', ['x'], ['y'], { axis: 1 })],
      want: (x) => [0, 5].map((from) => x.slice(from, from + 5).indexOf(Math.max(...x.slice(from, from + 5)))),
    })
  })
})
