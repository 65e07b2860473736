/** The units of durations. */
export type Unit = 'steps' | 'epochs'

/** The unit that a word names: `epoch` and `epochs` are one. */
export const unitNamed = (
  word: string,
): Unit | undefined => (/^epochs?$/.test(word) ? 'epochs' : /^steps?$/.test(word) ? 'steps' : undefined)
