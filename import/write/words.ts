import { isReserved } from '../../dsl/naming.ts'
import { Identifier, tokenize } from '../../dsl/tokens.ts'
import { vocabulary } from '../../compiler/front-end/vocabulary.ts'

/** A name longer than this is cut: nobody reads on. */
const LONGEST = 60

/** Calls of the language. A value with such a name would read as a layer. */
const CALLS: ReadonlySet<string> = new Set(
  [...vocabulary.layers, ...vocabulary.solvers, ...vocabulary.schedules, ...vocabulary.augmentations, ...vocabulary.datasets].map((
    { name },
  ) => name),
)

export const isCall = (name: string): boolean => CALLS.has(name)

/**
 * A model's own name as a word of the language: other characters become `_`, a digit in front gets a `_` before it, and a word that means
 * something else there a `_` behind it (`input`: `input_`). Of nothing usable: `otherwise`.
 */
export function wordOf(name: string, otherwise: string): string {
  const plain = name.normalize('NFKD').replace(/\p{M}/gu, '').replace(/[^A-Za-z0-9_]+/g, '_')
  // Runs of signs at the ends are punctuation of the format (`/conv1/Conv`, `data:0`).
  const trimmed = /[A-Za-z0-9]/.test(plain) ? plain.replace(/^_+(?=[A-Za-z])/, '').slice(0, LONGEST) : otherwise
  const word = /^[0-9]/.test(trimmed) ? `_${trimmed}` : trimmed
  return isFree(word) ? word : `${word}_`
}

/** Whether the language lets a value, a layer or a result be called so. */
function isFree(word: string): boolean {
  const { tokens, comments } = tokenize(word)
  return tokens.length === 1 && comments.length === 0 && tokens[0]!.tokenType === Identifier && !isReserved(word)
}
