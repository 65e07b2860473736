import { pointCost } from '../ir/cost.ts'
import type { Equation } from '../ir/equation.ts'
import { isSlower, showPrice } from '../ir/price.ts'
import type { FusionContext } from './kernel-pass.ts'

/** What the target's estimate says of a fusion that the rules allow: why it is refused, or what its remark ends in. */
export interface Weighed {
  readonly refusal?: string
  readonly note: string
}

/** Arithmetic of a point from which on it has an exponential or a logarithm in it. */
const LEAST_COST = 10

/**
 * Weighs kernels with what is joined to them (`joined`, beside the same kernels without it, `plain`) against the passes that they replace, which are
 * what style split runs. Where the target does not trust its estimate, the rules stand.
 */
export function weigh(
  what: string,
  joined: readonly Equation[],
  plain: readonly Equation[],
  passes: readonly Equation[],
  { price, estimates = false }: FusionContext,
): Weighed {
  const found = price?.(joined, plain, passes)
  if (!found) return { note: '' }
  const hasFunctions = passes.some(({ stores }) => stores.some(({ value }) => pointCost(value) >= LEAST_COST))
  if (isSlower(found, hasFunctions ? 'functions' : 'memory'))
    return { refusal: `${what} is faster by a pass of its own (estimated: ${showPrice(found)})`, note: '' }
  return { note: estimates ? ` (estimated: ${showPrice(found)})` : '' }
}
