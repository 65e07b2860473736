import { suggest } from '../dsl/suggest.ts'

/** `; did you mean X?` or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const guess = suggest(word, known)
  return guess === undefined ? '' : `; did you mean ${guess}?`
}
