import { expect, test } from 'vitest'
import { axis, index } from '../../compiler/ir/affine.ts'
import { reductions } from '../../compiler/ir/analysis.ts'
import { type Equation, equation, store } from '../../compiler/ir/equation.ts'
import { div, load, sqrt, square, sub, sum } from '../../compiler/ir/expression.ts'
import { storedAt } from '../../compiler/ir/inline.ts'
import { flattenAxes, flattenReductions, overAxes, splitAxis } from '../../compiler/ir/reshape.ts'
import { tensor } from '../../compiler/ir/tensor.ts'

const [b, c, h, w, h2, w2] = [axis('b', 2), axis('c', 12), axis('h', 3), axis('w', 5), axis('h', 3), axis('w', 5)]
const x = tensor('x', [2, 12, 3, 5])
const [means, variances, deviations] = ['means', 'variances', 'deviations'].map((name) => tensor(name, [2, 12]))

/** Two sums: the mean, which is part of the variance's, and the squares, which two stores share. */
const mean = div(sum([h, w], load(x, b, c, h, w)), 15)
const variance = div(sum([h2, w2], square(sub(load(x, b, c, h2, w2), mean))), 15)
const moments = equation('moments', [], [b, c], [
  store(means!, [b, c], mean),
  store(variances!, [b, c], variance),
  store(deviations!, [b, c], sqrt(variance)),
])

const sumsOf = (e: Equation): number => new Set(e.stores.flatMap((s) => reductions(s.value))).size

test('sums that stores share stay one, whatever axes are cut, joined or replaced', () => {
  expect(sumsOf(moments)).toBe(2)
  const cut = splitAxis(moments, c, 4).equation
  expect(cut.axes).toHaveLength(3)
  expect(sumsOf(cut)).toBe(2)
  const joined = flattenAxes(moments)
  expect(joined.axes).toHaveLength(1)
  expect(sumsOf(joined)).toBe(2)
  expect(sumsOf(overAxes(moments, new Map([[b, 1]]), [c]))).toBe(2)
})

test('a sum within another stays the one that others have, where the axes of both are joined', () => {
  const rows = flattenReductions(moments)
  expect(rows.stores.flatMap((s) => reductions(s.value)).every((r) => r.axes.length === 1)).toBe(true)
  expect(sumsOf(rows)).toBe(2)
})

test('a sum within another stays the one that is beside it, where both get axes of their own', () => {
  const normalized = sub(mean, variance)
  const made = storedAt(store(means!, [b, c], normalized), [index(b), index(c)])
  const sums = reductions(made)
  expect(new Set(sums).size).toBe(2)
  expect(sums.some((r) => [h, w, h2, w2].some((a) => r.axes.includes(a)))).toBe(false)
})
