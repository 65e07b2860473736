import { describe, expect, test } from 'vitest'
import { interiorOf } from '../../../compiler/codegen/cpu/pack-interior.ts'
import { apart, packFactor } from '../../../compiler/codegen/cpu/packing.ts'
import { type Axis, axis, divide, type IndexLike, minus, plus, times } from '../../../compiler/ir/affine.ts'
import { equation, store } from '../../../compiler/ir/equation.ts'
import { type Expression, guard, load, mul } from '../../../compiler/ir/expression.ts'
import { type Tensor, tensor } from '../../../compiler/ir/tensor.ts'
import { evaluateEquation, type Numbers } from '../../../compiler/targets/interpreter/evaluate.ts'

const x = tensor('x', [3, 9, 10])
const data = Float64Array.from({ length: 3 * 9 * 10 }, (_, i) => Math.sin(i))
const [c, h, w, kh, kw] = [axis('c', 3), axis('h', 4), axis('w', 5), axis('kh', 3), axis('kw', 3)]
const axes = [c, h, w, kh, kw]

/** x[c, row, column] with zeros around it. */
const padded = (row: IndexLike, column: IndexLike): Expression =>
  guard([{ kind: 'within', at: plus(row, 0), extent: 9 }, { kind: 'within', at: plus(column, 0), extent: 10 }], load(x, c, row, column))

/** Every value of a factor, at all points of the axes. */
function valuesOf(factor: Expression, storage: Map<Tensor, Numbers>): number[] {
  const all = tensor('all', axes.map((a) => a.extent as number))
  evaluateEquation(equation('read', [], axes, [store(all, axes, factor)]), storage, { batch: 1 })
  return Array.from(storage.get(all)!)
}

/** What a factor gives, read from memory and from its packed copy. */
function compared(factor: Expression, lanes: Axis, innermost?: Axis): { shape: readonly unknown[]; want: number[]; got: number[] } {
  const packed = packFactor('packed', factor, new Set(), lanes, innermost)!
  const storage = new Map<Tensor, Numbers>([[x, data]])
  const want = valuesOf(factor, storage)
  evaluateEquation(packed.equation, storage, { batch: 1 })
  return { shape: packed.into.shape, want, got: valuesOf(packed.value, storage) }
}

describe('a packed factor gives what the factor gives', () => {
  test('windows of stride 1 with padding, the row rounded up to whole vectors', () => {
    const { shape, want, got } = compared(padded(minus(plus(h, kh), 1), minus(plus(w, kw), 1)), w)
    expect(shape).toEqual([3, 6, 8])
    expect(got).toEqual(want)
  })
  test('windows of stride 2: every second element in a row of its own, so that lanes lie side by side', () => {
    const { shape, want, got } = compared(padded(minus(plus(times(h, 2), kh), 1), minus(plus(times(w, 2), kw), 1)), w)
    expect(shape).toEqual([3, 9, 2, 8])
    expect(got).toEqual(want)
  })
  test('windows that are read backwards', () => {
    const { want, got } = compared(padded(minus(plus(h, 2), kh), minus(plus(w, 2), kw)), w)
    expect(got).toEqual(want)
  })
  test('another axis innermost', () => {
    const { shape, want, got } = compared(padded(plus(h, kh), plus(w, kw)), w, c)
    expect(shape).toEqual([6, 7, 3])
    expect(got).toEqual(want)
  })
  test('what is computed on the way is computed once', () => {
    const at = padded(plus(h, kh), plus(w, kw))
    const { want, got } = compared(mul(at, at), w)
    expect(got).toEqual(want)
  })
})

test.each<[string, Expression]>([
  ['an index that is divided', load(x, c, divide(plus(h, kh), 2), w)],
  ['two loads that move differently', mul(load(x, c, plus(h, kh), w), load(x, c, plus(times(h, 2), kh), w))],
])('not packed: %s', (_, factor) => {
  expect(packFactor('packed', factor, new Set(), w)).toBeUndefined()
})

// 64 sets of 12 lines: rows of an odd number of lines begin in all of them, of 10 in 32, of 16 in four.
test.each([[512, 160, 176], [384, 160, 160], [512, 144, 144], [8, 256, 272], [4096, 20, 20]])(
  '%i rows of %i elements are packed as rows of %i, so that a column of them fits into the first cache',
  (rows, row, packedRow) => {
    const [y, position, column] = [tensor('y', [rows, row]), axis('hw', rows), axis('o', row)]
    const packed = apart(packFactor('packed', load(y, position, column), new Set(), column)!)
    expect(packed.into.shape).toEqual([rows, packedRow])
    const storage = new Map<Tensor, Numbers>([[y, Float64Array.from({ length: rows * row }, (_, i) => i)]])
    evaluateEquation(packed.equation, storage, { batch: 1 })
    const [all, points] = [tensor('all', [rows, row]), [position, column]]
    evaluateEquation(equation('read', [], points, [store(all, points, packed.value)]), storage, { batch: 1 })
    expect(storage.get(all)).toEqual(storage.get(y))
  },
)

describe('the inside of a packed map, whose border is zero for all tasks', () => {
  /** Packs a factor whole, and its inside alone into zeros; the extents of the inside. */
  const both = (factor: Expression, lanes: Axis, fixed: readonly Axis[] = []) => {
    const { equation: whole, into } = packFactor('packed', factor, new Set(fixed), lanes)!
    const inside = interiorOf(whole, new Set(fixed))
    const [want, got] = [whole, inside?.equation].map((e) => {
      const storage = new Map<Tensor, Numbers>([[x, data]])
      if (e) evaluateEquation(e, storage, { batch: 1 })
      return Array.from(storage.get(into) ?? [])
    })
    return { want, got, extents: inside?.equation.axes.map((a) => a.extent), value: inside?.equation.stores[0]!.value }
  }
  const [rows, columns] = [axis('h', 9), axis('w', 10)]
  test('windows of stride 1: rows and columns of the map, without a guard', () => {
    const { want, got, extents, value } = both(padded(minus(plus(rows, kh), 1), minus(plus(columns, kw), 1)), columns)
    expect(extents).toEqual([3, 9, 10])
    expect(got).toEqual(want)
    expect(value?.kind).toBe('load')
  })
  test('every second column in a row of its own: the map begins at a whole step', () => {
    const { want, got, extents } = both(padded(minus(plus(rows, kh), 1), minus(plus(times(w, 2), kw), 1)), w)
    expect(extents).toEqual([3, 9, 2, 5])
    expect(got).toEqual(want)
  })
  test('rows of a task keep their guard: which of them lie in the map is another question in each task', () => {
    const task = axis('task', 3)
    const { extents, value } = both(
      padded(minus(plus(times(task, 3), axis('h', 3), kh), 1), minus(plus(columns, kw), 1)),
      columns,
      [task],
    )
    expect(extents).toEqual([3, 3, 5, 10])
    expect(value?.kind === 'guard' && value.guards.length).toBe(1)
  })
  test('what is not zero around the map, or has no border, is packed whole', () => {
    const around = guard(
      [{ kind: 'within', at: minus(plus(columns, kw), 1), extent: 10 }],
      load(x, c, rows, minus(plus(columns, kw), 1)),
      1,
    )
    expect(both(around, columns).extents).toBeUndefined()
    expect(both(load(x, c, rows, columns), columns).extents).toBeUndefined()
  })
})
