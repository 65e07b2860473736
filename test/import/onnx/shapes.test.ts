import { describe, expect, test } from 'vitest'
import { bytesSource } from '../../../import/byte-source.ts'
import { readOnnx } from '../../../import/onnx/read.ts'
import { type Case, holds } from './holds.ts'
import { float, floats, ints, node, oneInput, scalar } from './write-onnx.ts'

/** [n, C, H, W] at a place. */
const at = (x: readonly number[], [, c, h, w]: readonly number[], n: number, channel: number, row: number, column: number): number =>
  x[((n * c! + channel) * h! + row) * w! + column]!

/** A map that is made anew: the shape of a sample, and where each of its pixels comes from. */
const remade = (
  from: readonly number[],
  to: readonly number[],
  f: (x: (c: number, h: number, w: number) => number, c: number, h: number, w: number) => number,
) =>
(x: readonly number[]): number[] =>
  Array.from(
    { length: from[0]! },
    (_, n) =>
      Array.from({ length: to[0]! * to[1]! * to[2]! }, (_, i) =>
        f((c, h, w) => at(x, from, n, c, h, w), Math.floor(i / to[1]! / to[2]!), Math.floor(i / to[2]!) % to[1]!, i % to[2]!)),
  ).flat()

const same = (x: readonly number[]): readonly number[] => x
const shape = [2, 4, 4, 6]

describe('arithmetic on shapes disappears', () => {
  const layersOf = (one: Case): string[] =>
    readOnnx(bytesSource('m.onnx', oneInput(one.sizes ?? ['n', 3, 4, 4], one.nodes, one.more)), {}).layers.map(({ op }) => op)

  const flattenings: [string, Case][] = [
    ['Shape, Gather, Unsqueeze, Concat, Reshape', {
      nodes: [
        node('Shape', ['x'], ['s']),
        node('Gather', ['s', 'zero'], ['n']),
        node('Unsqueeze', ['n', 'axes'], ['n1']),
        node('Concat', ['n1', 'minus'], ['to'], { axis: 0 }),
        node('Reshape', ['x', 'to'], ['y']),
      ],
      more: { initializers: { zero: { shape: [], data: [0], type: 'int64' }, axes: ints(0), minus: ints(-1) } },
      want: same,
    }],
    ['the product of sizes', {
      nodes: [
        node('Shape', ['x'], ['s']),
        node('Slice', ['s', 'one', 'four'], ['rest']),
        node('ReduceProd', ['rest'], ['all'], { keepdims: 1 }),
        node('Slice', ['s', 'zero', 'one'], ['n']),
        node('Cast', ['n'], ['n64'], { to: 7 }),
        node('Concat', ['n64', 'all'], ['to'], { axis: 0 }),
        node('Reshape', ['x', 'to'], ['y']),
      ],
      more: { initializers: { zero: ints(0), one: ints(1), four: ints(4) } },
      want: same,
    }],
    ['a batch of 1 that was written down', {
      x: [1, 3, 4, 4],
      sizes: [1, 3, 4, 4],
      nodes: [node('Reshape', ['x', 'to'], ['y'])],
      more: { initializers: { to: ints(1, -1) } },
      want: same,
    }],
    ['0 for the batch', { nodes: [node('Reshape', ['x', 'to'], ['y'])], more: { initializers: { to: ints(0, -1) } }, want: same }],
    ['-1 for the batch', { nodes: [node('Reshape', ['x', 'to'], ['y'])], more: { initializers: { to: ints(-1, 48) } }, want: same }],
  ]
  test.each(flattenings)('%s', async (_, one) => {
    expect(layersOf(one)).toEqual(['flatten'])
    await holds(one)
  })

  test('Range, Equal, Where, Expand and ConstantOfShape of constants', async () => {
    await holds({
      nodes: [
        node('ConstantOfShape', ['four'], ['ones'], { value: floats([1], [1]) }),
        node('Range', ['z', 'f', 'o'], ['r']),
        node('Equal', ['r', 'two'], ['is']),
        node('Where', ['is', 'hundred', 'ones'], ['c']),
        node('Expand', ['c', 'wide'], ['cc']),
        node('Mul', ['x', 'cc'], ['y']),
      ],
      more: {
        initializers: {
          four: ints(4),
          z: scalar(0),
          f: scalar(4),
          o: scalar(1),
          two: scalar(2),
          hundred: scalar(100),
          wide: ints(1, 1, 4, 4),
        },
      },
      want: (x) => x.map((v, i) => v * (i % 4 === 2 ? 100 : 1)),
    })
  })
})

