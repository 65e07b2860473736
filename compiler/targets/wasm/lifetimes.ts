import { forEachPart, type Operand, type Statement } from '../../codegen/kernel-function.ts'

interface Block {
  readonly names: Name[]
  /** The statement that is being looked at. */
  statement: number
}

/** A name that a block gives: the last of the block's statements so far that mentions it, and when that first did so. */
interface Name {
  readonly name: string
  readonly block: Block
  statement: number
  order: number
}

/**
 * Lists for each block of a body, and each statement of it, the names that the block gives and that no later statement of it mentions. Their locals
 * are then free. Names are given once in a body.
 */
export function lastMentions(body: readonly Statement[]): ReadonlyMap<readonly Statement[], readonly (readonly string[])[]> {
  const found = new Map<readonly Statement[], readonly (readonly string[])[]>()
  const known = new Map<string, Name>()
  let order = 0
  const give = (name: string, block: Block): void => {
    const given: Name = { name, block, statement: block.statement, order: order++ }
    block.names.push(given)
    known.set(name, given)
  }
  const mention = (name: string): void => {
    const given = known.get(name)
    if (!given || given.statement === given.block.statement) return
    given.statement = given.block.statement
    given.order = order++
  }
  const within = (t: Operand): void => (t.kind === 'name' ? mention(t.name) : forEachPart(t, within))
  const withinAll = (terms: readonly Operand[]): void => {
    for (let i = 0; i < terms.length; i++) within(terms[i]!)
  }
  const visit = (block: readonly Statement[]): void => {
    const own: Block = { names: [], statement: 0 }
    for (let i = 0; i < block.length; i++) {
      const s = block[i]!
      own.statement = i
      switch (s.kind) {
        case 'let':
        case 'var':
          give(s.name, own)
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
    own.names.sort((a, b) => a.order - b.order)
    for (const { name, statement } of own.names) last[statement]!.push(name)
    found.set(block, last)
  }
  visit(body)
  return found
}
