import { describe, expect, test } from 'vitest'
import type { FusionContext } from '../../compiler/fusion/kernel-pass.ts'
import { axis, plus } from '../../compiler/ir/affine.ts'
import { costsOf } from '../../compiler/ir/cost.ts'
import { type Equation, equation, reads, store, writes } from '../../compiler/ir/equation.ts'
import { add, load } from '../../compiler/ir/expression.ts'
import { updatesInPlace } from '../../compiler/ir/regions.ts'
import { type Tensor, tensor } from '../../compiler/ir/tensor.ts'
import { verifyEquation } from '../../compiler/ir/verify.ts'
import { conv, each, expectSameValues, fuse, map, namesOf, relu, remarksOf, scaled } from './hand-built.ts'

const PASS = 'place-in-slices'
const [x, a, b, out] = [map('x'), map('a'), map('b'), map('out')]
const joined = map('joined', 4)
const again = map('again', 7)

/** Copies a map into the channels of another from `first` on. */
function copy(source: Tensor, target: Tensor, first: number, name: string): Equation {
  const { axes } = each(source, (at) => load(source, ...at))
  const [n, c, h, w] = axes
  return equation(name, [name], axes, [store(target, [n!, plus(c!, first), h!, w!], load(source, n!, c!, h!, w!))])
}

test('a map that is copied and read lives in the slice', () => {
  const equations = [conv(a, x), conv(b, a), copy(a, joined, 0, 'joined.0'), copy(b, joined, 2, 'joined.1'), relu(out, a)]
  const kernels = fuse(PASS, equations, { kept: new Set([joined, out]) })
  expect(namesOf(kernels)).toEqual(['a', 'b', 'out'])
  expect(kernels.map(({ equation: e }) => writes(e).map((t) => t.name))).toEqual([['joined'], ['joined'], ['out']])
  expect(kernels.map(({ equation: e }) => reads(e)[0]!.name)).toEqual(['x', 'joined', 'joined'])
  expectSameValues(kernels, equations, [joined, out])
  // b reads channels that it does not write: its points may be computed in any order, and twice.
  expect(kernels.map(({ equation: e }) => updatesInPlace(e))).toEqual([false, false, false])
  // A slice counts by itself: 2 channels of 4 x 4, read and written.
  expect(costsOf(kernels[2]!.equation)).toMatchObject({ bytesRead: { perSample: 4 * 32 }, bytesWritten: { perSample: 4 * 32 } })
  expect(costsOf(kernels[0]!.equation).bytesWritten.perSample).toBe(4 * 32)
})

test('what is joined again and again is one map that grows', () => {
  const c = map('c', 3)
  const equations = [
    conv(a, x),
    conv(b, a),
    copy(b, joined, 0, 'joined.0'),
    copy(a, joined, 2, 'joined.1'),
    conv(c, joined),
    copy(c, again, 0, 'again.0'),
    copy(joined, again, 3, 'again.1'),
    relu(out, b),
  ]
  const kernels = fuse(PASS, equations, { kept: new Set([again, out]) })
  expect(namesOf(kernels)).toEqual(['a', 'b', 'c', 'out'])
  expect(new Set(kernels.flatMap(({ equation: e }) => writes(e)))).toEqual(new Set([again, out]))
  expectSameValues(kernels, equations, [again, out])
})

test('what is joined with itself is copied once', () => {
  const equations = [conv(a, x), copy(a, joined, 0, 'joined.0'), copy(a, joined, 2, 'joined.1')]
  const kernels = fuse(PASS, equations, { kept: new Set([joined]) })
  expect(namesOf(kernels)).toEqual(['a', 'joined.0'])
  expectSameValues(kernels, equations, [joined])
})

test('a kernel that reads what its other points write is found, one that reads another part is sound', () => {
  const [n, c, h, w] = [axis('n', 'n'), axis('c', 2), axis('h', 4), axis('w', 4)]
  const shifted = (by: number): Equation =>
    equation('shifted', ['shifted'], [n, c, h, w], [store(joined, [n, c, h, w], load(joined, n, plus(c, by), h, w))])
  expect(verifyEquation(shifted(2))).toEqual([])
  expect(verifyEquation(shifted(1))).toEqual(['shifted reads elements of joined that other points of it write'])
  expect([shifted(2), shifted(1), shifted(0)].map(updatesInPlace)).toEqual([false, true, true])
})

describe('leaves alone', () => {
  const program = [conv(a, x), copy(a, joined, 0, 'joined.0'), relu(out, a)]
  const half: Tensor = { ...tensor('half', ['n', 4, 4, 4], 'f16') }
  const sum = each(b, (at) => add(load(a, ...at), load(x, ...at)))
  const made = { ...conv(out, b), fusedProducer: { axes: sum.axes, store: sum.stores[0]! } }
  test.each<[string, readonly Equation[], Partial<FusionContext>]>([
    ['a result of the program', program, { kept: new Set([a]) }],
    ['a tensor with two shapes', program, { viewOf: new Map([[b, a]]) }],
    ['a reader of style split', program, { unfusedLayers: new Set(['out']) }],
    ['a copy of style split', program, { unfusedLayers: new Set(['joined.0']) }],
    ['an input', [copy(x, joined, 0, 'joined.0'), relu(out, x)], {}],
    ['what is joined along another axis', [conv(a, x), copy(a, tensor('tall', ['n', 2, 8, 4]), 0, 'tall.0'), relu(out, a)], {}],
    ['what is stored in another type', [conv(a, x), copy(a, half, 0, 'half.0'), relu(out, a)], {}],
    ['what is written behind the copy', [copy(a, joined, 0, 'joined.0'), scaled(a, x)], {}],
    ['what a convolution makes as it loads it', [conv(a, x), made, copy(b, joined, 0, 'joined.0'), relu(x, b)], {}],
  ])('%s', (_, equations, changes) => {
    const kernels = fuse(PASS, equations, changes)
    expect(kernels.map(({ equation: e }) => e)).toEqual(equations)
    expect(remarksOf(kernels)).toBe('')
  })
})
