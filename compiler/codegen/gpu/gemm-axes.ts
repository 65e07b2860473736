import { freeAxes } from '../../ir/analysis.ts'
import type { Axis } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import type { Expression, Reduction } from '../../ir/expression.ts'

/** The output axes of a contraction in the roles of a matrix product: of a convolution, M counts output channels, N images and pixels. */
export interface GemmAxes {
  readonly main: Reduction
  /** Axes that only the filter's factor has: the factor with fewer axes of its own. */
  readonly mAxes: readonly Axis[]
  /** Axes that only the input's factor has. */
  readonly nAxes: readonly Axis[]
  /** The factor with more axes of its own. */
  readonly input: Expression
}

/** Sorts the axes of an equation by the factor of its contraction that has them; those that both have, or of extent 1, are in neither. */
export function gemmAxes(equation: Equation, main: Reduction): GemmAxes {
  const product = main.body as Extract<Expression, { kind: 'binary' }>
  const [ofA, ofB] = [freeAxes(product.a), freeAxes(product.b)]
  const onlyA = equation.axes.filter((a) => ofA.has(a) && !ofB.has(a) && a.extent !== 1)
  const onlyB = equation.axes.filter((a) => ofB.has(a) && !ofA.has(a) && a.extent !== 1)
  const inputIsA = onlyA.length >= onlyB.length
  const [nAxes, mAxes] = inputIsA ? [onlyA, onlyB] : [onlyB, onlyA]
  return { main, nAxes, mAxes, input: inputIsA ? product.a : product.b }
}
