import { expect, test } from 'vitest'
import { lower } from '../../compiler/codegen/gpu/lower.ts'
import type { Schedule } from '../../compiler/codegen/gpu/schedule.ts'
import { type Axis, axis, divide, plus, remainder, times } from '../../compiler/ir/affine.ts'
import { equation, store } from '../../compiler/ir/equation.ts'
import { add, exp, type Expression, guard, load, max, mul, select, within } from '../../compiler/ir/expression.ts'
import { tensor } from '../../compiler/ir/tensor.ts'
import { differenceFrom } from './run-kernel-function.ts'

const [x, y] = [tensor('x', ['n', 8]), tensor('y', ['n', 8])]
const [n, i] = [axis('n', 'n'), axis('i', 8)]
const of = (value: Expression) => equation('e', ['e'], [n, i], [store(y, [n, i], value)])
const tiled = (size: number, lanes?: Axis): Schedule => ({
  tile: new Map([[i, size]]),
  ...(lanes && { lanes }),
  serial: [],
  unroll: new Map(),
})

/** Each against the interpreter: point by point, four points of a tile, a tile that hangs over the edge, four points in a vector. */
const cases: [string, Expression][] = [
  ['arithmetic', add(mul(load(x, n, i), 2), exp(mul(load(x, n, i), -1)))],
  ['a shift that leaves the map', guard([within(plus(i, -3), 8)], load(x, n, plus(i, -3)), 7)],
  ['neighbours that meet', max(load(x, n, i), guard([within(plus(i, 1), 8)], load(x, n, plus(i, 1)), 0))],
  ['divided and wrapped indices', add(load(x, n, divide(i, 3)), load(x, n, remainder(times(i, 3), 8)))],
  ['a choice', select('lt', load(x, n, i), 1.5, load(x, n, 0), load(x, n, i))],
  ['one value for all points', load(x, n, 5)],
]
test.each(cases)('%s', (_, value) => {
  for (const schedule of [tiled(1), tiled(4), tiled(3), tiled(4, i)])
    expect(differenceFrom(of(value), lower(of(value), schedule), 2)).toBeLessThan(1e-12)
})
