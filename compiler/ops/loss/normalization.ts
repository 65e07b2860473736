import type { Attributes, Parameter } from '../../../dsl/signature.ts'
import type { Node, Value } from '../../graph/graph.ts'
import { constant, div, type Expression, load, max, mul, scalar, select } from '../../ir/expression.ts'
import type { IndexLike } from '../../ir/affine.ts'
import type { Shape, Tensor } from '../../ir/tensor.ts'
import { totalsEquations } from '../batch-reduction.ts'
import type { Operator } from '../operator.ts'

/*
 * The divisor of a loss: Caffe's `normalization`. Gradients divide by the same number.
 */

export const normalization = (otherwise: string): Parameter => ({
  name: 'normalization',
  type: { kind: 'word', words: ['valid', 'full', 'batch_size', 'none'] },
  default: otherwise,
  named: true,
  doc: 'what the sum is divided by: labels that are not ignored, all labels, samples, or nothing',
})

export const batchOf = (shape: Shape): Expression => (shape[0] === 'n' ? scalar('batch') : constant((shape[0] ?? 1) as number))
const positionsOf = (shape: Shape): Expression =>
  mul(batchOf(shape), shape.slice(1).reduce<number>((product, dim) => product * (dim as number), 1))

const ignoredOf = (a: Attributes): number | undefined => (typeof a['ignore'] === 'number' ? a['ignore'] : undefined)
/** Whether the divisor must be counted in the labels. */
export const counts = (a: Attributes): boolean => a['normalization'] === 'valid' && ignoredOf(a) !== undefined

/** Caffe's rules; never less than 1, so that a batch in which all is ignored has loss 0. */
export function divisorOf(a: Attributes, positions: Shape, counted: Expression | undefined): Expression {
  switch (a['normalization']) {
    case 'none':
      return constant(1)
    case 'batch_size':
      return batchOf(positions)
    case 'full':
      return positionsOf(positions)
    default:
      return counted ? max(counted, 1) : positionsOf(positions)
  }
}

export const countsHere = (labels: Tensor, at: readonly IndexLike[], a: Attributes): Expression =>
  select('eq', load(labels, ...at), ignoredOf(a) ?? 0, 0, 1)

export const unlessIgnored = (labels: Tensor, at: readonly IndexLike[], a: Attributes, value: Expression): Expression => {
  const ignored = ignoredOf(a)
  return ignored === undefined ? value : select('eq', load(labels, ...at), ignored, 0, value)
}

/** How the value of such a loss over several batches follows from its value for each. A loss without a batch is the same in each. */
export function lossTotal(a: Attributes, labels: Value): 'samples' | 'sum' | 'count' {
  if (labels.shape[0] !== 'n') return 'samples'
  return a['normalization'] === 'none' ? 'sum' : counts(a) ? 'count' : 'samples'
}

/** The buffer to which a host that counts the labels itself writes a `loss_divisor`. Undefined where the labels are no input of the net. */
export function divisorBuffer({ inputs: [labels], attributes }: Pick<Node, 'inputs' | 'attributes'>): string | undefined {
  return labels!.storage?.role === 'input' ? `divisor.${labels!.name}.${ignoredOf(attributes)}` : undefined
}

/** The losses of a net (before its backward pass) whose divisor is counted, with what they count. */
export const countedLosses = (
  nodes: readonly Node[],
): readonly { readonly node: Node; readonly labels: Value; readonly ignore: number }[] =>
  nodes.filter(({ attributes, inputs }) => counts(attributes) && lossTotal(attributes, inputs[1]!) === 'count')
    .map((node) => ({ node, labels: node.inputs[1]!, ignore: ignoredOf(node.attributes)! }))

/** max(1, how many labels are not ignored), for gradients: one number for all of their points. */
const lossDivisor: Operator = {
  name: 'loss_divisor',
  equations: (node) => {
    const labels = node.inputs[0]!
    return totalsEquations(node, labels.shape, (at) => [countsHere(labels, at, node.attributes)], ([counted]) => [max(counted!, 1)])
  },
}

/** dLoss / divisor, of such a node. */
export const factorOf = (node: Node): Expression => {
  const [dLoss, , labels, divisor] = node.inputs as readonly [Value, Value, Value, Value | undefined]
  return div(load(dLoss), divisor ? load(divisor) : divisorOf(node.attributes, labels.shape, undefined))
}

export const normalizationOperators: readonly Operator[] = [lossDivisor]
