import type { Statement, Operand } from '../../codegen/kernel-function.ts'

/** Names that a text gives. */
export function* namesIn(body: readonly Statement[]): Generator<string> {
  for (const s of body) {
    if (s.kind === 'let' || s.kind === 'var' || s.kind === 'for') yield s.name
    if (s.kind === 'for' || s.kind === 'if' || s.kind === 'step') yield* namesIn(s.body)
  }
}

export function* namesOf(operand: Operand): Generator<string> {
  if (operand.kind === 'name') yield operand.name
  else if (operand.kind === 'operation') { for (const arg of operand.args) yield* namesOf(arg) }
}

/** How much an index grows from round to round, if it does so evenly: by what is known of the names inside the loop. */
export function growthOf(operand: Operand, growth: ReadonlyMap<string, number>, inside: ReadonlySet<string>): number | undefined {
  if (operand.kind === 'number') return 0
  if (operand.kind === 'name') return growth.get(operand.name) ?? (inside.has(operand.name) ? undefined : 0)
  if (operand.kind !== 'operation') return undefined
  const [a, b] = operand.args.map((arg) => growthOf(arg, growth, inside))
  if (operand.op === 'iadd' && a !== undefined && b !== undefined) return a + b
  const factor = operand.args[1]
  if (operand.op === 'imul' && a !== undefined && factor?.kind === 'number') return a * factor.value
  return undefined
}
