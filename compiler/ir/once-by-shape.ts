import { cacheEpoch } from '../compile-cache.ts'
import { canonicalText } from './fingerprint.ts'
import type { Equation } from './equation.ts'
import { inOrder } from './in-order.ts'
import { whenDone } from './once-by-node.ts'

/** So many answers are remembered; then it begins anew. */
const MOST_KNOWN = 1000

const firsts = new Map<string, Equation>()
whenDone(() => firsts.clear())

/** The first equation of this shape that the compilation came to, its axes in order: what is found of it by itself is found once for all of them. */
export function firstOfShape(e: Equation): Equation {
  const { text } = canonicalText(e, false)
  const known = firsts.get(text)
  if (known) return known
  const made = inOrder(e)
  if (firsts.size >= MOST_KNOWN) firsts.clear()
  firsts.set(text, made)
  return made
}

/**
 * Remembers an answer that depends on nothing but the `canonicalText` of an equation, names left out: deep nets ask it of the same few
 * shapes again and again.
 */
export function onceByShape<T>(answer: (e: Equation) => T): (e: Equation) => T {
  const known = new Map<string, T>()
  let epoch = cacheEpoch()
  return (e) => {
    if (epoch !== cacheEpoch()) {
      known.clear()
      epoch = cacheEpoch()
    }
    const { text } = canonicalText(e, false)
    if (known.has(text)) return known.get(text)!
    const made = answer(firstOfShape(e))
    if (known.size >= MOST_KNOWN) known.clear()
    known.set(text, made)
    return made
  }
}