describe('parts and axes', () => {
  test.each<[string, Case]>([
    ['Slice with a step', {
      x: shape,
      nodes: [node('Slice', ['x', 's', 'e', 'a', 't'], ['y'])],
      more: { initializers: { s: ints(1, 0), e: ints(2 ** 40, 6), a: ints(1, 3), t: ints(1, 2) } },
      want: remade(shape, [3, 4, 3], (x, c, h, w) => x(c + 1, h, 2 * w)),
    }],
    ['Slice from the end backwards', {
      x: shape,
      nodes: [node('Slice', ['x', 's', 'e', 'a', 't'], ['y'])],
      more: { initializers: { s: ints(-1), e: ints(-(2 ** 40)), a: ints(2), t: ints(-1) } },
      want: remade(shape, [4, 4, 6], (x, c, h, w) => x(c, 3 - h, w)),
    }],
    ['Slice of opset 9', {
      x: shape,
      nodes: [node('Slice', ['x'], ['y'], { starts: [1], ends: [-1], axes: [3] })],
      more: { opset: 9 },
      want: remade(shape, [4, 4, 4], (x, c, h, w) => x(c, h, w + 1)),
    }],
    ['Split and Concat the other way round', {
      x: shape,
      nodes: [node('Split', ['x'], ['a', 'b', 'c'], { axis: 3, num_outputs: 3 }), node('Concat', ['c', 'a'], ['y'], { axis: -1 })],
      more: { opset: 18 },
      want: remade(shape, [4, 4, 4], (x, c, h, w) => x(c, h, (w + 4) % 6)),
    }],
    // shape is [2, 4, 4, 6].
    ['Concat with zeros behind channels', {
      x: shape,
      nodes: [node('Concat', ['x', 'k'], ['y'], { axis: 1 })],
      more: { initializers: { k: floats([1, 2, 4, 6], new Array<number>(48).fill(0)) } },
      want: remade(shape, [6, 4, 6], (x, c, h, w) => (c < 4 ? x(c, h, w) : 0)),
    }],
    ['Concat with numbers in front, behind and between', {
      x: shape,
      nodes: [node('Concat', ['a', 'x', 'b', 'x', 'a'], ['y'], { axis: 2 })],
      more: {
        initializers: {
          a: floats([1, 4, 1, 6], Array.from({ length: 24 }, (_, i) => i)),
          b: floats([1, 4, 2, 6], Array.from({ length: 48 }, (_, i) => -i)),
        },
      },
      want: remade(
        shape,
        [4, 12, 6],
        (x, c, h, w) => h === 0 || h === 11 ? c * 6 + w : h < 5 ? x(c, h - 1, w) : h < 7 ? -(c * 12 + (h - 5) * 6 + w) : x(c, h - 7, w),
      ),
    }],
    ['Concat with numbers for each of the samples, all equal', {
      x: shape,
      sizes: shape,
      nodes: [node('Concat', ['x', 'k'], ['y'], { axis: -1 })],
      more: { initializers: { k: floats([2, 4, 4, 1], Array.from({ length: 32 }, (_, i) => i % 16)) } },
      want: remade(shape, [4, 4, 7], (x, c, h, w) => (w < 6 ? x(c, h, w) : c * 4 + h)),
    }],
    ['Add of numbers for each of the samples, all equal', {
      x: shape,
      sizes: shape,
      nodes: [node('Add', ['x', 'k'], ['y'])],
      more: { initializers: { k: floats([2, 1, 4, 1], [1, 2, 3, 4, 1, 2, 3, 4]) } },
      want: remade(shape, [4, 4, 6], (x, c, h, w) => x(c, h, w) + h + 1),
    }],
    ['Gather of channels in another order', {
      x: shape,
      nodes: [node('Gather', ['x', 'i'], ['y'], { axis: 1 })],
      more: { initializers: { i: ints(2, 0, -1) } },
      want: remade(shape, [3, 4, 6], (x, c, h, w) => x([2, 0, 3][c]!, h, w)),
    }],
    ['Transpose', {
      x: shape,
      nodes: [node('Transpose', ['x'], ['y'], { perm: [0, 2, 3, 1] })],
      want: remade(shape, [4, 6, 4], (x, h, w, c) => x(c, h, w)),
    }],
    ['Tile and Expand', {
      x: [2, 4, 1, 6],
      nodes: [node('Tile', ['x', 'r'], ['t']), node('Expand', ['t', 'e'], ['y'])],
      more: { initializers: { r: ints(1, 2, 1, 1), e: ints(3, 1) } },
      want: remade([2, 4, 1, 6], [8, 3, 6], (x, c, _, w) => x(c % 4, 0, w)),
    }],
    ['Squeeze and Unsqueeze, attributes and inputs', {
      x: [2, 4, 1, 6],
      nodes: [node('Squeeze', ['x', 'a'], ['s']), node('Unsqueeze', ['s', 'b'], ['y'])],
      more: { initializers: { a: ints(2), b: ints(1, -1) } },
      want: same,
    }],
    ['Pad with a number, less than nothing on one side', {
      x: shape,
      nodes: [node('Pad', ['x', 'p', 'v'], ['y'])],
      more: { initializers: { p: ints(0, 1, 0, -2, 0, 0, 1, 0), v: scalar(9) } },
      want: remade(shape, [5, 5, 4], (x, c, h, w) => (c === 0 || h === 4 ? 9 : x(c - 1, h, w + 2))),
    }],
    ['Pad reflecting', {
      x: shape,
      nodes: [node('Pad', ['x', 'p'], ['y'], { mode: 'reflect' })],
      more: { initializers: { p: ints(0, 0, 2, 0, 0, 0, 0, 1) } },
      want: remade(shape, [4, 6, 7], (x, c, h, w) => x(c, Math.abs(h - 2), w > 5 ? 4 : w)),
    }],
    ['Pad repeating the edge', {
      x: shape,
      nodes: [node('Pad', ['x', 'p'], ['y'], { mode: 'edge' })],
      more: { initializers: { p: ints(0, 0, 0, 2, 0, 0, 0, 0) } },
      want: remade(shape, [4, 4, 8], (x, c, h, w) => x(c, h, Math.max(0, w - 2))),
    }],
    ['Pad repeating the edge of channels', {
      x: shape,
      nodes: [node('Pad', ['x', 'p'], ['y'], { mode: 'edge' })],
      more: { initializers: { p: ints(0, 2, 0, 0, 0, 1, 0, 0) } },
      want: remade(shape, [7, 4, 6], (x, c, h, w) => x(Math.min(3, Math.max(0, c - 2)), h, w)),
    }],
    ['DepthToSpace DCR', {
      x: shape,
      nodes: [node('DepthToSpace', ['x'], ['y'], { blocksize: 2 })],
      want: remade(shape, [1, 8, 12], (x, _, h, w) => x(h % 2 * 2 + w % 2, h >> 1, w >> 1)),
    }],
    ['DepthToSpace CRD', {
      x: [1, 8, 2, 2],
      nodes: [node('DepthToSpace', ['x'], ['y'], { blocksize: 2, mode: 'CRD' })],
      want: remade([1, 8, 2, 2], [2, 4, 4], (x, c, h, w) => x(c * 4 + h % 2 * 2 + w % 2, h >> 1, w >> 1)),
    }],
    ['SpaceToDepth', {
      x: [1, 2, 4, 4],
      nodes: [node('SpaceToDepth', ['x'], ['y'], { blocksize: 2 })],
      want: remade([1, 2, 4, 4], [8, 2, 2], (x, c, h, w) => x(c % 2, 2 * h + (c >> 2), 2 * w + (c >> 1) % 2)),
    }],
    ['Upsample', {
      x: shape,
      nodes: [node('Upsample', ['x', 's'], ['y'])],
      more: { opset: 9, initializers: { s: floats([4], [1, 1, 2, 3]) } },
      want: remade(shape, [4, 8, 18], (x, c, h, w) => x(c, h >> 1, Math.floor(w / 3))),
    }],
    ['Resize to the nearest of half as many', {
      x: shape,
      nodes: [node('Resize', ['x', '', '', 'to'], ['y'], { nearest_mode: 'floor', coordinate_transformation_mode: 'asymmetric' })],
      more: { initializers: { to: ints(2, 4, 2, 3) } },
      sizes: [2, ...shape.slice(1)],
      want: remade(shape, [4, 2, 3], (x, c, h, w) => x(c, 2 * h, 2 * w)),
    }],
    ['Resize along a line, corners kept', {
      x: [1, 1, 1, 3],
      nodes: [node('Resize', ['x', '', 's'], ['y'], { mode: 'linear', coordinate_transformation_mode: 'align_corners' })],
      more: { initializers: { s: floats([4], [1, 1, 1, 5 / 3]) } },
      want: remade([1, 1, 1, 3], [1, 1, 5], (x, _c, _h, w) => (x(0, 0, Math.floor(w / 2)) + x(0, 0, Math.ceil(w / 2))) / 2),
    }],
  ])('%s', (_, one) => holds(one))

  test('a model without a batch: an input is one sample', async () => {
    await holds({
      x: [1, 3, 4],
      sizes: [3, 4],
      nodes: [node('Transpose', ['x'], ['t']), node('Concat', ['t', 't'], ['y'], { axis: 0 })],
      want: (x) => [0, 1].flatMap(() => [0, 1, 2, 3].flatMap((c) => [0, 1, 2].map((r) => x[r * 4 + c]!))),
    })
  })

  test('a model of one sample that lets go of its batch and takes it up again', async () => {
    await holds({
      x: [1, 3, 2, 2],
      sizes: [1, 3, 2, 2],
      nodes: [node('Squeeze', ['x', 'a'], ['s']), node('Softmax', ['s'], ['t'], { axis: 0 }), node('Unsqueeze', ['t', 'a'], ['y'])],
      more: { initializers: { a: ints(0) } },
      want: (x) => x.map((v, i) => Math.exp(v) / [0, 4, 8].reduce((sum, k) => sum + Math.exp(x[i % 4 + k]!), 0)),
    })
  })
})

