import { expect, test } from 'vitest'
import { freeAxes, hasReduction, memoryStride } from '../../compiler/ir/analysis.ts'
import { axis, divide, index, plus, remainder, times } from '../../compiler/ir/affine.ts'
import { add, constant, load, mul, sum } from '../../compiler/ir/expression.ts'
import { tensor } from '../../compiler/ir/tensor.ts'

const [n, h, w, k] = [axis('n', 'n'), axis('h', 12), axis('w', 8), axis('k', 3)]
const x = tensor('x', ['n', 12, 10])

test('values that change with the same axes in the same order share one set; a sum does not change with its own', () => {
  const loaded = load(x, n, h, w)
  expect([...freeAxes(loaded)]).toEqual([n, h, w])
  expect(freeAxes(add(loaded, constant(1)))).toBe(freeAxes(load(x, n, h, w)))
  expect([...freeAxes(sum([k], load(x, n, h, plus(w, k))))]).toEqual([n, h, w])
})

test('a sum is found however deep it lies', () => {
  expect(hasReduction(mul(load(x, n, h, w), constant(2)))).toBe(false)
  expect(hasReduction(mul(add(sum([k], load(x, n, h, k)), constant(1)), constant(2)))).toBe(true)
})

test('places in memory grow by whole rows, maps and images', () => {
  const strides = (at: Parameters<typeof memoryStride>[1]): (number | undefined)[] => [n, h, w, k].map((a) => memoryStride(x, at, a))
  expect(strides([index(n), index(h), plus(w, k)])).toEqual([120, 10, 1, 1])
  expect(strides([index(n), plus(times(h, -2), times(k, 3)), index(w)])).toEqual([120, -20, 1, 30])
  // Unevenly; or so that divisions cancel each other.
  expect(strides([index(n), divide(h, 3), index(w)])).toEqual([120, undefined, 1, 0])
  expect(strides([index(n), divide(h, 3), times(divide(h, 3), -10)])).toEqual([120, 0, 0, 0])
  expect(strides([index(n), remainder(h, 2), plus(w, h)])).toEqual([120, undefined, 1, 0])
})
