import { partsOf } from '../../codegen/inline-lets.ts'
import type { Statement, Operand } from '../../codegen/kernel-function.ts'

/** For each statement of a block: the names that the block gives and that no later statement mentions. Their locals are then free. */
export function lastMentions(body: readonly Statement[]): readonly (readonly string[])[] {
  const own = new Set<string>()
  for (const s of body) if (s.kind === 'let' || s.kind === 'var') own.add(s.name)
  const last: string[][] = body.map(() => [])
  for (let i = body.length - 1; i >= 0 && own.size > 0; i--)
    mentions(body[i]!, (name) => {
      if (own.delete(name)) last[i]!.push(name)
    })
  return last
}

function mentions(s: Statement, say: (name: string) => void): void {
  const within = (t: Operand): void => {
    if (t.kind === 'name') say(t.name)
    else partsOf(t).forEach(within)
  }
  switch (s.kind) {
    case 'let':
    case 'var':
    case 'set':
      say(s.name)
      within(s.value)
      return
    case 'store':
      within(s.at)
      within(s.value)
      return
    case 'storeInterleaved':
      within(s.at)
      s.values.forEach(within)
      return
    case 'count':
      s.values.forEach(within)
      return
    case 'if':
      within(s.condition)
      break
    case 'for':
      if (s.from) within(s.from)
      within(s.extent)
      break
    case 'step':
      break
    case 'barrier':
      return
  }
  for (const inner of s.body) mentions(inner, say)
}
