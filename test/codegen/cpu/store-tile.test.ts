import { expect, test } from 'vitest'
import type { LoopNest } from '../../../compiler/codegen/cpu/loop-nest.ts'
import { lowerLoopNest } from '../../../compiler/codegen/cpu/lower.ts'
import type { Statement } from '../../../compiler/codegen/kernel-function.ts'
import { axis, plus, times } from '../../../compiler/ir/affine.ts'
import { equation, store } from '../../../compiler/ir/equation.ts'
import { add, load, mul, sum } from '../../../compiler/ir/expression.ts'
import { tensor } from '../../../compiler/ir/tensor.ts'
import { runKernelFunction } from '../run-kernel-function.ts'

/** What is added to zeros, and the lanes of each store, where 3 x 3 sums of a row are taken in lanes; `apart`: places from one sum to the next. */
function sums(apart: number): { got: number[]; lanes: number[] } {
  const [task, i, j, step] = [axis('task', 1), axis('i', 3), axis('j', 3), axis('step', 8)]
  const [rows, map, into] = [tensor('rows', [3, 8]), tensor('map', [3, 8]), tensor('into', [3, 3 * apart])]
  const at = [i, plus(times(j, apart), 0)] as const
  const e = equation('sums', [], [task, i, j], [
    store(into, at, add(load(into, ...at), sum([step], mul(load(rows, i, step), load(map, j, step))))),
  ])
  const nest: LoopNest = {
    grid: [task],
    stages: [{ equation: e, loops: [{ axis: i, tile: 3 }, { axis: j, tile: 3 }], vectorReduction: step, unroll: new Map([[step, 2]]) }],
    scratch: [],
    summary: '',
  }
  const f = lowerLoopNest(e, nest)
  const found = new Float64Array(9 * apart).fill(100)
  runKernelFunction(
    f,
    new Map([[rows, Float64Array.from({ length: 24 }, (_, k) => k)], [map, new Float64Array(24).fill(2)], [into, found]]),
    1,
  )
  const lanes: number[] = []
  const visit = (s: Statement): void => {
    if (s.kind === 'store') lanes.push(s.lanes ?? 1)
    if ('body' in s) { for (const inner of s.body) visit(inner) }
  }
  for (const s of f.body) visit(s)
  return { got: [...found].filter((_, k) => k % apart === 0), lanes }
}

// Rows of 0 to 23, eight in each: 28, 92 and 156, twice each.
const want = [28, 28, 28, 92, 92, 92, 156, 156, 156].map((s) => 100 + 2 * s)

test('four sums taken in lanes that lie side by side are added to what is there as one vector', () => {
  expect(sums(1)).toEqual({ got: want, lanes: [4, 4, 1] })
})

test('sums that lie apart are added one by one', () => {
  expect(sums(2)).toEqual({ got: want, lanes: Array.from({ length: 9 }, () => 1) })
})
