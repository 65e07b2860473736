/** Our own mistakes, not the user's: names what was violated and where. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`fusenet invariant violated: ${message}`)
}
