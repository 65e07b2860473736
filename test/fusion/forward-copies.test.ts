import { describe, expect, test } from 'vitest'
import type { FusionContext } from '../../compiler/fusion/kernel-pass.ts'
import { plus } from '../../compiler/ir/affine.ts'
import { type Equation, equation, store } from '../../compiler/ir/equation.ts'
import { load, mul } from '../../compiler/ir/expression.ts'
import type { Tensor } from '../../compiler/ir/tensor.ts'
import { conv, each, expectSameValues, fuse, map, namesOf, relu, remarksOf } from './hand-built.ts'

const PASS = 'forward-copies'
const [x, a, b] = [map('x'), map('a'), map('b')]
const joined = map('concat', 4)

/** Copies a map of 2 channels into those of another from `first` on. */
function copy(source: Tensor, first: number, name: string): Equation {
  const { axes, stores: [plain] } = each(source, (at) => load(source, ...at))
  const [n, c, h, w] = axes
  return equation(name, [name], axes, [store(joined, [n!, plus(c!, first), h!, w!], plain!.value)])
}
const concat = [copy(a, 0, 'concat.0'), copy(b, 2, 'concat.1')]

test('joins copies into slices to the kernels that make what is copied', () => {
  const equations = [conv(a, x), relu(b, x), ...concat]
  const kernels = fuse(PASS, equations, { kept: new Set([joined]) })
  expect(namesOf(kernels)).toEqual(['a', 'b'])
  expect(kernels.map(({ equation: e }) => e.stores.map((s) => s.tensor.name))).toEqual([['concat'], ['concat']])
  expect(kernels.map(({ why }) => why.join())).toEqual([
    'stores at once where concat.0 would have copied it',
    'stores at once where concat.1 would have copied it',
  ])
  expectSameValues(kernels, equations, [joined])
})

describe('leaves alone', () => {
  const fromRest = each(a, ([n, c, h, w]) => load(joined, n, plus(c, 2), h, w))
  const halved = { ...concat[0]!, stores: concat[0]!.stores.map((s) => ({ ...s, value: mul(s.value, 0.5) })) }
  test.each<[string, readonly Equation[], Partial<FusionContext>]>([
    ['what another kernel reads too', [conv(a, x), relu(b, a), concat[0]!], {}],
    ['a result of the program', [conv(a, x), concat[0]!], { kept: new Set([a]) }],
    ['a tensor with two shapes', [conv(a, x), concat[0]!], { viewOf: new Map([[b, a]]) }],
    ['a layer of style split', [conv(a, x), concat[0]!], { unfusedLayers: new Set(['a']) }],
    ['an input', [concat[0]!], {}],
    ['what is changed on the way', [conv(a, x), halved], {}],
    ['what is made of the rest of its target', [fromRest, concat[0]!], {}],
  ])('%s', (_, program, changes) => {
    const kernels = fuse(PASS, program, changes)
    expect(kernels.map(({ equation: e }) => e)).toEqual(program)
    expect(remarksOf(kernels)).toBe('')
  })
})
