import { expect, test } from 'vitest'
import { lowerLoopNest } from '../../../compiler/codegen/cpu/lower.ts'
import { pointStage } from '../../../compiler/codegen/cpu/loop-nest.ts'
import { chosenLoad } from '../../../compiler/codegen/chosen-load.ts'
import { axis, plus } from '../../../compiler/ir/affine.ts'
import { equation, store } from '../../../compiler/ir/equation.ts'
import { add, type Expression, guard, load, within } from '../../../compiler/ir/expression.ts'
import { tensor } from '../../../compiler/ir/tensor.ts'
import { elementCount, evaluateEquation } from '../../../compiler/targets/interpreter/evaluate.ts'
import type { KernelFunction, Statement } from '../../../compiler/codegen/kernel-function.ts'
import { runKernelFunction } from '../run-kernel-function.ts'

const [x, z, y] = [tensor('x', ['n', 9, 8]), tensor('z', ['n', 9, 8]), tensor('y', ['n', 6, 8])]
const [n, c, w] = [axis('n', 'n'), axis('c', 6), axis('w', 8)]

/** Channels from `from` on, `count` of them, taken from as many of a map's from `source` on. */
const part = (from: number, count: number, source: number, map = x): Expression =>
  guard([within(plus(c, -from), count)], load(map, n, plus(c, source - from), w))
/** The same along the axis that lies in lanes. */
const columns = (from: number, count: number, source: number): Expression =>
  guard([within(plus(w, -from), count)], load(x, n, c, plus(w, source - from)))

const lowered = (value: Expression, inTask: boolean): { e: ReturnType<typeof equation>; f: KernelFunction } => {
  const e = equation('e', ['e'], [n, c, w], [store(y, [n, c, w], value)])
  const grid = inTask ? [n] : [n, c]
  return { e, f: lowerLoopNest(e, { grid, stages: [pointStage(e, grid)], scratch: [], summary: '' }) }
}

/** Vectors that a kernel loads. */
const vectors = (statements: readonly Statement[]): number =>
  statements.reduce(
    (count, s) =>
      count +
      (s.kind === 'for' || s.kind === 'if' ? vectors(s.body) : s.kind === 'let' && s.value.kind === 'load' && s.value.lanes === 4 ? 1 : 0),
    0,
  )

const permuted: readonly [string, Expression, number][] = [
  ['three parts in another order', add(part(4, 2, 0), part(0, 1, 8), part(1, 3, 3)), 1],
  ['two, each a half', add(part(0, 3, 3), part(3, 3, 0)), 1],
  ['single channels', add(...[5, 3, 1, 0, 2, 4].map((source, at) => part(at, 1, source))), 1],
  ['a channel that no part has', add(part(0, 2, 3), part(3, 3, 0)), 2],
  ['a channel that two have', add(part(0, 4, 3), part(3, 3, 0)), 2],
  ['two maps', add(part(0, 3, 3), part(3, 3, 0, z)), 2],
]

test.each(permuted)('%s', (_, value, loads) => {
  expect(chosenLoad(value as Parameters<typeof chosenLoad>[0]) !== undefined).toBe(loads === 1)
  for (const inTask of [false, true]) {
    const { e, f } = lowered(value, inTask)
    expect(vectors(f.body)).toBe(loads)
    const numbers = () =>
      new Map([x, z, y].map((t, k) => [t, Float64Array.from({ length: elementCount(t, 2) }, (_, i) => Math.sin(1 + i + 100 * k))] as const))
    const [want, got] = [numbers(), numbers()]
    evaluateEquation(e, want, { batch: 2 })
    runKernelFunction(f, got, 2)
    expect(got.get(y)).toEqual(want.get(y))
  }
})

test('a zero has no sign, infinities and NaN are the chosen ones alone', () => {
  const { e, f } = lowered(add(part(3, 3, 0), part(0, 3, 3)), false)
  const numbers = () =>
    new Map(
      [x, y].map((t) =>
        [t, Float64Array.from({ length: elementCount(t, 1) }, (_, i) => [-0, NaN, Infinity, 0, -Infinity][i % 5]!)] as const
      ),
    )
  const [want, got] = [numbers(), numbers()]
  evaluateEquation(e, want, { batch: 1 })
  runKernelFunction(f, got, 1)
  expect([...want.get(y)!].some((v) => Object.is(v, -0))).toBe(false)
  expect(got.get(y)).toEqual(want.get(y))
})

test('parts that change along lanes are loaded one by one', () =>
  expect(vectors(lowered(add(columns(0, 4, 4), columns(4, 4, 0)), false).f.body)).toBe(2))
