import type { Operand } from '../../codegen/kernel-function.ts'

export function forEachName(operand: Operand, say: (name: string) => void): void {
  if (operand.kind === 'name') say(operand.name)
  else if (operand.kind === 'operation') { for (const arg of operand.args) forEachName(arg, say) }
}

/** How much an index grows from round to round, if it does so evenly: by what is known of the names that the loop gives. */
export function growthOf(operand: Operand, growth: ReadonlyMap<string, number>, isGiven: (name: string) => boolean): number | undefined {
  if (operand.kind === 'number') return 0
  if (operand.kind === 'name') return growth.get(operand.name) ?? (isGiven(operand.name) ? undefined : 0)
  if (operand.kind !== 'operation') return undefined
  const [a, b] = operand.args.map((arg) => growthOf(arg, growth, isGiven))
  if (operand.op === 'iadd' && a !== undefined && b !== undefined) return a + b
  const factor = operand.args[1]
  if (operand.op === 'imul' && a !== undefined && factor?.kind === 'number') return a * factor.value
  return undefined
}
