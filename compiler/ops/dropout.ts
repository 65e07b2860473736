import type { Node } from '../graph/graph.ts'
import { div, type Expression, load, mul, random, select } from '../ir/expression.ts'
import { type Axis, index, plus, times } from '../ir/affine.ts'
import { sameShape, type Shape, showShape } from '../ir/tensor.ts'
import { argumentProblem, labelProblems, shapeProblem } from './diagnostics.ts'
import { firstInputGradient } from './gradients.ts'
import type { Operator } from './operator.ts'
import { numberOf, pointwise } from './elementwise.ts'

/**
 * Drops each value with probability p and scales the others by 1 / (1 - p), so that nothing is left to do at test time
 * (Srivastava et al. 2014, inverted). The mask is a function of (seed, step, layer, position): the backward pass draws it
 * again instead of keeping it, and every device draws the same. A mask of zeros and ones may be given instead.
 */
const dropout: Operator = {
  name: 'dropout',
  signature: {
    name: 'dropout',
    parameters: [
      { name: 'p', type: { kind: 'number', min: 0, max: 1 }, default: 0.5, doc: 'the probability with which a value is dropped' },
      {
        name: 'mask',
        type: { kind: 'value' },
        optional: true,
        named: true,
        doc: 'zeros and ones that say what is kept, instead of chance',
      },
    ],
    doc: 'drops values by chance in training, does nothing at test time',
  },
  traits: { identityAtTest: true, initSeesThrough: true },
  shape: (q) => {
    const [x, mask] = q.inputs
    const problems = labelProblems(q)
    if (numberOf(q.attributes, 'p', 0.5) >= 1)
      problems.push(
        argumentProblem(q, 'p', 'dropout-p', 'dropout with p = 1 keeps nothing', 'p is the probability to be dropped: less than 1'),
      )
    if (mask && !sameShape(mask.shape, x!.shape)) {
      problems.push(
        shapeProblem(
          q,
          'dropout-mask',
          `the mask ${showShape(mask.shape)} does not fit ${showShape(x!.shape)}`,
          [x!, mask],
          'the mask must have the shape of what it masks',
        ),
      )
    }
    return problems.length > 0 ? problems : { shape: x!.shape }
  },
  equations: (node) => {
    const [x, mask] = node.inputs
    return [pointwise(node, (at) => masked(node, load(x!, ...at), mask && load(mask, ...at), x!.shape, at))]
  },
  gradient: (node, dy, build) =>
    firstInputGradient(node, build, { op: 'dropout_dx', inputs: [dy, ...node.inputs.slice(1)], attributes: node.attributes }),
}

/** Applies the same mask to the gradient. Inputs: dy, and the mask if it was given. */
const dropoutDx: Operator = {
  name: 'dropout_dx',
  equations: (node) => {
    const [dy, mask] = node.inputs
    return [pointwise(node, (at) => masked(node, load(dy!, ...at), mask && load(mask, ...at), dy!.shape, at))]
  },
}

function masked(node: Node, value: Expression, mask: Expression | undefined, shape: Shape, at: readonly Axis[]): Expression {
  const p = numberOf(node.attributes, 'p', 0.5)
  if (mask) return div(mul(value, mask), 1 - p)
  if (p === 0) return value
  const position = at.reduce((sum, a, i) => plus(i === 0 ? 0 : times(sum, shape[i] as number), a), index(0))
  return select('lt', random(layerKey(node.layer), position), p, 0, div(value, 1 - p))
}

/** FNV-1a of the layer's name, 32 bits: layers draw different numbers, and the same ones when another layer is added. */
export function layerKey(name: string): number {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}

export const dropoutOperators: readonly Operator[] = [dropout, dropoutDx]
