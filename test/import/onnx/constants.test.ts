import { describe, expect, test } from 'vitest'
import { holds } from './holds.ts'
import { float, floats, ints, type Node, node, oneInput, type Tensor } from './write-onnx.ts'
import { runModel } from './run-case.ts'

/** What a node makes of constants, added to 0. */
const gives = (nodes: readonly Node[], initializers: Record<string, Tensor>, want: readonly number[], opset = 17): Promise<void> =>
  holds({
    nodes: [...nodes, node('Add', ['x', 'c'], ['y'])],
    more: { opset, initializers },
    x: [1, want.length],
    data: new Array<number>(want.length).fill(0),
    want,
  })

describe('what exporters leave to be computed of weights', () => {
  const v = floats([2, 2], [3, -4, 0.5, 2])

  test.each<[string, number[], Node['attributes']]>([
    ['ReduceL1', [7, 2.5], {}],
    ['ReduceL2', [5, Math.sqrt(4.25)], {}],
    ['ReduceSumSquare', [25, 4.25], {}],
    ['ReduceLogSumExp', [Math.log(Math.exp(3) + Math.exp(-4)), Math.log(Math.exp(0.5) + Math.exp(2))], {}],
    ['ReduceMean', [1.75, -1], { axes: [0], keepdims: 0 }],
  ])('%s', (op, want, attributes) => gives([node(op, ['v'], ['c'], { axes: [1], keepdims: 0, ...attributes })], { v }, want))

  test('ReduceLogSum', () =>
    gives([node('ReduceLogSum', ['w'], ['c'], { axes: [1], keepdims: 0 })], { w: floats([2, 2], [1, 2, 3, 4]) }, [
      Math.log(3),
      Math.log(7),
    ]))

  test.each<[string, (x: number) => number, Node['attributes']]>([
    ['LeakyRelu', (x) => (x < 0 ? x / 4 : x), { alpha: 0.25 }],
    ['Elu', (x) => (x < 0 ? (Math.exp(x) - 1) / 2 : x), { alpha: 0.5 }],
    ['HardSwish', (x) => x * Math.min(1, Math.max(0, x / 6 + 0.5)), {}],
    ['Mish', (x) => x * Math.tanh(Math.log(1 + Math.exp(x))), {}],
  ])('%s', (op, f, attributes) => {
    const data = [3, -4, 0.5, -2]
    return gives([node(op, ['v'], ['c'], attributes)], { v: floats([4], data) }, data.map(f), 18)
  })

  test('Softplus of numbers whose powers are beyond any', () =>
    gives([node('Softplus', ['v'], ['c'])], { v: floats([2], [1000, -1000]) }, [1000, 0]))

  // By NumPy: np.exp(v) / np.exp(v).sum(axis)
  test('Softmax and LogSoftmax, along one axis and over all from it on', async () => {
    const e = v.data.map(Math.exp)
    const [a, b, c, d] = e as [number, number, number, number]
    const flat = node('Reshape', ['s', 'four'], ['c'])
    const four = ints(4)
    await gives([node('Softmax', ['v'], ['s'], { axis: 0 }), flat], { v, four }, [a / (a + c), b / (b + d), c / (a + c), d / (b + d)])
    await gives([node('LogSoftmax', ['v'], ['s']), flat], { v, four }, [a / (a + b), b / (a + b), c / (c + d), d / (c + d)].map(Math.log))
    await gives([node('Softmax', ['v'], ['s'], { axis: 0 }), flat], { v, four }, e.map((x) => x / (a + b + c + d)), 11)
  })

  test('MatMul as NumPy has it: vectors on either side, a number of two, and matrices in front', async () => {
    const m = floats([2, 3], [1, 2, 3, 4, 5, 6])
    const [row, column] = [floats([2], [10, 1]), floats([3], [1, 0, -1])]
    await gives([node('MatMul', ['row', 'm'], ['c'])], { m, row }, [14, 25, 36])
    await gives([node('MatMul', ['m', 'column'], ['c'])], { m, column }, [-2, -2])
    await gives([node('MatMul', ['column', 'column'], ['c'])], { column }, [2])
    const stack = floats([2, 1, 2], [1, 0, 0, 1])
    await gives([node('MatMul', ['stack', 'm'], ['s']), node('Reshape', ['s', 'six'], ['c'])], { stack, m, six: ints(6) }, [
      1,
      2,
      3,
      4,
      5,
      6,
    ])
  })

  // torch.nn.utils.weight_norm and spectral_norm of nn.Conv2d(1, 2, (1, 2)), exported without constant folding.
  test('the weight of a convolution: weight_norm, spectral_norm', async () => {
    const w = floats([2, 1, 1, 2], [3, -4, 0.5, 2])
    const conv = (weight: string): Node => node('Conv', ['x', weight], ['y'], { kernel_shape: [1, 2] })
    await holds({
      nodes: [
        node('ReduceL2', ['w'], ['n'], { axes: [1, 2, 3] }),
        node('Div', ['w', 'n'], ['d']),
        node('Mul', ['d', 'g'], ['k']),
        conv('k'),
      ],
      more: { initializers: { w, g: floats([2, 1, 1, 1], [10, 2]) } },
      x: [1, 1, 1, 2],
      data: [1, 2],
      want: [10 * (3 - 8) / 5, 2 * (0.5 + 4) / Math.sqrt(4.25)],
    })
    await holds({
      nodes: [
        node('Reshape', ['w', 'flat'], ['m']),
        node('MatMul', ['m', 'v'], ['mv']),
        node('MatMul', ['u', 'mv'], ['sigma']),
        node('Div', ['w', 'sigma'], ['k']),
        conv('k'),
      ],
      more: { initializers: { w, flat: ints(2, 2), v: floats([2], [0.5, 1]), u: floats([2], [1, 2]) } },
      x: [1, 1, 1, 2],
      data: [1, 2],
      // m v = [-2.5, 2.25], u m v = 2
      want: [(3 - 8) / 2, (0.5 + 4) / 2],
    })
  })

  test('means of many numbers keep their digits', async () => {
    const count = 1 << 17
    // Float32 adds 0.1 to 13000 in steps of 0.001.
    const many = floats([count], new Array<number>(count).fill(0.1))
    await holds({
      nodes: [node('ReduceMean', ['many'], ['c'], { axes: [0] }), node('Mul', ['x', 'c'], ['y'])],
      more: { initializers: { many } },
      x: [1, 1],
      data: [100],
      want: [100 * Math.fround(0.1)],
    })
  })

  test('what is not computed of constants says so', async () => {
    await expect(
      runModel(
        oneInput(['n', 1], [node('Celu', ['v'], ['c'], { alpha: float(2) }), node('Add', ['x', 'c'], ['y'])], {
          initializers: { v: floats([1], [1]) },
        }),
        new Map(),
      ),
    ).rejects.toThrow('Celu node that makes c: it is computed from constants, which Celu is not here')
  })
})
