import { UniqueNames } from '../../compiler/unique-names.ts'
import type { Parameter } from '../../dsl/signature.ts'
import type { Argument } from '../model-net.ts'
import { argumentKey, argumentText, numberText, signatureOf } from './argument-text.ts'
import { Formula, type Item, type ItemArgument } from './item.ts'
import type { BlockParameter } from './plan.ts'

/** A parameter of a block, and what each instance gives for it. */
interface Varying {
  name: string
  readonly values: readonly Argument[]
  /** What a call that says nothing means; absent: every call says it. */
  readonly usual?: Argument
  readonly type: Parameter['type']
  readonly wanted: string
}

export interface Abstracted {
  readonly items: readonly Item[]
  readonly parameters: readonly (BlockParameter & { readonly usual?: Argument })[]
  /** What each instance gives for each parameter. */
  readonly given: readonly Readonly<Record<string, ItemArgument>>[]
}

/**
 * The body of a block from the calls of all its instances: arguments in which they differ become parameters, the same one where they always
 * agree, or arithmetic over another one where that always holds. `usualOf` gives the default of an argument of a call.
 */
export function abstracted(
  instances: readonly (readonly Item[])[],
  usualOf: (item: Item, argument: string) => Argument | undefined,
  taken: readonly string[],
): Abstracted {
  const [first] = instances as [readonly Item[], ...(readonly Item[])[]]
  const varying: Varying[] = []
  const formulas = new Map<string, () => Formula>()
  first.forEach((item, at) => {
    for (const name of Object.keys(item.arguments)) {
      const values = instances.map((items) => items[at]!.arguments[name] as Argument)
      if (new Set(values.map(argumentKey)).size === 1) continue
      formulas.set(`${at} ${name}`, formulaFor(varying, item, name, values, usualOf(item, name)))
    }
  })
  numbered(varying, taken)
  const items = first.map((item, at) => ({
    ...item,
    arguments: Object.fromEntries(
      Object.entries(item.arguments).map(([name, value]): [string, ItemArgument] => [name, formulas.get(`${at} ${name}`)?.() ?? value]),
    ),
  }))
  const parameters = [...varying].sort((a, b) => Number(a.usual !== undefined) - Number(b.usual !== undefined)).map((
    { name, usual, type },
  ) => ({
    name,
    ...(usual !== undefined && { usual, default: argumentText(type, usual, name) }),
  }))
  const given = instances.map((_, i) => Object.fromEntries(varying.map(({ name, values }) => [name, values[i]!])))
  return { items, parameters, given }
}

/** `out`, or `out1`, `out2`, ... where several are wanted; none is called as what is taken. */
function numbered(varying: readonly Varying[], taken: readonly string[]): void {
  const unique = new UniqueNames(taken)
  const counts = new Map<string, number>()
  for (const one of varying) {
    const all = varying.filter(({ wanted }) => wanted === one.wanted).length
    // The second of two widths is the one that comes out.
    if (all === 2 && one.wanted === 'out' && !taken.includes('inner')) {
      one.name = unique.give(counts.has('out') ? 'out' : 'inner')
      counts.set('out', 1)
      continue
    }
    const count = (counts.get(one.wanted) ?? 0) + 1
    counts.set(one.wanted, count)
    one.name = unique.give(all > 1 ? `${one.wanted}${count}` : one.wanted)
  }
}

function formulaFor(varying: Varying[], item: Item, name: string, values: readonly Argument[], usual: Argument | undefined): () => Formula {
  const key = JSON.stringify(values)
  const isUsual = usual !== undefined && values.filter((value) => argumentKey(value) === argumentKey(usual)).length * 3 >= values.length
  const wanted = item.layer ? name : name.replace(/\d+$/, '')
  const equal = varying.find((one) =>
    mayFollow(one.wanted, wanted) && JSON.stringify(one.values) === key && (one.usual === undefined) === !isUsual
  )
  if (equal) return () => new Formula(equal.name)
  const derived = varying.filter((one) => mayFollow(one.wanted, wanted)).map((one) => ({ one, text: relation(one.values, values, name) }))
    .find(({ text }) => text !== undefined)
  if (derived) return () => new Formula(derived.text!(derived.one.name))
  const parameter = item.layer ? signatureOf(item.layer.op)!.parameters.find((one) => one.name === name)! : undefined
  const made: Varying = {
    name,
    wanted,
    values,
    type: parameter?.type ?? { kind: 'numbers' },
    ...(isUsual && { usual }),
  }
  varying.push(made)
  return () => new Formula(made.name)
}

const CHANNELS = ['out', 'groups', 'inner', 'from', 'to']

/** Whether it says something that an argument is what another one is: counts of channels are, a stride and a count never. */
const mayFollow = (one: string, other: string): boolean =>
  one === other || (CHANNELS.includes(one) && CHANNELS.includes(other)) ||
  ['kernel pad', 'pad dilation', 'dilation pad', 'kernel stride'].includes(`${one} ${other}`)

/** How one list of numbers follows from another: `4 * out`, `out / 2`, and for a pad `(kernel - 1) / 2`. */
function relation(from: readonly Argument[], to: readonly Argument[], name: string): ((from: string) => string) | undefined {
  if (![...from, ...to].every((value): value is number => typeof value === 'number' && Number.isInteger(value))) return undefined
  const [a, b] = [from as readonly number[], to as readonly number[]]
  if (name === 'pad' && a.every((kernel, i) => kernel % 2 === 1 && (kernel - 1) / 2 === b[i])) return (text) => `(${text} - 1) / 2`
  if (a.some((value) => value < 1) || b.some((value) => value < 1)) return undefined
  const times = b[0]! / a[0]!
  if (Number.isInteger(times) && times > 1 && a.every((value, i) => value * times === b[i]))
    return (text) => `${numberText(times, name)} * ${text}`
  const share = a[0]! / b[0]!
  if (Number.isInteger(share) && share > 1 && a.every((value, i) => value === b[i]! * share))
    return (text) => `${text} / ${numberText(share, name)}`
  return undefined
}
