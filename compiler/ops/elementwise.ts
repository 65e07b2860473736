import type { Attributes } from '../../dsl/signature.ts'
import type { Node } from '../graph/graph.ts'
import { constant, type Expression, load, mul, scalar } from '../ir/expression.ts'
import { type Axis, axis } from '../ir/affine.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import type { Shape, Tensor } from '../ir/tensor.ts'

/** The axis along a dimension, named as in NCHW; what has no batch and one dimension counts `i`. */
export function axisAlong(shape: Shape, d: number): Axis {
  const names = shape.length === 1 && shape[0] !== 'n' ? ['i'] : shape.length === 3 ? ['n', 'c', 'w'] : ['n', 'c', 'h', 'w']
  return axis(names[d] ?? `d${d}`, shape[d]!)
}

/** One axis for every dimension. */
export const pointAxes = (shape: Shape): Axis[] => shape.map((_, d) => axisAlong(shape, d))

/** The equation of a node whose output is made element by element. */
export function pointwise(node: Node, value: (at: readonly Axis[]) => Expression): Equation {
  const out = node.outputs[0]!
  const at = pointAxes(out.shape)
  return equation(node.name, [node.layer], at, [store(out, at, value(at))])
}

/** An element of a channel's coefficients: [C], or [1] shared by all. */
export const perChannel = (coefficients: Tensor, at: readonly Axis[]): Expression =>
  load(coefficients, coefficients.shape[0] === 1 ? 0 : at[1]!)

/** How many values a channel of [n, C, ...] has, as a number of the loops: n * h * w. */
export function valuesPerChannel(shape: Shape): Expression {
  const space = shape.slice(2).reduce<number>((product, dim) => product * (dim as number), 1)
  return shape[0] === 'n' ? mul(scalar('batch'), space) : constant((shape[0] as number) * space)
}

/** An attribute that is a number, or what it is where a pass made the node without it. */
export function numberOf(attributes: Attributes, name: string, otherwise: number): number {
  const given = attributes[name]
  return typeof given === 'number' ? given : otherwise
}

/** Counts an axis from the end where it is negative, as -1 for the last. */
export const fromEnd = (at: number, length: number): number => (at < 0 ? at + length : at)
