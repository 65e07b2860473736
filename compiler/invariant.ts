/** Our own mistakes, not the user's: names what was violated and where. A function, where a check runs often: then the text is made only if it fails. */
export function invariant(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new Error(`fusenet invariant violated: ${typeof message === 'string' ? message : message()}`)
}
