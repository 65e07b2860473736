import { expect, test } from 'vitest'
import { clearCompileCache } from '../../compiler/compile-cache.ts'
import { axis } from '../../compiler/ir/affine.ts'
import { type Equation, equation, store } from '../../compiler/ir/equation.ts'
import { load } from '../../compiler/ir/expression.ts'
import { endWork } from '../../compiler/ir/once-by-node.ts'
import { firstOfShape, onceByShape } from '../../compiler/ir/once-by-shape.ts'
import { tensor } from '../../compiler/ir/tensor.ts'

const copyOf = (elements: number): Equation => {
  const i = axis('i', elements)
  return equation('copy', [], [i], [store(tensor('y', [elements]), [i], load(tensor('x', [elements]), i))])
}

test('equations of one shape are answered once, until everything is forgotten', () => {
  let asked = 0
  const answer = onceByShape(() => ++asked)
  expect([answer(copyOf(8)), answer(copyOf(8)), answer(copyOf(4))]).toEqual([1, 1, 2])
  clearCompileCache()
  expect([answer(copyOf(8)), answer(copyOf(8))]).toEqual([3, 3])
})

test('the first equation of a shape stands for all of them until the work with them ends', () => {
  endWork()
  const [a, b, other] = [copyOf(8), copyOf(8), copyOf(4)]
  expect([a, b, other].map(firstOfShape)).toEqual([a, a, other])
  expect(firstOfShape(b)).toBe(a)
  endWork()
  expect(firstOfShape(b)).toBe(b)
})
