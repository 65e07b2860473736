/** Characters that command a terminal, end a line or turn the direction of writing. */
export const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/

const ALL = new RegExp(UNPRINTABLE, 'g')

/** A text of unknown origin on one line of a message: what cannot be printed is spelled (`\\u202e`), what is long is cut. */
export function plain(text: string, most = 200): string {
  const cut = text.length > most ? `${text.slice(0, most)}...` : text
  return cut.replace(ALL, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** A value as messages show it: of what is nested only what it is, since it may be nested deeply. */
export const say = (value: unknown): string => {
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'string') return plain(JSON.stringify(value.slice(0, 100)), 40)
  if (typeof (value as Promise<unknown> | null | undefined)?.then === 'function') return 'a promise that was not awaited'
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value !== 'object' || value === null) return plain(String(value), 40)
  const kind = kindOf(value)
  return kind === 'Object' ? 'an object' : plain(`${/^[AEIO]/.test(kind) ? 'an' : 'a'} ${kind}`, 40)
}

/** What an object is by its language or platform: `Object`, `Float64Array`, `Map`, `Blob`. */
const kindOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1)

/** Whether a value is an object of names: no list, no Map, no promise of one that was not awaited, which have none and would count as empty. */
export const isNamed = (value: unknown): value is Record<string, unknown> => kindOf(value) === 'Object'

/** `1 sample`, `7 samples`, `no classes` */
export function countOf(count: number, noun: string): string {
  const many = `${noun}${noun.endsWith('s') ? 'es' : 's'}`
  return count === 0 ? `no ${many}` : `${count} ${count === 1 ? noun : many}`
}
