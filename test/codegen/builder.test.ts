import { describe, expect, test } from 'vitest'
import { KernelBuilder } from '../../compiler/codegen/builder.ts'
import { float, int } from '../../compiler/codegen/operands.ts'
import type { Operand, Statement } from '../../compiler/codegen/kernel-function.ts'
import { axis, index, plus, times } from '../../compiler/ir/affine.ts'

/** A builder with its outermost scope, an axis that the grid counts, and a load that depends on it. */
function started() {
  const builder = new KernelBuilder('k')
  builder.openScope()
  const row = builder.loopVariable(axis('row', 8), 1, 0)
  const load = (at: Operand): Operand =>
    builder.value({ kind: 'load', binding: 0, at }, `l(${builder.key(at)})`, 'f32', 1, builder.depth(at))
  return { builder, row, load, statements: builder.scopes[0]!.statements }
}

const kinds = (body: readonly Statement[]): string[] => body.map((s) => s.kind)

describe('value numbering', () => {
  test('an operation on the same operands is emitted once', () => {
    const { builder, row, load, statements } = started()
    const value = load(builder.variableOperand(row))
    expect(builder.op('mul', [value, float(2)])).toBe(builder.op('mul', [value, float(2)]))
    expect(builder.op('mul', [value, float(3)])).not.toBe(builder.op('mul', [value, float(2)]))
    expect(kinds(statements)).toEqual(['let', 'let', 'let'])
  })

  test('indices that differ in a constant share the sum of their variables', () => {
    const { builder, row, statements } = started()
    const base = plus(times(row, 3), 1)
    const [a, b] = [builder.indexOperand(base), builder.indexOperand(plus(base, 4))]
    expect(a).toMatchObject({ kind: 'operation', op: 'iadd', args: [{ kind: 'name' }, { value: 1 }] })
    expect(b).toMatchObject({ kind: 'operation', op: 'iadd', args: [{ kind: 'name' }, { value: 5 }] })
    expect(statements).toHaveLength(1)
    expect(builder.key(a)).not.toBe(builder.key(b))
  })

  test('adding zero and multiplying by it emits nothing', () => {
    const { builder, row, load, statements } = started()
    const value = load(builder.variableOperand(row))
    expect(builder.arithmetic('add', float(0), value)).toBe(value)
    expect(builder.arithmetic('mul', value, float(0))).toEqual(float(0))
    expect(statements).toHaveLength(1)
  })
})

describe('loop-invariant code motion', () => {
  test('what does not change in a loop is computed before it, what does inside', () => {
    const { builder, row, load, statements } = started()
    let column: Operand | undefined
    builder.loop(axis('column', 4), 1, (at) => {
      column = builder.indexOperand(at)
      load(builder.variableOperand(row))
      load(column)
    })
    expect(kinds(statements)).toEqual(['let', 'for'])
    const [, loop] = statements as [Statement, Extract<Statement, { kind: 'for' }>]
    expect(kinds(loop.body)).toEqual(['let'])
    expect(builder.depth(column!)).toBe(1)
  })

  test('a loop of one round is no loop', () => {
    const { builder, statements } = started()
    builder.loop(axis('k', 4), 4, (at) => expect(at.terms).toEqual([]))
    expect(statements).toEqual([])
  })
})

describe('guards', () => {
  test('an index that lies inside whatever its variables are needs no comparison', () => {
    const { builder, row, statements } = started()
    expect(builder.within(index(row), 8)).toEqual({ kind: 'truth', value: true })
    expect(builder.within(plus(row, 8), 8)).toEqual({ kind: 'truth', value: false })
    expect(statements).toEqual([])
    expect(builder.within(plus(row, 1), 8)).toMatchObject({ kind: 'name', type: 'bool' })
  })

  test('statements with one condition share a branch as long as they are neighbours', () => {
    const { builder, row, statements } = started()
    const condition = builder.within(plus(row, 1), 8)
    const store = (k: number): Statement => ({ kind: 'store', binding: 1, at: int(k), value: float(k) })
    builder.pushGuarded(condition, store(0))
    builder.pushGuarded(condition, store(1))
    builder.pushGuarded({ kind: 'truth', value: true }, store(2))
    builder.pushGuarded({ kind: 'truth', value: false }, store(3))
    builder.pushGuarded(condition, store(4))
    expect(kinds(statements)).toEqual(['let', 'if', 'store', 'if'])
    expect((statements[1] as Extract<Statement, { kind: 'if' }>).body).toEqual([store(0), store(1)])
  })

  test('inside a branch its condition holds', () => {
    const { builder, row } = started()
    const condition = builder.within(plus(row, 1), 8)
    builder.ifAll([condition], () => expect(builder.all([condition])).toEqual({ kind: 'truth', value: true }))
    expect(builder.all([condition])).toBe(condition)
  })
})

test('a sum of many is a balanced tree', () => {
  const { builder, row, load, statements } = started()
  const values = [0, 1, 2, 3].map((k) => load(builder.indexOperand(plus(row, k))))
  builder.balancedSum(values)
  const sums = statements.slice(4).map((s) => (s as Extract<Statement, { kind: 'let' }>))
  expect(sums.map(({ value }) => (value as Extract<Operand, { kind: 'operation' }>).args)).toEqual([
    values.slice(0, 2),
    values.slice(2),
    sums.slice(0, 2).map(({ name }) => expect.objectContaining({ name })),
  ])
})
