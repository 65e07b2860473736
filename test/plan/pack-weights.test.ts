import { expect, test } from 'vitest'
import { axis } from '../../compiler/ir/affine.ts'
import { equation, type Equation, reads, store, writes } from '../../compiler/ir/equation.ts'
import { load, neg } from '../../compiler/ir/expression.ts'
import { tensor, type Tensor } from '../../compiler/ir/tensor.ts'
import { packWeights } from '../../compiler/pack-weights.ts'

const prepared = (name: string): Tensor => ({ ...tensor(name, [4]), storage: { role: 'prepared', slot: name, offset: 0 } })

function negated(to: Tensor, from: Tensor): Equation {
  const i = axis('i', 4)
  return equation(to.name, [], [i], [store(to, [i], neg(load(from, i)))])
}

const parameter: Tensor = { ...tensor('weight', [4]), storage: { role: 'parameters', offset: 0 } }
const [folded, packed] = [prepared('folded'), prepared('packed')]
const folding = negated(folded, parameter)
const lowered = { equations: [folding], viewOf: new Map(), kept: new Set([folded]) }
const packing = [[negated(packed, folded)]]

test('a weight that is read packed alone is no longer stored; the same net packed again has the same equations', () => {
  const [first, second] = [1, 2].map(() => packWeights(lowered, { equations: packing, read: new Set(['prepared.packed']) }).equations)
  expect(first).toHaveLength(2)
  expect(writes(first![0]!)[0]!.storage).toBeUndefined()
  expect(reads(first![1]!)[0]).toBe(writes(first![0]!)[0])
  expect(writes(first![1]!)[0]!.storage).toEqual(packed.storage)
  expect(second![0]).toBe(first![0])
  expect(second![1]).toBe(first![1])
})

test('a weight that is read as it is, too, stays: its equation is left alone', () => {
  const [fold] = packWeights(lowered, { equations: packing, read: new Set(['prepared.packed', 'prepared.folded']) }).equations
  expect(fold).toBe(folding)
})
