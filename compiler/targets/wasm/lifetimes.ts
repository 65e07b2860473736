import { forEachPart, type Operand, type Statement } from '../../codegen/kernel-function.ts'

/** A block: the names that it gives, and the last of its statements so far that mentions each, in the order in which it does so. */
interface Block {
  readonly last: Map<string, number>
  /** The statement that is being looked at. */
  statement: number
}

/**
 * Lists for each block of a body, and each statement of it, the names that the block gives and that no later statement of it mentions. Their locals
 * are then free. Names are given once in a body.
 */
export function lastMentions(body: readonly Statement[]): ReadonlyMap<readonly Statement[], readonly (readonly string[])[]> {
  const found = new Map<readonly Statement[], readonly (readonly string[])[]>()
  const blockOf = new Map<string, Block>()
  const mention = (name: string): void => {
    const block = blockOf.get(name)
    if (!block || block.last.get(name) === block.statement) return
    block.last.delete(name)
    block.last.set(name, block.statement)
  }
  const within = (t: Operand): void => (t.kind === 'name' ? mention(t.name) : forEachPart(t, within))
  const withinAll = (terms: readonly Operand[]): void => {
    for (let i = 0; i < terms.length; i++) within(terms[i]!)
  }
  const visit = (block: readonly Statement[]): void => {
    const own: Block = { last: new Map(), statement: 0 }
    for (let i = 0; i < block.length; i++) {
      const s = block[i]!
      own.statement = i
      switch (s.kind) {
        case 'let':
        case 'var':
          blockOf.set(s.name, own)
          mention(s.name)
          within(s.value)
          break
        case 'set':
          mention(s.name)
          within(s.value)
          break
        case 'store':
          within(s.at)
          within(s.value)
          break
        case 'storeInterleaved':
          within(s.at)
          withinAll(s.values)
          break
        case 'count':
          withinAll(s.values)
          break
        case 'if':
          within(s.condition)
          visit(s.body)
          break
        case 'for':
          if (s.from) within(s.from)
          within(s.extent)
          visit(s.body)
          break
        case 'step':
          visit(s.body)
          break
        case 'barrier':
      }
    }
    const last: string[][] = block.map(() => [])
    for (const [name, statement] of own.last) last[statement]!.push(name)
    found.set(block, last)
  }
  visit(body)
  return found
}
