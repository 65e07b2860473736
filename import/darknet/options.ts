import { editDistance } from '../../bundle/nearest.ts'
import type { ImportProblem } from '../import-error.ts'
import type { Note } from '../model-net.ts'
import { type Option, type Section, show } from './cfg.ts'

/** What is collected while a file is read: reasons why not, and what a user should know. */
export interface Findings {
  /** The name of the .cfg file. */
  readonly file: string
  readonly problems: ImportProblem[]
  readonly notes: Note[]
}

/** Letters of a key that may be wrong where another one is meant. */
const MOST_SLIPS = 2

/** Keys that belong to Darknet's own running and reading, not to the net. They are taken without a word. */
const SILENT = ['dontsave']

/**
 * The options of one section, read with Darknet's defaults. Of a key that stands twice the first counts, as in Darknet, and the second is told;
 * keys that nobody asked for are told by `finish`. Numbers are read as C's `atoi` and `atof` read them, but for text without any number, which
 * is 0 in Darknet and a problem here.
 */
export class Options {
  readonly section: Section
  /** The section for messages: `net.cfg:31 [route]`. */
  readonly where: string
  readonly #findings: Findings
  readonly #first = new Map<string, Option>()
  readonly #asked = new Set<string>(SILENT)

  constructor(section: Section, findings: Findings) {
    this.section = section
    this.#findings = findings
    this.where = `${findings.file}:${section.line} [${section.kind}]`
    for (const option of section.options) {
      const first = this.#first.get(option.key)
      if (!first) this.#first.set(option.key, option)
      else if (first.value !== option.value)
        this.leaveOut(
          `${option.key}=${cut(option.value)} of line ${option.line}: line ${first.line} says ${
            cut(first.value)
          }, and Darknet takes the first`,
        )
    }
  }

  /** What the file says, or nothing. */
  text(key: string): string | undefined {
    this.#asked.add(key)
    return this.#first.get(key)?.value
  }

  has(key: string): boolean {
    return this.#first.has(key)
  }

  /** An integer, `atoi`: what follows the digits does not count. */
  int(key: string, otherwise: number): number {
    const text = this.text(key)
    return text === undefined ? otherwise : this.#number(key, text, /^[+-]?\d+/) ?? otherwise
  }

  /** A number, `atof`. */
  float(key: string, otherwise: number): number {
    const text = this.text(key)
    return text === undefined ? otherwise : this.#number(key, text, /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?/i) ?? otherwise
  }

  /** An integer of at least `least`; else a problem, and `otherwise`. */
  count(key: string, otherwise: number, least = 1): number {
    const n = this.int(key, otherwise)
    if (n >= least && n < 2 ** 31) return n
    this.problem(n < least ? `${key} is ${n}; it must be at least ${least}` : `${key}: ${n} is more than Darknet can count`)
    return Math.min(Math.max(otherwise, least), 2 ** 31 - 1)
  }

  /** Numbers between commas; a problem where there is none. */
  list(key: string): readonly number[] | undefined {
    const text = this.text(key)
    if (text === undefined) return undefined
    const numbers: number[] = []
    // A comma at the end closes the list, as it does in files that are about.
    for (const part of text.replace(/,$/, '').split(',')) {
      const n = this.#number(key, part, /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?/i)
      if (n === undefined) return undefined
      numbers.push(n)
    }
    return numbers
  }

  #number(key: string, text: string, form: RegExp): number | undefined {
    const digits = form.exec(text)?.[0]
    const n = digits === undefined ? NaN : Number(digits)
    if (!Number.isFinite(n)) {
      this.problem(`${key}=${cut(text)} is not a number`)
      return undefined
    }
    const rest = text.slice(digits!.length)
    if (rest !== '' && !rest.startsWith('#') && !rest.startsWith(';'))
      this.differs(`${key}=${cut(text)} is read as ${digits!}, as Darknet reads it`, 'changed')
    return n
  }

  problem(what: string, mend?: string): void {
    this.#findings.problems.push({ where: this.where, what, ...(mend !== undefined && { mend }) })
  }

  leaveOut(text: string): void {
    this.#findings.notes.push({ about: this.where, kind: 'left out', text })
  }

  differs(text: string, kind: 'differs' | 'changed' = 'differs'): void {
    this.#findings.notes.push({ about: this.where, kind, text })
  }

  /** Marks keys as read: they are told of elsewhere, or mean nothing here. */
  take(...keys: readonly string[]): void {
    for (const key of keys) this.#asked.add(key)
  }

  /** All keys and values as the file has them, the first of each. */
  all(): Record<string, string> {
    return Object.fromEntries([...this.#first].map(([key, { value }]) => [key, value]))
  }

  /** Tells which keys nobody asked for. One that is nearly the name of a key that is absent is likely meant for it, and the net is another one. */
  finish(): void {
    const strays = [...this.#first.values()].filter(({ key }) => !this.#asked.has(key))
    const unknown = strays.filter(({ key, value }) => {
      const most = Math.min(MOST_SLIPS, Math.floor(key.length / 3))
      const meant = [...this.#asked].find((other) => !this.#first.has(other) && editDistance(key, other, most) <= most)
      if (meant !== undefined)
        this.differs(`${cut(key)}=${cut(value)} is no key that is known, and Darknet goes on without it; did you mean ${meant}?`)
      return meant === undefined
    })
    if (unknown.length > 0)
      this.leaveOut(
        `unknown here and to Darknet's parser of 2018: ${
          unknown.slice(0, 20).map(({ key, value }) => `${cut(key)}=${cut(value)}`).join(', ')
        }`,
      )
  }
}

const cut = (text: string): string => show(text).slice(1, -1)
