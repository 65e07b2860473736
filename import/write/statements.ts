import { argumentTexts, numberText, signatureOf, Unsayable } from './argument-text.ts'
import { type Item, valuesOf } from './item.ts'
import { loopOf, runsIn } from './loops.ts'
import { isCall, wordOf } from './words.ts'

/** The body of a net or of a block, to be written as statements. */
export interface Body {
  readonly items: readonly Item[]
  /** Names of the values that come from outside: inputs of the net, parameters of the block. */
  readonly given: ReadonlyMap<string, string>
  /** Names that no value may get. */
  readonly taken: ReadonlySet<string>
  /** Values that statements outside of this body read as well, and how often (results). */
  readonly wanted: ReadonlyMap<string, number>
  /** The names that values have in the model, where they are good ones. */
  readonly called: (value: string) => string | undefined
  /** Values that are to have a name of their own, whoever reads them: `logits`. */
  readonly named: ReadonlyMap<string, string>
  /** How a call of a block is written: its arguments. */
  readonly instance: (item: Item) => string[]
  /** Whether what comes from outside may be bound anew: parameters of a block may, inputs of a net keep their names. */
  readonly rebinds?: boolean
}

/** Calls that follow each other, each read by the next one alone; `last` is the place of the last one among all items. */
interface Chain {
  readonly items: readonly Item[]
  readonly last: number
}

export interface Statements {
  readonly lines: readonly string[]
  /** What the values that were wanted are called afterwards. */
  readonly names: ReadonlyMap<string, string>
  /** The calls of a wanted value's chain that no statement holds yet: they go into the line that wants it. */
  readonly open: ReadonlyMap<string, string>
}

/**
 * Writes a body: chains with `->`, a name for each value that is read twice or by a call of several. The main path is `x`, bound anew
 * wherever nothing else is alive; others are called after the layers that make them.
 */
export function statements(body: Body): Statements {
  return new Writer(body).write()
}

class Writer {
  private readonly body: Body
  private readonly lines: string[] = []
  private readonly names: Map<string, string>
  /** The value that each name means now. */
  private readonly bound = new Map<string, string>()
  private readonly open = new Map<string, string>()
  /** What loops make of what they begin with. */
  private readonly loopEnds = new Map<string, string>()
  private readonly uses = new Map<string, number>()
  private readonly chains: readonly Chain[]
  /** Values with a statement of their own because others use the weights of the layer that makes them. */
  private readonly early = new Set<string>()
  /** The chain that reads a value last; of what is wanted outside Infinity. */
  private readonly lastRead = new Map<string, number>()

  constructor(body: Body) {
    this.body = body
    this.names = new Map(body.given)
    for (const [value, name] of body.given) this.bound.set(name, value)
    for (const item of body.items) for (const value of valuesOf(item)) this.uses.set(value, (this.uses.get(value) ?? 0) + 1)
    for (const [value, count] of body.wanted) this.uses.set(value, (this.uses.get(value) ?? 0) + count)
    const ends = new Set([...body.named.keys(), ...body.wanted.keys()])
    for (const { items } of chainsOf(body.items, this.uses, ends)) {
      for (const { start, end } of runsIn(items)) {
        if (start > 0) ends.add(items[start - 1]!.output)
        ends.add(items[end - 1]!.output)
      }
    }
    for (;;) {
      const chains = chainsOf(body.items, this.uses, ends)
      const late = this.lateOwners(chains)
      if (late.length === 0) {
        this.chains = chains
        break
      }
      for (const value of late) {
        ends.add(value)
        this.early.add(value)
      }
    }
    this.chains.forEach(({ items }, i) => {
      for (const value of valuesOf(items[0]!)) this.lastRead.set(value, i)
    })
    for (const value of body.wanted.keys()) this.lastRead.set(value, Infinity)
    // What a result's own line computes is read there, behind all others. A loop has lines of its own.
    for (const { items } of this.chains) {
      if (loopOf(items) || !this.standsInResult(items.at(-1)!.output)) continue
      for (const value of valuesOf(items[0]!)) this.lastRead.set(value, Infinity)
    }
    for (const { items } of this.chains) if (loopOf(items)) this.loopEnds.set(items[0]!.inputs[0] as string, items.at(-1)!.output)
  }

