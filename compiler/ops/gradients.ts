import type { Attributes } from '../../dsl/signature.ts'
import type { Node, Value } from '../graph/graph.ts'
import type { GradientBuilder, Gradients } from './operator.ts'

/** A node that computes a gradient: its operator, and what it reads. */
export interface GradientNode {
  readonly op: string
  readonly inputs: readonly Value[]
  readonly parameters?: Readonly<Record<string, Value>>
  readonly attributes?: Attributes
}

/**
 * The gradient of a value that a node reads, as one node `X.suffix` with an output of that value's shape; undefined where nobody asks
 * for it.
 */
export const gradientOf = (value: Value | undefined, suffix: string, build: GradientBuilder, node: GradientNode): Value | undefined =>
  value && build.needs(value) ? build.node({ suffix, ...node, outputs: [{ name: suffix, shape: value.shape }] })[0] : undefined

/** The gradients of an operator whose first input alone has one: the node `X.dx`. */
export const firstInputGradient = (of: Node, build: GradientBuilder, node: GradientNode): Gradients => ({
  inputs: [gradientOf(of.inputs[0], 'dx', build, node)],
})

/**
 * The gradient of an operator whose outputs are each one of its input's elements: the node `X.position` finds which, `X.dx` puts dy there and
 * 0 elsewhere. `attributes` are those of both nodes.
 */
export function positionGradient(
  of: Node,
  dy: Value,
  build: GradientBuilder,
  { position, dx, attributes }: { readonly position: string; readonly dx: string; readonly attributes: Attributes },
): Gradients {
  const x = of.inputs[0]!
  if (!build.needs(x)) return {}
  const outputs = [{ name: 'position', shape: dy.shape }]
  const taken = build.node({ suffix: 'position', op: position, inputs: [x], attributes, outputs })
  return firstInputGradient(of, build, { op: dx, inputs: [dy, taken[0]!], attributes })
}

/** db[c] = sum over n and the map of dy[n, c, ...]; c counts axis 1, or another. */
export const biasGradient = (bias: Value | undefined, dy: Value, build: GradientBuilder, axis = 1): Value | undefined =>
  gradientOf(bias, 'dbias', build, { op: 'channel_sum', inputs: [dy], ...(axis !== 1 && { attributes: { axis } }) })

export interface LinearGradients {
  /** Computes dx from dy and the weight. */
  readonly dx: string
  /** Computes dweight from two maps, x and dy in an order of its own. */
  readonly dweight: { readonly op: string; readonly inputs: readonly [Value, Value] }
  /** The attributes of both nodes. */
  readonly attributes: Attributes
  /** The axis of the output that the bias is of. Default 1. */
  readonly biasAxis?: number
}

/** The gradients of a layer that is linear in its parameter `weight` and adds its parameter `bias` to each channel. */
export function linearGradients(of: Node, dy: Value, build: GradientBuilder, given: LinearGradients): Gradients {
  const { dx, dweight, attributes, biasAxis } = given
  const { weight, bias } = of.parameters
  const { inputs } = firstInputGradient(of, build, { op: dx, inputs: [dy], parameters: { weight: weight! }, attributes })
  return {
    inputs: inputs!,
    parameters: {
      weight: gradientOf(weight, 'dweight', build, { ...dweight, attributes }),
      bias: biasGradient(bias, dy, build, biasAxis),
    },
  }
}
