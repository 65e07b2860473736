import { sha256Hex } from '../hash.ts'
import { canonicalText } from './fingerprint.ts'
import type { Equation } from './equation.ts'

/**
 * What an equation computes, as a name that lasts: the same for equations of the same shape, whatever their layers are called and
 * whichever net they are of. Whether a weight of it is packed before does not count: the schedule decides that.
 */
export function kernelKey(e: Equation): string {
  const known = keys.get(e)
  if (known !== undefined) return known
  const { prepacked: _, ...plain } = e
  const key = sha256Hex(canonicalText(plain, false).text)
  keys.set(e, key)
  return key
}

const keys = new WeakMap<Equation, string>()