  write(): Statements {
    this.chains.forEach((chain, i) => {
      const value = chain.items.at(-1)!.output
      if (this.loop(chain, i)) return
      const text = this.chainText(chain)
      if (this.standsInResult(value)) {
        this.open.set(value, text)
        return
      }
      const name = this.nameOf(chain, i)
      this.names.set(value, name)
      this.bound.set(name, value)
      this.lines.push(`${name} = ${text}`)
    })
    return { lines: this.lines, names: this.names, open: this.open }
  }

  /** Values of layers whose weights others use, where the statement of the layer would stand behind one that uses them. */
  private lateOwners(chains: readonly Chain[]): string[] {
    const places = new Map(chains.flatMap(({ items }, i) => items.map(({ output }) => [output, i] as const)))
    return chains.flatMap(({ items }, i) =>
      items.flatMap(({ layer }) => {
        const owner = layer?.sharesWith
        const at = owner === undefined ? undefined : places.get(owner)
        if (at === undefined || at === i || this.early.has(owner!)) return []
        return at > i || this.standsInResult(chains[at]!.items.at(-1)!.output) ? [owner!] : []
      })
    )
  }

  /** Whether a value is read by one line alone, which is a result or a return: what makes it stands there. */
  private standsInResult(value: string): boolean {
    return this.body.wanted.get(value) === 1 && this.uses.get(value) === 1 && !this.body.named.has(value) && !this.early.has(value)
  }

  /** Writes a chain as a loop, if it is a run of equal calls that what it begins with may be bound anew by. */
  private loop({ items }: Chain, at: number): boolean {
    const loop = loopOf(items)
    const [first, last] = [items[0]!, items.at(-1)!]
    const head = first.inputs[0] as string
    const name = this.names.get(head)
    if (!loop || name === undefined || this.isAlive(name, at) || this.body.named.has(last.output)) return false
    if (this.body.given.has(head) && !this.body.rebinds) return false
    this.lines.push(`for i in ${loop.from}..${loop.to} {`, `${name} = ${name} -> ${this.call({ ...first, name: loop.name }, [])}`, '}')
    this.names.set(last.output, name)
    this.bound.set(name, last.output)
    return true
  }

  private isAlive(name: string, at: number): boolean {
    const value = this.bound.get(name)
    return value !== undefined && (this.lastRead.get(value) ?? -1) > at
  }

  private nameOf(chain: Chain, at: number): string {
    const value = chain.items.at(-1)!.output
    const fixed = this.body.named.get(value)
    const can = (name: string): boolean => !this.body.taken.has(name) && !isCall(name) && !this.isAlive(name, at)
    if (fixed !== undefined && can(fixed)) return fixed
    const others = [...this.bound].some(([name, held]) => held !== value && !this.body.given.has(held) && this.isAlive(name, at))
    // What a loop goes on with is called as what it ends with.
    const given = this.body.called(this.loopEnds.get(value) ?? value)
    if (given !== undefined && can(given)) return given
    // The main path: all that is read from here on comes from this value.
    const inputsAlive = [...this.body.given].some(([held, name]) => name === 'x' && this.bound.get('x') === held && this.isAlive('x', at))
    if (!others && !inputsAlive && can('x')) return 'x'
    const own = ownName(chain.items) ?? (this.isSkip(chain) ? 'skip' : undefined)
    for (const wanted of [...(own === undefined ? [] : [own]), 'y', 'z']) if (can(wanted)) return wanted
    for (let i = 2;; i++) if (can(`${own ?? 'y'}${i}`)) return `${own ?? 'y'}${i}`
  }

