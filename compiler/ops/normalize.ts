import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Attributes } from '../../dsl/signature.ts'
import type { Node } from '../graph/graph.ts'
import { constant, type Expression, load, mul, sub, sum } from '../ir/expression.ts'
import { type Axis, axis, type IndexLike, plus, times } from '../ir/affine.ts'
import { equation, store } from '../ir/equation.ts'
import { argumentProblem, channelProblems, labelProblems } from './diagnostics.ts'
import { UNIT } from './elsewhere/reductions.ts'
import { firstInputGradient } from './gradients.ts'
import type { ConstantSpec, Operator, ShapeQuestion } from './operator.ts'
import { numberOf, pointwise } from './elementwise.ts'

/*
 * Brings inputs to a range that suits the net: y = (x - mean) / std, the same for all, or a number a channel. Both are numbers of
 * the file, so inference, training and whatever else reads the net agree. One number for all stands in the expression; numbers
 * a channel are a constant tensor `coefficients` [2, C], rows mean and 1 / std.
 */

const listOf = (attributes: Attributes, name: string): readonly number[] => attributes[name] as readonly number[]
const isOne = (attributes: Attributes): boolean => ['mean', 'std'].every((name) => new Set(listOf(attributes, name)).size === 1)

/** Mean and 1 / std of every channel. */
export function channelNormalization(attributes: Attributes, channels: number): { mean: number[]; inverse: number[] } {
  const each = (name: string): number[] =>
    Array.from({ length: channels }, (_, c) => {
      const list = listOf(attributes, name)
      return list[list.length === 1 ? 0 : c]!
    })
  return { mean: each('mean'), inverse: each('std').map((std) => 1 / std) }
}

function constantsOf(attributes: Attributes, channels: number): readonly ConstantSpec[] {
  if (isOne(attributes)) return []
  const { mean, inverse } = channelNormalization(attributes, channels)
  return [{ role: 'coefficients', shape: [2, channels], values: [...mean, ...inverse] }]
}

/** Rows 0 (mean) or 1 (1 / std) at a channel. */
function coefficient(node: Node, row: 0 | 1, c: IndexLike): Expression {
  const table = node.parameters['coefficients']
  if (table) return load(table, row, c)
  const { mean, inverse } = channelNormalization(node.attributes, 1)
  return constant(row === 0 ? mean[0]! : inverse[0]!)
}

function problemsOf(q: ShapeQuestion): readonly Diagnostic[] {
  const shapes = [...labelProblems(q), ...channelProblems(q)]
  if (shapes.length > 0) return shapes
  const channels = q.inputs[0]!.shape[1] as number
  return (['mean', 'std'] as const).flatMap((name): Diagnostic[] => {
    const list = listOf(q.attributes, name)
    const wrong = (message: string, hint: string): Diagnostic[] => [argumentProblem(q, name, 'normalize', message, hint)]
    if (list.length !== 1 && list.length !== channels) {
      return wrong(
        `${name} has ${list.length} numbers, and ${q.inputs[0]!.name} ${channels} channel${channels === 1 ? '' : 's'}`,
        channels === 1 ? 'write one number' : `write one number, or ${channels}`,
      )
    }
    const strange = list.find((v) =>
      !Number.isFinite(Math.fround(v)) || (name === 'std' && !(v > 0 && Number.isFinite(Math.fround(1 / v)) && Math.fround(1 / v) > 0))
    )
    if (strange === undefined) return []
    return name === 'mean' ? wrong(`a mean of ${strange} is no number that float32 holds`, 'the mean of the values that come in, e.g. 0.5')
      : wrong(
        `nothing can be divided by a std of ${strange}`,
        'std is how far values lie from their mean: above 0, 1 leaves them as they are',
      )
  })
}

