import { say } from '../bundle/plain.ts'

/** Lists in lists beyond these are no numbers of a net. */
const MOST_LEVELS = 16

/**
 * Numbers of a list, or of lists in lists as deep and as long as their first ones, row by row; `shape` says how long they are. What is
 * wrong with them is given as a text: a hole, NaN, what is no number, lists of different lengths.
 */
export function flatten(given: readonly unknown[]): { readonly shape: readonly number[]; readonly data: Float64Array } | string {
  const shape: number[] = []
  for (let level: unknown = given; Array.isArray(level); level = level[0]) {
    if (shape.push(level.length) > MOST_LEVELS) return 'is nested too deeply'
  }
  const data = new Float64Array(shape.reduce((product, length) => product * length, 1))
  let at = 0
  const fill = (part: unknown, level: number, where: string): string | undefined => {
    const length = shape[level]
    if (length === undefined) {
      if (typeof part !== 'number' || Number.isNaN(part))
        return `holds ${part === undefined ? 'nothing' : say(part)} at ${where}, where a number is wanted${
          typeof part === 'bigint' ? ': Number(value)' : ''
        }`
      data[at++] = part
      return undefined
    }
    if (!Array.isArray(part) || part.length !== length)
      return `holds ${say(part)} at ${where}, where a list of ${length} is wanted as before`
    let wrong: string | undefined
    for (let i = 0; i < length && wrong === undefined; i++) wrong = fill(part[i], level + 1, level ? `${where}, ${i}` : String(i))
    return wrong
  }
  return fill(given, 0, '') ?? { shape, data }
}
