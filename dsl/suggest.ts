/** "did you mean": the nearest of some names, if it is near enough to be a slip of the pen. */
export function suggest(wrong: string, names: Iterable<string>): string | undefined {
  let best: string | undefined
  let least = Math.max(1, Math.floor(wrong.length / 3)) + 0.5
  for (const name of names) {
    const distance = editDistance(wrong.toLowerCase(), name.toLowerCase(), least) + (name.startsWith(wrong) || wrong.startsWith(name) ? -0.5 : 0)
    if (name !== wrong && distance < least) {
      least = distance
      best = name
    }
  }
  return best
}

/** Insertions, deletions, replacements and swaps of neighbours (Damerau 1964, the restricted form); stops above `most`. */
export function editDistance(a: string, b: string, most = Infinity): number {
  if (Math.abs(a.length - b.length) > most) return Infinity
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, before[j - 2]! + 1)
      next.push(least)
    }
    before = row
    row = next
  }
  return row[b.length]!
}
