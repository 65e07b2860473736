import { didYouMean } from './nearest.ts'
import { plain } from './plain.ts'

/** The names that patterns select, and what is wrong with patterns that select none. */
export interface Chosen {
  readonly names: ReadonlySet<string>
  readonly problems: string[]
}

/**
 * The parameters that patterns mean. `*` stands for any letters and `?` for one; a pattern means parameters (`conv1.weight`), or all of a layer
 * or block (`conv1`, `stage2`, `conv*`). `!fc2` takes out again what it means; a list that begins so begins with all of them. A pattern that means nothing is a problem.
 */
export function matchNames(patterns: readonly string[], all: readonly string[]): Chosen {
  const names = new Set(patterns[0]?.startsWith('!') ? all : [])
  const problems: string[] = []
  for (const pattern of patterns) {
    const isNegative = pattern.startsWith('!')
    const word = isNegative ? pattern.slice(1) : pattern
    const form = formOf(word)
    const found = all.filter((name) => wholesOf(name).some((whole) => form.test(whole)))
    if (found.length === 0)
      problems.push(
        `no parameter is called ${plain(word, 60) || 'nothing'}${didYouMean(word, [...new Set(all.flatMap(wholesOf))])} (there are ${
          listed(layersOf(all))
        })`,
      )
    for (const name of found) isNegative ? names.delete(name) : names.add(name)
  }
  return { names, problems }
}

/** The name, and what it is a part of: `stage2.conv1.weight`, `stage2.conv1`, `stage2`. */
const wholesOf = (name: string): string[] => [...name].flatMap((c, i) => (c === '.' ? [name.slice(0, i)] : [])).concat(name)

const formOf = (pattern: string): RegExp =>
  new RegExp(`^${pattern.replace(/[\\^$+.()|[\]{}]/g, '\\$&').replace(/\*+/g, '[^]*').replaceAll('?', '[^]')}$`)

const layersOf = (
  names: readonly string[],
): string[] => [...new Set(names.map((name) => name.slice(0, Math.max(name.lastIndexOf('.'), 0)) || name))]

const MOST_SHOWN = 12
const listed = (
  names: readonly string[],
): string => (names.length === 0 ? 'none'
  : names.slice(0, MOST_SHOWN).join(', ') + (names.length > MOST_SHOWN ? `, ... (${names.length})` : ''))
