import { expect, test } from 'vitest'
import { IndexArithmetic } from '../../compiler/codegen/index-arithmetic.ts'
import { int } from '../../compiler/codegen/operands.ts'
import type { Operand, Statement } from '../../compiler/codegen/kernel-function.ts'
import { type Axis, axis, divide, index, remainder, plus, times } from '../../compiler/ir/affine.ts'

/** What an operand is where the loop variables have these values, with division that truncates as it does on every target. */
function evaluate(operand: Operand, statements: readonly Statement[], variables: Record<string, number>): number {
  if (operand.kind === 'number') return operand.value
  if (operand.kind === 'name') {
    const definition = statements.find((s) => s.kind === 'let' && s.name === operand.name)
    return definition?.kind === 'let' ? evaluate(definition.value, statements, variables) : variables[operand.name]!
  }
  if (operand.kind !== 'operation') throw new Error(operand.kind)
  const [a, b] = operand.args.map((arg) => evaluate(arg, statements, variables)) as [number, number]
  const results: Partial<Record<typeof operand.op, number>> = { iadd: a + b, imul: a * b, idiv: Math.trunc(a / b), irem: a % b }
  return results[operand.op]!
}

function started(extent: number): { indices: IndexArithmetic; row: Axis; statements: readonly Statement[] } {
  const indices = new IndexArithmetic('k')
  indices.openScope()
  return { indices, row: indices.loopVariable(axis('row', extent), 1, 0), statements: indices.scopes[0]!.statements }
}

test('divides and takes remainders downwards, of what is negative, too', () => {
  const { indices, row, statements } = started(12)
  const at = plus(times(row, 2), -7)
  const [quotient, rest] = [indices.indexOperand(divide(at, 3)), indices.indexOperand(remainder(at, 3))]
  for (let i = 0; i < 12; i++) {
    expect(evaluate(quotient, statements, { row: i })).toBe(Math.floor((2 * i - 7) / 3))
    expect(evaluate(rest, statements, { row: i })).toBe((((2 * i - 7) % 3) + 3) % 3)
  }
})

test('an axis that is not bound in the kernel is ours to mend', () => {
  const { indices } = started(12)
  expect(() => indices.indexOperand(index(axis('other', 3)))).toThrow('k: axis other is not bound')
  expect(indices.indexOperand(index(5))).toEqual(int(5))
})
