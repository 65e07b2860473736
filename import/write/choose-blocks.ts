import { dissolved, type Part } from './parts.ts'
import { Kinds } from './sameness.ts'

/** Layers that a block saves the reader: a definition that is longer than what it stands for helps nobody. */
const LEAST_SAVED = 4

/**
 * Dissolves every region that is not worth a block: its kind is called too rarely, or shares its parameters with others. What is left is
 * called at least twice in the text.
 */
export function chooseBlocks(parts: readonly Part[], mayHold: (part: Part) => boolean): Part[] {
  let list = [...parts]
  for (;;) {
    const kinds = new Kinds()
    const sites = sitesOf(list, kinds)
    const isWorth = (part: Part): boolean => {
      const count = sites.get(kinds.key(part)) ?? 0
      return mayHold(part) && count > 1 && (count - 1) * callsIn(part) >= LEAST_SAVED
    }
    // From the outside in: what is inside of a block that goes counts anew.
    const next = thinned(list, isWorth, true)
    if (!next) return list
    list = next
  }
}

/** Calls in the body of a region. */
const callsIn = ({ parts = [] }: Part): number => parts.length

/** How often the text would call a block of each kind: of the body of a block, which is written once, each call counts once. */
function sitesOf(list: readonly Part[], kinds: Kinds): Map<string, number> {
  const sites = new Map<string, number>()
  const visit = (parts: readonly Part[]): void => {
    for (const part of parts) {
      if (!part.parts) continue
      const key = kinds.key(part)
      const before = sites.get(key) ?? 0
      sites.set(key, before + 1)
      if (before === 0) visit(part.parts)
    }
  }
  visit(list)
  return sites
}

/** A list without the outermost regions that are not worth it; undefined if all of them are. */
function thinned(list: readonly Part[], isWorth: (part: Part) => boolean, inNet = false): Part[] | undefined {
  let changed = false
  const next = list.flatMap((part): readonly Part[] => {
    if (!part.parts) return [part]
    if (!isWorth(part)) {
      changed = true
      return dissolved(part, inNet)
    }
    const inner = thinned(part.parts, isWorth)
    if (!inner) return [part]
    changed = true
    return [{ ...part, parts: inner }]
  })
  return changed ? next : undefined
}