describe('what is known beforehand', () => {
  test('If with a constant condition, and a function of the model', async () => {
    const branch = (by: number) => ({
      graph: { nodes: [node('Constant', [], ['k'], { value: scalar(by) }), node('Mul', ['x', 'k'], ['r'])], outputs: ['r'] },
    })
    await holds({
      nodes: [node('If', ['c'], ['y'], { then_branch: branch(2), else_branch: branch(3) })],
      more: { initializers: { c: scalar(0) } },
      want: (x) => x.map((v) => 3 * v),
    })
    await holds({
      nodes: [node('Twice', ['x'], ['m'], {}, { domain: 'own' }), node('Twice', ['m'], ['y'], {}, { domain: 'own' })],
      more: { functions: [{ domain: 'own', name: 'Twice', inputs: ['a'], outputs: ['b'], nodes: [node('Add', ['a', 'a'], ['b'])] }] },
      want: (x) => x.map((v) => 4 * v),
    })
  })

  test('weights that are dequantized, a scale for each channel', async () => {
    await holds({
      nodes: [node('DequantizeLinear', ['q', 's', 'z'], ['w'], { axis: 0 }), node('Mul', ['x', 'w'], ['y'])],
      more: { initializers: { q: floats([3, 1, 1], [10, 20, 30]), s: floats([3], [0.5, 0.25, 1]), z: floats([3], [0, 4, 10]) } },
      want: (x) => x.map((v, i) => v * [5, 4, 20][Math.floor(i / 16) % 3]!),
    })
  })

  test('Identity, Cast, Dropout and x + 0 leave nothing but dropout', () => {
    const { layers } = readOnnx(bytesSource(
      'm.onnx',
      oneInput(['n', 3], [
        node('Identity', ['x'], ['a']),
        node('Cast', ['a'], ['b'], { to: 1 }),
        node('Add', ['b', 'zero'], ['c']),
        node('Dropout', ['c', 'ratio'], ['d']),
        node('Clip', ['d'], ['e']),
        node('LeakyRelu', ['e'], ['y'], { alpha: float(0) }),
      ], { initializers: { zero: scalar(0), ratio: scalar(0.25) } }),
    ))
    expect(layers.map(({ op, arguments: args }) => [op, args])).toEqual([['dropout', { p: 0.25 }], ['leaky_relu', { slope: 0 }]])
  })
})

