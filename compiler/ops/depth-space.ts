import { countOf } from '../../bundle/plain.ts'
import type { Node } from '../graph/graph.ts'
import type { Parameter } from '../../dsl/signature.ts'
import { load } from '../ir/expression.ts'
import { type Axis, divide, type IndexLike, plus, remainder, times } from '../ir/affine.ts'
import type { Equation } from '../ir/equation.ts'
import { showShape } from '../ir/tensor.ts'
import { shapeProblem } from './diagnostics.ts'
import { firstInputGradient } from './gradients.ts'
import type { Operator } from './operator.ts'
import type { OperatorTraits } from './traits.ts'
import { numberOf, pointwise } from './elementwise.ts'
import { mapProblems } from './sliding-window.ts'

/*
 * Blocks of b x b pixels become channels and the other way round: with C the number of channels of the larger map, its channel c at row
 * h b + i, column w b + j is the smaller map's channel (i b + j) C + c (order dcr: depth, column, row in ONNX' words) or c b^2 + i b + j
 * (order crd, PyTorch's PixelShuffle), at row h, column w.
 */

const parameters: readonly Parameter[] = [
  { name: 'block', type: { kind: 'integer', min: 1 }, doc: 'height and width of a block' },
  {
    name: 'order',
    type: { kind: 'word', words: ['dcr', 'crd'] },
    default: 'dcr',
    doc: 'which comes first among the channels: the place in the block, or the channel of the larger map',
  },
]

const traits: OperatorTraits = {
  idle: (
    attributes,
  ) => (attributes['block'] === 1 ? [{ name: 'order', by: 'block', value: '1', why: 'a block of one pixel has no order' }] : []),
}

const blockOf = (node: Pick<Node, 'attributes'>): number => numberOf(node.attributes, 'block', 1)
const isChannelFirst = (node: Pick<Node, 'attributes'>): boolean => node.attributes['order'] === 'crd'

/** The element of the smaller map that an element of the larger one is. */
function smaller(node: Node, [n, c, h, w]: readonly Axis[], channels: number): readonly IndexLike[] {
  const block = blockOf(node)
  const place = plus(times(remainder(h!, block), block), remainder(w!, block))
  const channel = isChannelFirst(node) ? plus(times(c!, block * block), place) : plus(times(place, channels), c!)
  return [n!, channel, divide(h!, block), divide(w!, block)]
}

/** The element of the larger map that an element of the smaller one is. */
function larger(node: Node, [n, c, h, w]: readonly Axis[], channels: number): readonly IndexLike[] {
  const block = blockOf(node)
  const place = isChannelFirst(node) ? remainder(c!, block * block) : divide(c!, channels)
  const channel = isChannelFirst(node) ? divide(c!, block * block) : remainder(c!, channels)
  return [n!, channel, plus(times(h!, block), divide(place, block)), plus(times(w!, block), remainder(place, block))]
}

const spread = (node: Node): readonly Equation[] => {
  const channels = node.outputs[0]!.shape[1] as number
  return [pointwise(node, (at) => load(node.inputs[0]!, ...smaller(node, at, channels)))]
}
const gather = (node: Node): readonly Equation[] => {
  const channels = node.inputs[0]!.shape[1] as number
  return [pointwise(node, (at) => load(node.inputs[0]!, ...larger(node, at, channels)))]
}

/** x [n, C b^2, H, W] -> y [n, C, H b, W b]. Diagnostics: shape/depth-to-space-rank, shape/depth-to-space-channels. */
const depthToSpace: Operator = {
  name: 'depth_to_space',
  signature: { name: 'depth_to_space', parameters, doc: 'channels become blocks of pixels: a larger map of fewer channels' },
  traits,
  shape: (q) => {
    const problems = mapProblems(q)
    if (problems.length > 0) return problems
    const [n, channels, height, width] = q.inputs[0]!.shape as readonly [number, number, number, number]
    const block = blockOf(q)
    if (channels % block ** 2 !== 0) {
      return [
        shapeProblem(
          q,
          'depth-to-space-channels',
          `${countOf(channels, 'channel')} cannot be split into blocks of ${block} x ${block} pixels`,
          q.inputs,
          `their number is a multiple of ${block ** 2}, e.g. conv(${Math.ceil(channels / block ** 2) * block ** 2}, 1) in front`,
        ),
      ]
    }
    return { shape: [n, channels / block ** 2, height * block, width * block] }
  },
  equations: spread,
  gradient: (node, dy, build) => firstInputGradient(node, build, { op: 'space_to_depth', inputs: [dy], attributes: node.attributes }),
}

/** x [n, C, H b, W b] -> y [n, C b^2, H, W]. Diagnostics: shape/space-to-depth-rank, shape/space-to-depth-size. */
const spaceToDepth: Operator = {
  name: 'space_to_depth',
  signature: { name: 'space_to_depth', parameters, doc: 'blocks of pixels become channels: a smaller map of more channels' },
  traits,
  shape: (q) => {
    const problems = mapProblems(q)
    if (problems.length > 0) return problems
    const [n, channels, height, width] = q.inputs[0]!.shape as readonly [number, number, number, number]
    const block = blockOf(q)
    if (height % block !== 0 || width % block !== 0) {
      return [
        shapeProblem(
          q,
          'space-to-depth-size',
          `${showShape(q.inputs[0]!.shape)} is not made of blocks of ${block} x ${block} pixels`,
          q.inputs,
          `height and width are multiples of ${block}, e.g. pad([0, ${(block - (height % block)) % block}, 0, ${
            (block - (width % block)) % block
          }]) in front`,
        ),
      ]
    }
    return { shape: [n, channels * block ** 2, height / block, width / block] }
  },
  equations: gather,
  gradient: (node, dy, build) => firstInputGradient(node, build, { op: 'depth_to_space', inputs: [dy], attributes: node.attributes }),
}

export const depthSpaceOperators: readonly Operator[] = [depthToSpace, spaceToDepth]
