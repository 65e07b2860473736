import type { Operand } from '../../codegen/kernel-function.ts'
import * as operands from '../../codegen/operands.ts'

/** An index as what is computed and what is added to it. */
export function split(at: Operand): { base: Operand | undefined; offset: number } {
  if (at.kind === 'number') return { base: undefined, offset: at.value }
  if (at.kind === 'operation' && at.op === 'iadd' && at.args[1]!.kind === 'number') return { base: at.args[0]!, offset: at.args[1]!.value }
  return { base: at, offset: 0 }
}

export function plusConstant(at: Operand, by: number): Operand {
  const { base, offset } = split(at)
  const constant = operands.int(offset + by)
  return base ? operands.operation('iadd', [base, constant], 'i32', 1) : constant
}
