import type { Axis } from '../../ir/affine.ts'
import { bottomUp, mapValues, replaceNode, substituteReduced } from '../../ir/rewrite.ts'
import { freeAxes, isContraction, reductions, steps } from '../../ir/analysis.ts'
import { type Expression, guard, type Reduction, walk } from '../../ir/expression.ts'
import { channelAxesIn, type Equation } from '../../ir/equation.ts'
import { onceAtWork } from '../../ir/once-by-node.ts'
import { dropTrueGuards, flattenAxes, flattenReductions } from '../../ir/reshape.ts'
import { binaryOf, reductionOf } from '../../ir/expression-node.ts'

/** What a schedule speaks of: an equation with as few axes and guards as possible. Depends on its `canonicalText` alone. */
export interface Simplified {
  readonly equation: Equation
  /** The same equation, its largest sum of products without guards that both factors have; absent where register tiles do not apply. */
  readonly contraction?: Contraction
}

export interface Contraction {
  readonly equation: Equation
  readonly main: Reduction & { readonly body: Product }
}

export type Product = Extract<Expression, { kind: 'binary' }>

/** Simplifies an equation, once for who chooses a schedule and who follows it; what a fused producer computes is left out. */
export const simplify = onceAtWork(({ fusedProducer: _, ...given }: Equation): Simplified => {
  const equation = divideOnce(flattenReductions(flattenAxes(dropTrueGuards(given), given.sides.flatMap(channelAxesIn))))
  const sums = equation.stores.flatMap((s) => reductions(s.value))
  const main = sums.filter(isContraction).sort((a, b) => steps(b) - steps(a))[0]
  // A sum that is invariant over an output axis is computed before that axis is walked: no register tile holds all of its points.
  const hasInvariantSum = equation.axes.some((a, i) => i > 0 && sums.some((r) => !freeAxes(r).has(a)))
  if (!main || hasInvariantSum || steps(main) <= 1) return { equation: shareReducedAxes(equation) }
  return { equation, contraction: withoutSharedGuards(equation, main) }
})

/** Divides a sum by a number once, not each of its terms: the gradient of an average. */
function divideOnce(e: Equation): Equation {
  if (!e.stores.some((s) => reductions(s.value).some((r) => termsOver(r)))) return e
  return mapValues(
    e,
    bottomUp((node) => {
      const found = node.kind === 'reduce' ? termsOver(node) : undefined
      return found && node.kind === 'reduce' ? binaryOf('div', reductionOf('sum', node.axes, found.terms), found.by) : node
    }),
  )
}

/** The terms of a sum without the number that each of them is divided by; undefined where there is none. */
function termsOver({ combine, body }: Reduction): { readonly terms: Expression; readonly by: Expression } | undefined {
  const isGuarded = body.kind === 'guard' && body.otherwise === 0
  const term = isGuarded ? body.value : body
  if (combine !== 'sum' || term.kind !== 'binary' || term.op !== 'div' || term.b.kind !== 'constant') return undefined
  // A sum of products is another algorithm's.
  if (term.a.kind === 'binary' && term.a.op === 'mul') return undefined
  return { terms: isGuarded ? guard(body.guards, term.a) : term.a, by: term.b }
}

/**
 * Lets sums of as many terms run along one axis, though one be part of the other (the squares of differences from a mean), so that what
 * is chosen for the axis holds for all of them, and those that do not wait for each other share a loop.
 */
function shareReducedAxes(e: Equation): Equation {
  const shared = new Map<number, Axis>()
  return mapValues(
    e,
    bottomUp((node) => {
      if (node.kind !== 'reduce' || node.combine === 'argmax' || node.axes.length !== 1) return node
      const [own] = node.axes as readonly [Axis]
      if (typeof own.extent !== 'number') return node
      const known = shared.get(own.extent)
      if (!known) shared.set(own.extent, own)
      // A sum over both, in one or in two that are nested, cannot have them as one.
      if (!known || known === own || freeAxes(node.body).has(known) || captures(node.body, known, own)) return node
      return reductionOf(node.combine, [known], substituteReduced(node.body, new Map([[own, known]])))
    }),
  )
}

/** Whether a sum over `bound` inside changes with `free`: renamed to `bound`, it would be taken for the sum's own axis. */
const captures = (e: Expression, bound: Axis, free: Axis): boolean =>
  walk(e).some((node) => node.kind === 'reduce' && node.axes.includes(bound) && freeAxes(node).has(free))

/** Where both factors are zero under the same condition, one of them is enough. */
function withoutSharedGuards(equation: Equation, main: Reduction): Contraction {
  const product = main.body as Product
  const { a, b } = product
  const shared = a.kind !== 'guard' || b.kind !== 'guard' || a.otherwise !== 0 || b.otherwise !== 0 ? []
    : a.guards.filter((g) =>
      g.kind === 'within' && typeof g.extent === 'number' &&
      b.guards.some((other) => other.kind === 'within' && other.extent === g.extent && other.at.key === g.at.key)
    )
  if (shared.length === 0 || a.kind !== 'guard') return { equation, main: main as Contraction['main'] }
  const factor = guard(a.guards.filter((g) => !shared.includes(g)), a.value)
  const lighter = reductionOf(main.combine, main.axes, binaryOf(product.op, factor, product.b))
  return {
    equation: { ...equation, stores: equation.stores.map((s) => ({ ...s, value: replaceNode(s.value, main, lighter) })) },
    main: lighter,
  }
}
