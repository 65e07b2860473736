import { describe, expect, test } from 'vitest'
import type { FusionContext } from '../../compiler/fusion/kernel-pass.ts'
import { axis } from '../../compiler/ir/affine.ts'
import { equation, type Equation, store } from '../../compiler/ir/equation.ts'
import { add, type Expression, load, mul, sum } from '../../compiler/ir/expression.ts'
import { tensor, type Tensor } from '../../compiler/ir/tensor.ts'
import { expectSameValues, fuse, map, namesOf, remarksOf } from './hand-built.ts'

const PASS = 'fuse-updates'
const x = map('x')
const [mean, running, other] = ['mean', 'running', 'other'].map((name) => tensor(name, [2])) as [Tensor, Tensor, Tensor]

/** A number for each of 2 channels, or more. */
const perChannel = (result: Tensor, value: (c: ReturnType<typeof axis>) => Expression, channels = 2): Equation => {
  const c = axis('c', channels)
  return equation(result.name, [result.name], [c], [store(result, [c], value(c))])
}
const merge = perChannel(mean, (c) => {
  const [n, h, w] = [axis('n', 'n'), axis('h', 4), axis('w', 4)]
  return mul(sum([n, h, w], load(x, n, c, h, w)), 1 / 48)
})
const update = perChannel(running, (c) => add(mul(load(running, c), 0.9), mul(load(mean, c), 0.1)))

test('joins an update of running statistics to the kernel that makes the statistics of the batch', () => {
  const kernels = fuse(PASS, [merge, update])
  expect(namesOf(kernels)).toEqual(['mean+running'])
  expect(remarksOf(kernels)).toBe('running is made here too')
  expectSameValues(kernels, [merge, update], [mean, running])
})

describe('leaves alone', () => {
  const between = perChannel(other, (c) => load(x, 0, c, 0, 0))
  test.each<[string, readonly Equation[], Partial<FusionContext>]>([
    ['a layer of style split', [merge, update], { unfusedLayers: new Set(['running']) }],
    ['a reader of other points', [merge, perChannel(running, () => load(mean, 0))], {}],
    ['another number of points', [merge, perChannel(tensor('wide', [3]), () => load(mean, 0), 3)], {}],
    ['a reader that sums up', [
      merge,
      perChannel(running, () => {
        const k = axis('k', 2)
        return sum([k], load(mean, k))
      }),
    ], {}],
    ['what reads something made in between too', [merge, between, perChannel(running, (c) => add(load(mean, c), load(other, c)))], {
      unfusedLayers: new Set(['other']),
    }],
    ['what a kernel in between reads', [merge, perChannel(other, () => load(running, 1)), update], { unfusedLayers: new Set(['other']) }],
    ['more bindings than are granted', [merge, update], { maxBindings: 2 }],
  ])('%s', (_, program, changes) => {
    expect(fuse(PASS, program, changes).map(({ equation: e }) => e)).toEqual(program)
  })
})
