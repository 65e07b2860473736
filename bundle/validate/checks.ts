import { plain, say } from '../plain.ts'
import { MOST_ELEMENTS } from './limits.ts'
import type { Report } from './report.ts'

/** A check of a JSON value. It reports what is wrong under the value's path, and goes on. */

export type Check = (value: unknown, path: string, report: Report) => void

export const when = (test: (value: unknown) => boolean, wanted: string): Check => (value, path, report) => {
  if (!test(value)) report(path, `${wanted} is wanted, here is ${say(value)}`)
}
export const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MOST_ELEMENTS
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const hash = when((v) => typeof v === 'string' && /^[0-9a-f]{64}$/.test(v), 'a SHA-256 in hex')
export const number = when((v) => Number.isFinite(v), 'a number')
export const amount = when((v) => Number.isFinite(v) && (v as number) >= 0, 'an amount')
export const count = when(isCount, 'a count')
export const positive = when((v) => isCount(v) && v > 0, 'a positive integer')
export const integer = when((v) => Number.isSafeInteger(v), 'an integer')
export const flag = when((v) => typeof v === 'boolean', 'true or false')
export const oneOf = (...words: unknown[]): Check => when((v) => words.includes(v), words.map(say).join(' or '))

/** Whether a value is as a check wants it. Nothing is told, so that no path need be written: most values are right. */
export function passes(check: Check, value: unknown): boolean {
  let isRight = true
  const notice: Report = () => {
    isRight = false
  }
  silent.add(notice)
  check(value, '', notice)
  return isRight
}

/** Reports that want no paths. */
const silent = new WeakSet<Report>()

export const list = (each: Check): Check => (value, path, report) => {
  if (!Array.isArray(value)) return report(path, `a list is wanted, here is ${say(value)}`)
  const isSilent = silent.has(report)
  for (let i = 0; i < value.length; i++) each(value[i], isSilent ? '' : `${path}[${i}]`, report)
}
/** An object whose keys are names of a kind. */
export const table = (key: Check, each: Check): Check => (value, path, report) => {
  if (!isObject(value)) return report(path, `an object is wanted, here is ${say(value)}`)
  for (const [word, item] of Object.entries(value)) {
    key(word, `${path} key`, report)
    each(item, `${path}.${plain(word)}`, report)
  }
}
/** Fields by name; a name that ends in `?` may be absent. */
export const record = (fields: Record<string, Check>): Check => {
  const wanted = Object.entries(fields).map(([key, check]) => ({ field: key.replace('?', ''), isOptional: key.endsWith('?'), check }))
  return (value, path, report) => {
    if (!isObject(value)) return report(path, `an object is wanted, here is ${say(value)}`)
    const isSilent = silent.has(report)
    for (const { field, isOptional, check } of wanted) {
      const at = isSilent ? '' : path ? `${path}.${field}` : field
      if (Object.hasOwn(value, field)) check(value[field], at, report)
      else if (!isOptional) report(at, 'is missing')
    }
  }
}