/** y = (x - mean) / std. Diagnostics: argument/normalize, shape/normalize-rank, shape/label-as-numbers. */
const normalize: Operator = {
  name: 'normalize',
  signature: {
    name: 'normalize',
    parameters: [
      { name: 'mean', type: { kind: 'numbers' }, idle: 0, doc: 'what is subtracted, a number or one a channel; pictures come as 0..1' },
      { name: 'std', type: { kind: 'numbers' }, idle: 1, doc: 'what is divided by, a number or one a channel' },
    ],
    mends: { dim: UNIT, axis: UNIT, p: UNIT },
    doc: '(x - mean) / std, constants of the net: what it reads may be what pictures are, 0..1',
  },
  traits: { initSeesThrough: true },
  shape: (q) => {
    const problems = problemsOf(q)
    const { shape } = q.inputs[0]!
    return problems.length > 0 ? problems : { shape, constants: constantsOf(q.attributes, shape[1] as number) }
  },
  equations: (node) => {
    const x = node.inputs[0]!
    return [pointwise(node, (at) => mul(sub(load(x, ...at), coefficient(node, 0, at[1]!)), coefficient(node, 1, at[1]!)))]
  },
  // dx = dy / std
  gradient: (node, dy, build) =>
    firstInputGradient(node, build, {
      op: 'normalize_dx',
      inputs: [dy],
      parameters: node.parameters,
      attributes: node.attributes,
    }),
}

const normalizeDx: Operator = {
  name: 'normalize_dx',
  equations: (node) => [pointwise(node, (at) => mul(load(node.inputs[0]!, ...at), coefficient(node, 1, at[1]!)))],
}

/** The elements of a layer's weight, by output and by the channel of what the layer reads. */
interface Columns {
  readonly output: IndexLike
  readonly channel: IndexLike
  /** The element's place in the weight. */
  readonly weight: readonly IndexLike[]
  /** The axes of outputs, and the axes that an output sums over. */
  readonly axes: readonly Axis[]
  readonly summed: readonly Axis[]
}

/**
 * The columns of the weight of a conv, [O, C / groups, kh, kw], or of an fc, [O, C h w], transposed [C h w, O]. Attributes: `of`, which layer;
 * `groups`, `transpose`; `space`, h w.
 */
function columnsOf(node: Node): Columns {
  const weight = node.parameters['weight']!
  const of = node.attributes['of']
  if (of === 'conv') {
    const groups = numberOf(node.attributes, 'groups', 1)
    const [outputs, inner, ...window] = weight.shape as readonly number[]
    const [g, k, i] = [axis('g', groups), axis('o', outputs! / groups), axis('i', inner!)]
    const rest = window.map((extent, d) => axis(d === 0 ? 'kh' : 'kw', extent))
    const o = plus(times(g, outputs! / groups), k)
    return { output: o, channel: plus(times(g, inner!), i), weight: [o, i, ...rest], axes: [g, k], summed: [i, ...rest] }
  }
  const transposed = node.attributes['transpose'] === true
  const space = numberOf(node.attributes, 'space', 1)
  const [inputs, outputs] = (transposed ? weight.shape : [...weight.shape].reverse()) as readonly number[]
  const [o, c, s] = [axis('o', outputs!), axis('c', inputs! / space), axis('s', space)]
  const i = plus(times(c, space), s)
  return { output: o, channel: c, weight: transposed ? [i, o] : [o, i], axes: [o], summed: [c, s] }
}

/** W'[o, i, ...] = W[o, i, ...] / std[c]. Parameters: weight, coefficients or none. */
const normalizeWeight: Operator = {
  name: 'normalize_weight',
  equations: (node) => {
    const { channel, weight, axes, summed } = columnsOf(node)
    return [
      equation(node.name, [node.layer], [...axes, ...summed], [
        store(node.outputs[0]!, weight, mul(load(node.parameters['weight']!, ...weight), coefficient(node, 1, channel))),
      ]),
    ]
  },
}

/** b'[o] = b[o] - sum over i, ... of W[o, i, ...] mean[c] / std[c]. Parameters: weight, bias or none, coefficients or none. */
const normalizeBias: Operator = {
  name: 'normalize_bias',
  equations: (node) => {
    const { output, channel, weight, axes, summed } = columnsOf(node)
    const { bias } = node.parameters
    const shift = sum(
      summed,
      mul(load(node.parameters['weight']!, ...weight), mul(coefficient(node, 0, channel), coefficient(node, 1, channel))),
    )
    return [equation(node.name, [node.layer], axes, [store(node.outputs[0]!, [output], sub(bias ? load(bias, output) : 0, shift))])]
  },
}

export const normalizeOperators: readonly Operator[] = [normalize, normalizeDx, normalizeWeight, normalizeBias]
