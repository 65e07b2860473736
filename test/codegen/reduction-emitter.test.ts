import { expect, test } from 'vitest'
import { lower } from '../../compiler/codegen/gpu/lower.ts'
import type { Schedule } from '../../compiler/codegen/gpu/schedule.ts'
import { printKernelFunction } from '../../compiler/codegen/print.ts'
import { axis, plus } from '../../compiler/ir/affine.ts'
import { equation, store } from '../../compiler/ir/equation.ts'
import { argmax, div, exp, type Expression, guard, load, maximum, mul, sub, sum, within } from '../../compiler/ir/expression.ts'
import { tensor } from '../../compiler/ir/tensor.ts'
import { differenceFrom } from './run-kernel-function.ts'

const [x, w, y] = [tensor('x', ['n', 8]), tensor('w', [4, 8]), tensor('y', ['n', 4])]
const [n, o, k, t] = [axis('n', 'n'), axis('o', 4), axis('k', 8), axis('t', 3)]
const of = (value: Expression) => equation('e', ['e'], [n, o], [store(y, [n, o], value)])
const plain: Schedule = { tile: new Map(), serial: [], unroll: new Map() }
const schedules: [string, Schedule][] = [
  ['step by step', plain],
  ['unrolled', { ...plain, unroll: new Map([[k, 4], [t, 3]]) }],
  ['for a tile', { ...plain, tile: new Map([[o, 4]]) }],
  ['for a tile beyond the edge', { ...plain, tile: new Map([[o, 3]]), unroll: new Map([[t, 3]]) }],
  ['for a vector of points', { ...plain, tile: new Map([[o, 4]]), lanes: o }],
  ['by a workgroup', { ...plain, share: 4 }],
]

const window = guard([within(plus(o, t, -1), 8)], load(x, n, plus(o, t, -1)))
const scores = mul(load(x, n, k), load(w, o, k))
const largest = maximum([k], scores)
const values: [string, Expression][] = [
  ['a matrix product', sum([k], scores)],
  ['a window that slides', sum([t], window)],
  ['a maximum', largest],
  ['a sum that needs a maximum', sum([k], exp(sub(scores, largest)))],
  ['two sums over the same axes', div(sum([k], scores), sum([k], load(x, n, k)))],
]
test.each(values)('%s', (_, value) => {
  for (const [how, schedule] of schedules) expect(differenceFrom(of(value), lower(of(value), schedule), 2), how).toBeLessThan(1e-12)
})

test('the position of a maximum', () => {
  const e = of(argmax([k], scores))
  for (const [how, schedule] of schedules.filter(([, { share }]) => share === undefined))
    expect(differenceFrom(e, lower(e, schedule), 2), how).toBe(0)
})

test('a maximum and its position come out of one loop', () => {
  const place = tensor('place', ['n', 4])
  const both = equation('e', ['e'], [n, o], [store(y, [n, o], largest), store(place, [n, o], argmax([k], scores))])
  for (const [how, schedule] of schedules.filter(([, { share, tile }]) => share === undefined && tile.size === 0)) {
    const kernel = lower(both, schedule)
    expect(differenceFrom(both, kernel, 2), how).toBeLessThan(1e-12)
    expect(printKernelFunction(kernel).match(/^ *var .*/gm)?.map((line) => line.trim().split(':')[0]), how).toEqual([
      'var most0',
      'var at0',
    ])
  }
})

test('a matrix product of factors that a workgroup stages in two rounds', () => {
  const schedule: Schedule = { ...plain, tile: new Map([[o, 2]]), group: new Map([[o, 2]]), stage: new Map([[k, 4]]) }
  const e = of(sum([k], scores))
  expect(differenceFrom(e, lower(e, schedule), 2)).toBeLessThan(1e-12)
})
