import type { Signature, Synonym } from '../../../dsl/signature.ts'

/** Names in other frameworks, by the name here. */
export type Synonyms = Readonly<Record<string, readonly Synonym[]>>

/** The signatures, each with its names in other frameworks. */
export const withSynonyms = (signatures: readonly Signature[], synonyms: Synonyms): readonly Signature[] =>
  signatures.map((signature) => {
    const elsewhere = Object.hasOwn(synonyms, signature.name) ? synonyms[signature.name] : undefined
    return elsewhere ? { ...signature, elsewhere } : signature
  })

/** Names that say the same with the same arguments. */
export const same = (of: string, ...names: readonly string[]): readonly Synonym[] => names.map((name) => ({ name, of }))

/** A word of another framework as an argument has it: without quotes, in small letters. */
export const lower = (value: string): string => value.replaceAll('"', '').toLowerCase()
