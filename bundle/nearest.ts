/** `; did you mean X?` or nothing: the nearest of some names, if it is near enough to be a slip of the pen. */
export function didYouMean(word: string, names: readonly string[]): string {
  const wrong = word.slice(0, MOST_LETTERS).toLowerCase()
  let best: string | undefined
  let least = Math.max(1, Math.floor(wrong.length / 3)) + 0.5
  for (const name of names) {
    if (name === word || name.length > MOST_LETTERS) continue
    const other = name.toLowerCase()
    const begins = other.startsWith(wrong) || wrong.startsWith(other)
    // `inference` for infer, `batchSize` for batch: a word that goes on after the right one.
    const away = begins && Math.min(wrong.length, other.length) >= LETTERS ? 0.5 : distance(wrong, other) - (begins ? 0.5 : 0)
    if (away < least) {
      least = away
      best = name
    }
  }
  return best === undefined ? '' : `; did you mean ${best}?`
}

/** So many at the beginning of a word say which word is meant. */
const LETTERS = 4
/** Nobody misspells a longer name by a letter or two, and the time grows with the square. */
const MOST_LETTERS = 80

/** Insertions, deletions, replacements and swaps of neighbours (Damerau 1964, the restricted form). */
function distance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      let least = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, before[j - 2]! + 1)
      next.push(least)
    }
    before = row
    row = next
  }
  return row[b.length]!
}
