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
  /** When it came, among names and loops: those that a loop gives come between it and the first behind it. */
  readonly cameAt: number
}

/** What the names of a body are, each of which is given once. */
export interface Lifetimes {
  /** For each block, and each statement of it, the names that the block gives and that no later statement of it mentions. Their locals are then free. */
  readonly lastMentions: ReadonlyMap<readonly Statement[], readonly (readonly string[])[]>
  /** Whether a loop gives a name: its variable, or one that its body gives. */
  isGivenIn(loop: Loop, name: string): boolean
}

/** Behind most statements all names are mentioned again. */
const NONE: readonly string[] = []

type Loop = Extract<Statement, { kind: 'for' }>

export function lifetimesOf(body: readonly Statement[]): Lifetimes {
  const found = new Map<readonly Statement[], readonly (readonly string[])[]>()
  const known = new Map<string, Name>()
  const behind = new Map<Loop, number>()
  let [order, count] = [0, 0]
  const give = (name: string, block: Block): void => {
    const given: Name = { name, block, statement: block.statement, order: order++, cameAt: count++ }
    block.names.push(given)
    known.set(name, given)
  }
  const mention = (name: string): void => {
    const given = known.get(name)
    if (!given || given.statement === given.block.statement) return
    given.statement = given.block.statement
    given.order = order++
  }
  const within = (t: Operand): void => {
    if (t.kind === 'name') mention(t.name)
    else if (t.kind === 'operation') withinAll(t.args)
    else forEachPart(t, within)
  }
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
          // Nobody frees the local of a loop's variable.
          known.set(s.name, { name: s.name, block: own, statement: i, order: 0, cameAt: count++ })
          visit(s.body)
          behind.set(s, count)
          break
        case 'step':
          visit(s.body)
          break
        case 'barrier':
      }
    }
    const last: (readonly string[])[] = block.map(() => NONE)
    own.names.sort((a, b) => a.order - b.order)
    for (const { name, statement } of own.names) last[statement] = last[statement] === NONE ? [name] : [...last[statement]!, name]
    found.set(block, last)
  }
  visit(body)
  const isGivenIn = (loop: Loop, name: string): boolean => {
    const at = known.get(name)?.cameAt
    return at !== undefined && at >= known.get(loop.name)!.cameAt && at < behind.get(loop)!
  }
  return { lastMentions: found, isGivenIn }
}
