/** Names that are given out once each: a name that is taken gets the lowest number behind it that is free, from 2 on. */
export class UniqueNames {
  private readonly taken: Set<string>
  /** The number to try next, by what was asked for: numbers below it are taken for ever. */
  private readonly next = new Map<string, number>()

  constructor(taken: Iterable<string> = []) {
    this.taken = new Set(taken)
  }

  give(wanted: string, joint = '_'): string {
    let name = wanted
    if (this.taken.has(name)) {
      let i = this.next.get(wanted) ?? 2
      while (this.taken.has(name = `${wanted}${joint}${i}`)) i++
      this.next.set(wanted, i + 1)
    }
    this.taken.add(name)
    return name
  }
}