test('two convolutions of the same initializers share their parameters', async () => {
  const w = floats([3, 3, 1, 1], [1, 2, 3, 4, 5, 6, 7, 8, 9])
  const bytes = oneInput(['n', 3, 4, 4], [node('Conv', ['x', 'w'], ['a']), node('Conv', ['a', 'w'], ['y'])], { initializers: { w } })
  expect(readOnnx(bytesSource('m.onnx', bytes)).layers.map(({ sharesWith }) => sharesWith)).toEqual([undefined, 'a'])
  await holds({
    nodes: [node('Conv', ['x', 'w'], ['a']), node('Conv', ['a', 'w'], ['y'])],
    more: { initializers: { w } },
    // The square of the matrix.
    want: remade(
      [2, 3, 4, 4],
      [3, 4, 4],
      (x, c, r, s) => [[30, 36, 42], [66, 81, 96], [102, 126, 150]][c]!.reduce((sum, k, i) => sum + k * x(i, r, s), 0),
    ),
  })
})

test('sizes of a Resize that are computed from all sizes of x, the batch among them', async () => {
  const shape = [2, 1, 2, 3]
  await holds({
    x: shape,
    nodes: [
      node('Shape', ['x'], ['s']),
      node('Cast', ['s'], ['f'], { to: 1 }),
      node('Mul', ['f', 'by'], ['m']),
      node('Floor', ['m'], ['w']),
      node('Cast', ['w'], ['to'], { to: 7 }),
      node('Resize', ['x', '', '', 'to'], ['y']),
    ],
    more: { initializers: { by: floats([4], [1, 1, 2, 2]) } },
    want: remade(shape, [1, 4, 6], (x, c, h, w) => x(c, h >> 1, w >> 1)),
  })
})
