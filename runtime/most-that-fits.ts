/** What to do where a batch does not fit, in words: the largest that does. */
export function mostThatFits(batch: number, fits: (n: number) => boolean): string {
  let [most, more] = [0, batch]
  while (more - most > 1) {
    const n = Math.floor((most + more) / 2)
    if (fits(n)) most = n
    else more = n
  }
  return most >= 1 ? `use a batch of at most ${most}` : 'no batch is small enough'
}
