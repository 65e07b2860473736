import { expect, test } from 'vitest'
import { axis } from '../../compiler/ir/affine.ts'
import { count, equation, type SideReduction, store } from '../../compiler/ir/equation.ts'
import { div, type Expression, load, mul, select, sqrt, sum } from '../../compiler/ir/expression.ts'
import { printEquation, printEquations } from '../../compiler/ir/print.ts'
import { tensor } from '../../compiler/ir/tensor.ts'

const [x, weight, y] = [tensor('x', ['n', 3]), tensor('weight', [3, 3]), tensor('y', ['n', 3])]
const [n, c] = [axis('n', 'n'), axis('c', 3)]

test('two axes of one name have two names, those of the points first', () => {
  const inner = axis('c', 3)
  const product = equation('fc', ['fc'], [n, c], [store(y, [n, c], sum([inner], mul(load(x, n, inner), load(weight, c, inner))))])
  expect(printEquation(product)).toBe('fc  for n n, c 3\n  y[n, 3] [n, c] = sum(c#2 3: (x[n, c#2] * weight[c, c#2]))')
})

test('an axis that two sums share keeps its name; names begin anew with each equation', () => {
  const [first, second] = [axis('c', 3), axis('c', 3)]
  const both = equation('both', [], [c], [
    store(weight, [c, 0], sum([first], load(weight, c, first))),
    store(weight, [c, 1], sum([second], mul(load(weight, c, second), load(weight, second, c)))),
  ])
  const plain = equation('plain', [], [second], [store(weight, [second, 0], load(weight, second, 1))])
  expect(printEquations([{ equation: both, why: ['a reason'] }, { equation: plain, why: [] }])).toBe(`both  for c 3
  weight[3, 3] [c, 0] = sum(c#2 3: weight[c, c#2])
  weight[3, 3] [c, 1] = sum(c#3 3: (weight[c, c#3] * weight[c#3, c]))
  # a reason

plain  for c 3
  weight[3, 3] [c, 0] = weight[c, 1]
`)
})

test('a value that is used several times is written once, with the axes of the reduction it lies in', () => {
  const [k, row] = [axis('c', 3), tensor('row', [3])]
  const scaled = (): Expression => mul(load(x, n, k), load(row, k), load(row, k))
  const total = sum([k], mul(scaled(), scaled()))
  const e = equation('normalized', [], [n, c], [store(y, [n, c], div(mul(load(x, n, c), total), sqrt(total)))])
  expect(printEquation(e)).toBe(`normalized  for n n, c 3
  $1[c#2] = ((x[n, c#2] * row[c#2]) * row[c#2])
  $2 = sum(c#2 3: ($1[c#2] * $1[c#2]))
  y[n, 3] [n, c] = ((x[n, c] * $2) / sqrt($2))`)
})

test('side sums are of the point that is stored; a count is added', () => {
  const at = [axis('n', 'n'), axis('c', 3)]
  const into = tensor('partials', ['n', 3, 1])
  const side: SideReduction = {
    kind: 'sums',
    source: y,
    keptAxis: c,
    blocks: [{ axis: n, size: 1 }],
    at,
    terms: [mul(load(y, ...at), 2)],
    partials: into,
  }
  const e = { ...equation('copy', [], [n, c], [store(y, [n, c], load(x, n, c))]), sides: [side] }
  expect(printEquation(e)).toBe(`copy  for n n, c 3
  y[n, 3] [n, c] = x[n, c]
  sums of (y[n, c] * 2) along c, in blocks of n 1`)
  const bad = equation('count', [], [n], [count(tensor('bad', [1], 'i32'), select('lt', load(x, n, 0), 0, 1, 0))])
  expect(printEquation(bad)).toBe('count  for n n\n  bad[1] [0] += (x[n, 0] < 0 ? 1 : 0)')
})
