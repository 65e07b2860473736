import { argumentKey } from './argument-text.ts'
import type { Item } from './item.ts'

/** Fewer calls than these in a row are as short without a loop. */
const LEAST_ROUNDS = 4

/** Calls of one block in a row that differ in a counter in their names alone: `for i in 0..6`, and the name of each round. */
export interface Loop {
  readonly from: number
  readonly to: number
  readonly name: string
}

/** A run among the items of a chain. */
export interface Run {
  readonly start: number
  readonly end: number
}

/** The runs of a chain that are worth a loop. */
export function runsIn(items: readonly Item[]): Run[] {
  const runs: Run[] = []
  for (let start = 0; start < items.length;) {
    let end = start + 1
    while (end < items.length && follows(items[end - 1]!, items[end]!, items[start]!)) end++
    if (end - start >= LEAST_ROUNDS) runs.push({ start, end })
    start = end
  }
  return runs
}

/** The loop that a whole chain is, if it is one. */
export function loopOf(items: readonly Item[]): Loop | undefined {
  const [run] = runsIn(items)
  if (!run || run.start !== 0 || run.end !== items.length) return undefined
  const { prefix, count } = counted(items[0]!.name)!
  return { from: count, to: count + items.length, name: `${prefix}{i}` }
}

function follows(before: Item, item: Item, first: Item): boolean {
  const [a, b] = [counted(before.name), counted(item.name)]
  return item.layer === undefined && item.call === before.call && a !== undefined && b !== undefined && a.prefix === b.prefix &&
    b.count === a.count + 1 && item.inputs.length === 1 && sameArguments(item, first)
}

const sameArguments = (a: Item, b: Item): boolean =>
  Object.keys(a.arguments).every((name) => argumentKey(a.arguments[name]!) === argumentKey(b.arguments[name]!))

/** `block3` -> `block`, 3. A number with zeros in front is none that a loop counts. */
function counted(name: string | undefined): { readonly prefix: string; readonly count: number } | undefined {
  const match = /^(.*?)(0|[1-9]\d*)$/.exec(name ?? '')
  return match && match[1] !== '' ? { prefix: match[1]!, count: Number(match[2]) } : undefined
}