  /** Whether a chain is the short way around others, to a sum. */
  private isSkip({ items }: Chain): boolean {
    const reader = this.body.items.find((item) => valuesOf(item).includes(items.at(-1)!.output))
    if (reader?.call !== 'add') return false
    const others = this.chains.filter((chain) => chain.items !== items && valuesOf(reader).includes(chain.items.at(-1)!.output))
    return others.length > 0 && others.every((chain) => chain.items.length > items.length)
  }

  private chainText({ items }: Chain): string {
    const [first, ...rest] = items as [Item, ...Item[]]
    const values = valuesOf(first)
    const isLink = values.length === 1 && first.inputs[0] === values[0] && !(rest.length === 0 && RESULTS.has(first.call))
    const head = isLink ? [this.names.get(values[0]!)!, this.call(first, first.inputs.slice(1))] : [this.call(first, first.inputs)]
    return [...head, ...rest.map((item) => this.call(item, item.inputs.slice(1)))].join(' -> ')
  }

  /** A call with those of its values that no `->` feeds. */
  private call(item: Item, inputs: readonly (string | number)[]): string {
    const as = item.name === undefined ? '' : ` as ${item.name}`
    const signature = item.layer && signatureOf(item.layer.op)
    if (item.layer && !signature) throw new Unsayable(`there is no layer ${item.layer.op}`)
    const most = signature ? signature.values?.max ?? 1 : Infinity
    const fed = item.inputs.length - inputs.length
    const shown = inputs.map((input) => (typeof input === 'number' ? numberText(input, item.call) : this.names.get(input)!))
    // Tensors behind those that a layer works on are arguments with names: mask: m.
    const tensors = signature ? signature.parameters.filter(({ type }) => type.kind === 'value') : []
    const texts = shown.map((text, i) => (i + fed < most ? text : `${tensors[i + fed - most]?.name ?? 'value'}: ${text}`))
    const args = signature ? argumentTexts(signature, item.arguments) : this.body.instance(item)
    const all = [...texts.filter((text) => !/^\w+: /.test(text)), ...args, ...texts.filter((text) => /^\w+: /.test(text))]
    return `${item.call}${all.length > 0 ? `(${all.join(', ')})` : ''}${as}`
  }
}

/** Calls that read as a function of what they are given: softmax(logits). */
const RESULTS = new Set(['softmax', 'log_softmax', 'sigmoid'])

/** Splits items into chains, in the order of their ends. */
function chainsOf(items: readonly Item[], uses: ReadonlyMap<string, number>, ends: ReadonlySet<string>): Chain[] {
  const open = new Map<string, { items: Item[]; last: number }>()
  const chains: { items: Item[]; last: number }[] = []
  items.forEach((item, last) => {
    const values = valuesOf(item)
    const before = values.length === 1 && item.inputs[0] === values[0] && uses.get(values[0]!) === 1 && !ends.has(values[0]!)
      ? open.get(values[0]!)
      : undefined
    const chain = before ?? { items: [], last }
    if (!before) chains.push(chain)
    else open.delete(values[0]!)
    chain.items.push(item)
    chain.last = last
    open.set(item.output, chain)
  })
  return chains.sort((a, b) => a.last - b.last)
}

/** What the named layers of a chain have in common at the beginning of their names (`downsample_0`, `downsample_1`), or the only one's name. */
function ownName(items: readonly Item[]): string | undefined {
  const names = items.flatMap(({ name }) => (name === undefined ? [] : [name]))
  if (names.length === 0) return undefined
  let common = names[0]!
  for (const name of names) while (!name.startsWith(common)) common = common.slice(0, -1)
  const stem = names.length === 1 ? common : common.replace(/_?[^_]*$/, '').replace(/_+$/, '')
  return /[A-Za-z]{2}/.test(stem) && !PLAIN.test(stem) ? wordOf(stem, 'y') : undefined
}

/** Names of layers that say no more than what they are. */
const PLAIN = /^(conv|conv2d|bn|norm|batch_norm|batchnorm|fc|linear|relu|prelu|scale|layer|block|features?)_?\d*$/i
