/** Names of a kernel function's values, variables and buffers: none is given twice, and none is a word of the target's language. */
export class KernelNames {
  /** Names that were wanted. Those with numbers are told by `counters`, since most names are such. */
  private readonly used = new Set<string>()
  private readonly reservedWords: ReadonlySet<string>
  /** The number to try next, by the prefix. */
  private readonly counters = new Map<string, number>()

  constructor(reservedWords: ReadonlySet<string>) {
    this.reservedWords = reservedWords
  }

  /** The name that is wanted, or if it is taken, with the lowest number behind it that is free, from 2 on. */
  unique(wanted: string): string {
    let name = wanted
    for (let i = 2; this.isTaken(name) || this.isNumbered(name); i++) name = `${wanted}_${i}`
    this.used.add(name)
    return name
  }

  /** The next free one of `v0`, `v1`, `v2` and so on. `prefix`: letters. */
  numbered(prefix: string): string {
    for (;;) {
      const count = this.counters.get(prefix) ?? 0
      this.counters.set(prefix, count + 1)
      const name = `${prefix}${count}`
      if (!this.isTaken(name)) return name
    }
  }

  /** Whether `numbered` has come by it. */
  private isNumbered(name: string): boolean {
    const [, prefix, number] = /^([A-Za-z]+)(0|[1-9]\d*)$/.exec(name) ?? []
    return prefix !== undefined && Number(number) < (this.counters.get(prefix) ?? 0)
  }

  private isTaken(name: string): boolean {
    return this.used.has(name) || this.reservedWords.has(name)
  }
}

/** A name that WGSL takes: letters, digits, single underscores. */
export const identifier = (name: string): string => {
  if (/^[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*$/.test(name)) return name
  const plain = name.replace(/[^A-Za-z0-9]+/g, '_').replace(/^_+|_+$/g, '')
  return /^[A-Za-z]/.test(plain) ? plain : `t_${plain}`
}
