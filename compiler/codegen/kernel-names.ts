import { onceByNode } from '../ir/once-by-node.ts'

/** Names of a kernel function's values, variables and buffers: none is given twice, and none is a word of the target's language. */
export class KernelNames {
  /** Names that were wanted. Those with numbers are told by `counters`, since most names are such. */
  private readonly used = new Set<string>()
  private readonly reservedWords: ReadonlySet<string>
  /** The number to try next, by the prefix. */
  private readonly counters = new Map<string, { next: number }>()
  /** Those of the names that are taken otherwise and look like a prefix with a number: few or none. */
  private readonly taken: Set<string>

  constructor(reservedWords: ReadonlySet<string>) {
    this.reservedWords = reservedWords
    this.taken = new Set(numberedIn(reservedWords))
  }

  /** The name that is wanted, or if it is taken, with the lowest number behind it that is free, from 2 on. */
  unique(wanted: string): string {
    let name = wanted
    for (let i = 2; this.isTaken(name) || this.isNumbered(name); i++) name = `${wanted}_${i}`
    this.used.add(name)
    if (NUMBERED.test(name)) this.taken.add(name)
    return name
  }

  /** The next free one of `v0`, `v1`, `v2` and so on. `prefix`: letters. */
  numbered(prefix: string): string {
    let counter = this.counters.get(prefix)
    if (!counter) this.counters.set(prefix, counter = { next: 0 })
    for (;;) {
      const name = `${prefix}${counter.next++}`
      if (!this.taken.has(name)) return name
    }
  }

  /** Whether `numbered` has come by it. */
  private isNumbered(name: string): boolean {
    const [, prefix, number] = NUMBERED.exec(name) ?? []
    return prefix !== undefined && Number(number) < (this.counters.get(prefix)?.next ?? 0)
  }

  private isTaken(name: string): boolean {
    return this.used.has(name) || this.reservedWords.has(name)
  }
}

const NUMBERED = /^([A-Za-z]+)(0|[1-9]\d*)$/

/** The words of a language that are letters with a number: `f32`. */
const numberedIn = onceByNode((words: ReadonlySet<string>): readonly string[] => [...words].filter((word) => NUMBERED.test(word)))

/** A name that WGSL takes: letters, digits, single underscores. */
export const identifier = (name: string): string => {
  if (/^[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*$/.test(name)) return name
  const plain = name.replace(/[^A-Za-z0-9]+/g, '_').replace(/^_+|_+$/g, '')
  return /^[A-Za-z]/.test(plain) ? plain : `t_${plain}`
}
