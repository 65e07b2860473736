import type { Statement, Operand } from '../../codegen/kernel-function.ts'

/** Names that a text gives. */
export function* namesIn(body: readonly Statement[]): Generator<string> {
  for (const s of body) {
    if (s.kind === 'let' || s.kind === 'var' || s.kind === 'for') yield s.name
    if (s.kind === 'for' || s.kind === 'if' || s.kind === 'step') yield* namesIn(s.body)
  }
}

export function* namesOf(term: Operand): Generator<string> {
  if (term.kind === 'name') yield term.name
  else if (term.kind === 'operation') { for (const arg of term.args) yield* namesOf(arg) }
}

/** How much an index grows from round to round, if it does so evenly: by what is known of the names inside the loop. */
export function growthOf(term: Operand, growth: ReadonlyMap<string, number>, inside: ReadonlySet<string>): number | undefined {
  if (term.kind === 'number') return 0
  if (term.kind === 'name') return growth.get(term.name) ?? (inside.has(term.name) ? undefined : 0)
  if (term.kind !== 'operation') return undefined
  const [a, b] = term.args.map((arg) => growthOf(arg, growth, inside))
  if (term.op === 'iadd' && a !== undefined && b !== undefined) return a + b
  const factor = term.args[1]
  if (term.op === 'imul' && a !== undefined && factor?.kind === 'number') return a * factor.value
  return undefined
}
