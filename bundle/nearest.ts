/** A longer word has no more slips of the pen than this. */
const MOST_SLIPS = 8
/** This many equal letters at the beginning tell which word is meant: `inference` for infer, `batchSize` for batch. */
const LETTERS = 4

/**
 * The nearest of some names to a word that is none of them, if it is near enough to be a slip of the pen, or has its words in another
 * order. Capitals do not count.
 */
export function suggest(wrong: string, names: Iterable<string>): string | undefined {
  const word = wrong.toLowerCase()
  let best: string | undefined
  let least = Math.min(MOST_SLIPS, Math.max(1, Math.floor(word.length / 3))) + 0.5
  for (const name of names) {
    if (name === wrong) continue
    const other = name.toLowerCase()
    // `pool_avg` for avg_pool.
    const isTurned = word.includes('_') && wordsOf(word) === wordsOf(other)
    const begins = other.startsWith(word) || word.startsWith(other)
    const away = isTurned || (begins && Math.min(word.length, other.length) >= LETTERS) ? 0.5
      : editDistance(word, other, least) - (begins ? 0.5 : 0)
    // A word of one letter is not another one.
    if (away < least && away < Math.max(word.length, other.length)) {
      least = away
      best = name
    }
  }
  return best
}

const wordsOf = (name: string): string => name.split('_').sort().join('_')

/** The end of a sentence about a wrong word: `; did you mean X?`, or nothing. */
export function didYouMean(wrong: string, names: Iterable<string>): string {
  const name = suggest(wrong, names)
  return name === undefined ? '' : `; did you mean ${name}?`
}

/**
 * Insertions, deletions, replacements and swaps of neighbours (Damerau 1964, the restricted form); Infinity above `most`. Looks only at
 * places that so many steps reach, so the time is that of the longer word times `most`.
 */
export function editDistance(a: string, b: string, most = Infinity): number {
  if (Math.abs(a.length - b.length) > most) return Infinity
  const reach = Math.min(Math.floor(most), a.length + b.length)
  const at = (row: readonly number[], from: number, j: number): number => row[j - from] ?? Infinity
  let [before, beforeFrom]: [number[], number] = [[], 0]
  let [row, from]: [number[], number] = [Array.from({ length: Math.min(b.length, reach) + 1 }, (_, j) => j), 0]
  for (let i = 1; i <= a.length; i++) {
    const nextFrom = Math.max(0, i - reach)
    const next: number[] = []
    let nearest = Infinity
    for (let j = nextFrom; j <= Math.min(b.length, i + reach); j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let least = j === 0 ? i : Math.min(at(next, nextFrom, j - 1) + 1, at(row, from, j) + 1, at(row, from, j - 1) + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, at(before, beforeFrom, j - 2) + 1)
      next.push(least)
      nearest = Math.min(nearest, least)
    }
    if (nearest > most) return Infinity
    ;[before, beforeFrom, row, from] = [row, from, next, nextFrom]
  }
  const distance = at(row, from, b.length)
  return distance > most ? Infinity : distance
}
