import type { Index } from '../ir/affine.ts'

/** What an index comes to where its axes stand, but for constants, found by the terms of one axis after the other. Most have one that follows. */
export interface Bases {
  readonly terms: Index['terms'] | undefined
  first: Bases | undefined
  others: Map<Index['terms'], Bases> | undefined
  base: Index | undefined
}

export const noBases = (terms?: Index['terms']): Bases => ({ terms, first: undefined, others: undefined, base: undefined })

/** What follows by the terms of the next axis. */
export function nextOf(bases: Bases, terms: Index['terms']): Bases {
  const { first } = bases
  if (!first) return bases.first = noBases(terms)
  if (first.terms === terms) return first
  bases.others ??= new Map()
  let next = bases.others.get(terms)
  if (!next) bases.others.set(terms, next = noBases(terms))
  return next
}
