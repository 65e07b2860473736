import { synonymsOf } from '../../dsl/elsewhere.ts'
import { suggest } from '../../bundle/nearest.ts'
import { type Entry, entries, groups } from './table.ts'
import type { Group } from './page.ts'

/** The meaning of a word in the language. */
export type Meaning =
  | { readonly kind: 'calls'; readonly entries: readonly Entry[] }
  /** The name of a group, or of all calls of a kind. */
  | { readonly kind: 'list'; readonly title: string; readonly groups: readonly Group[] }
  /** A name of another framework: here it is one of these, or (`none`) nothing. */
  | {
    readonly kind: 'elsewhere'
    readonly of: string
    readonly name: string
    readonly entries: readonly Entry[]
    readonly write?: string
    readonly none?: string
    readonly note?: string
  }
  /** An argument of these. */
  | { readonly kind: 'argument'; readonly entries: readonly Entry[] }
  | { readonly kind: 'unknown'; readonly near?: string }

const LISTS: ReadonlyMap<string, string> = new Map([
  ['loss', 'losses'],
  ['metric', 'losses'],
  ['metrics', 'losses'],
  ['solver', 'solvers'],
  ['optimizer', 'solvers'],
  ['schedule', 'schedules'],
  ['filler', 'fillers'],
  ['initializer', 'fillers'],
  ['weight_init', 'fillers'],
  ['bias_init', 'fillers'],
  ['augment', 'augmentations'],
  ['augmentation', 'augmentations'],
  ['activation', 'activations'],
  ['dataset', 'datasets'],
  ['data', 'datasets'],
  ['stats', 'statistics'],
])

/** Looks a word up: a call, a list, another framework's name, an argument, or what is near. */
export function find(word: string): Meaning {
  const lower = word.toLowerCase()
  const calls = entries.filter(({ signature }) => signature.name === lower)
  if (calls.length > 0) return { kind: 'calls', entries: calls }
  const list = groups.filter(({ file }) => file === (LISTS.get(lower) ?? lower))
  if (list.length > 0) return { kind: 'list', title: list[0]!.title, groups: list }
  // `linear` is a layer in one place and a schedule in another: the layer is told of, and the schedule named.
  const [found = [], ...others] = [...new Set(entries.map(({ kind }) => kind))].flatMap((kind) => {
    const here = synonymsOf(word, entries.filter((entry) => entry.kind === kind).map(({ signature }) => signature))
    return here.length > 0 ? [here] : []
  })
  if (found.length > 0) {
    const { synonym: { name, of, none, write, note: said } } = found[0]!
    const also = others.map(([first]) =>
      `${first!.synonym.name} (${first!.synonym.of}) is ${first!.synonym.write ?? first!.signature.name}`
    )
    const note = [...(said === undefined ? [] : [said]), ...also].join('; ') || undefined
    return {
      kind: 'elsewhere',
      name,
      of,
      entries: entries.filter((entry) => found.some(({ signature }) => signature === entry.signature)),
      ...(none !== undefined && { none }),
      ...(note !== undefined && { note }),
      ...(write !== undefined && { write }),
    }
  }
  const taking = entries.filter(({ signature }) => signature.parameters.some((p) => p.name === lower || p.aliases?.includes(lower)))
  if (taking.length > 0) return { kind: 'argument', entries: taking }
  const near = suggest(
    lower,
    new Set([...entries.map(({ signature }) => signature.name), ...groups.map(({ file }) => file), ...LISTS.keys()]),
  )
  return { kind: 'unknown', ...(near !== undefined && { near }) }
}
