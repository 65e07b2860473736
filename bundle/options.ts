import { InputError } from './errors.ts'
import { didYouMean } from './nearest.ts'
import { isNamed, plain, say } from './plain.ts'

/** A rule for the value of an option, with the words for it. */
export type Rule = readonly [fits: (value: unknown) => boolean, wanted: string]

const isWhole = (least: number, most = Number.MAX_SAFE_INTEGER) => (v: unknown): boolean =>
  Number.isSafeInteger(v) && (v as number) >= least && (v as number) <= most

export const anything: Rule = [() => true, '']
export const flag: Rule = [(v) => typeof v === 'boolean', 'true or false']
export const call: Rule = [(v) => typeof v === 'function', 'a function']
export const text: Rule = [(v) => typeof v === 'string', 'a text']
export const thing: Rule = [(v) => typeof v === 'object' && v !== null, 'an object']
export const positive: Rule = [isWhole(1), 'a positive integer']
export const whole: Rule = [isWhole(0), 'a whole number from 0 on']
export const amount: Rule = [(v) => Number.isFinite(v) && (v as number) >= 0, 'a finite number from 0 on']
export const within = (least: number, most: number): Rule => [isWhole(least, most), `an integer from ${least} to ${most}`]
export const list: Rule = [(v) => Array.isArray(v) && v.every((each) => typeof each === 'string'), 'a list of names']
export const oneOf = (
  ...words: readonly string[]
): Rule => [(v) => words.includes(v as string), words.map((word) => `'${word}'`).join(' or ')]

/** Samples at a time: kernels count them in 32 bits. */
export const batchRule: Rule = [isWhole(1, 2 ** 31 - 1), 'a positive integer below 2^31']

/**
 * Options as they are handed in, each by its rule; one that is undefined counts as left out. Throws InputError that tells every name that
 * there is not and every value that does not fit. `of`: whose options they are; `beside`: where others are.
 */
export function checkOptions<T extends object>(of: string, given: T | undefined, rules: Readonly<Record<keyof T, Rule>>, beside = ''): T {
  if (given === undefined) return {} as T
  if (!isNamed(given)) throw new InputError(`${of} takes its options as an object, here is ${say(given)}`)
  const wrong = Object.entries(given).flatMap(([name, value]) => {
    const rule = Object.hasOwn(rules, name) ? rules[name as keyof T] : undefined
    if (!rule)
      return value === undefined ? []
        : [
          `${of} has no option ${plain(name, 60)}${didYouMean(name, Object.keys(rules))} (it has ${
            Object.keys(rules).join(', ')
          }${beside})`,
        ]
    return value === undefined || rule[0](value) ? [] : [`${of}: ${name} ${say(value)}: ${rule[1]} is wanted`]
  })
  if (wrong.length) throw new InputError(wrong.join('\n'))
  return given
}

/** The error of what is handed in as a bundle and is none. */
export const noBundle = (given: unknown): InputError =>
  new InputError(`a bundle is wanted, as compile, readBundle and net.save give it; here is ${say(given)}`)

/** Throws InputError for what is no bytes: an ArrayBuffer, as `fetch` gives it, a text, a path. `of`: who takes them. */
export function checkBytes(of: string, bytes: unknown): void {
  if (!(bytes instanceof Uint8Array))
    throw new InputError(
      `${of} takes a Uint8Array, not ${bytes instanceof ArrayBuffer ? 'an ArrayBuffer: new Uint8Array(buffer)' : say(bytes)}`,
    )
}
