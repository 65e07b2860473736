import type { Diagnostic } from '../../../dsl/diagnostic.ts'
import type { Parameter, Signature } from '../../../dsl/signature.ts'
import type { Node, Value } from '../../graph/graph.ts'
import { add, load, mul } from '../../ir/expression.ts'
import type { Equation } from '../../ir/equation.ts'
import { showShape, tensor, type Tensor } from '../../ir/tensor.ts'
import { axisRangeProblems } from '../axes.ts'
import { argumentProblem, channelProblems, labelProblems, shapeProblem } from '../diagnostics.ts'
import { numberOf, pointwise } from '../elementwise.ts'
import type { GradientBuilder, Gradients, Operator, ParameterSpec, ShapeQuestion } from '../operator.ts'
import { ratesOf, rateParameters } from '../shared-parameters.ts'
import { extentAttributes, extentOf, hasChannelRows, parameterAt, parameterShape, statisticsShape, tableAt, valuesOf } from './extent.ts'
import { sampleNormGradients } from './gradients.ts'
import { affineOf, centred, normalized, statisticsEquations } from './statistics.ts'

/*
 * Normalization of each sample by itself, the same in training and at test time:
 *   y = gamma (x - mean) / sqrt(var + eps) + beta
 *   group_norm     mean and var of each group of channels (Wu & He 2018, equation 7); gamma and beta [C]
 *   instance_norm  of each channel (Ulyanov et al. 2016)
 *   layer_norm     of axes `axis` to `end` together (Ba et al. 2016); gamma and beta of their shape
 * var is the mean of squared differences, never a difference of means: see `moments.ts`.
 */

const eps: Parameter = { name: 'eps', type: { kind: 'number', min: 0 }, default: 1e-5, doc: 'added to the variance' }
const affine: Parameter = { name: 'affine', type: { kind: 'boolean' }, default: true, doc: 'whether it owns gamma and beta' }

/** Statistics are those of the sample, always. */
const keepsNothing = 'it keeps no statistics: each sample is normalized by its own, at test time too'
const mends: Signature['mends'] = { momentum: keepsNothing, stats: keepsNothing }

/** gamma and beta, which start with 1 and 0. */
function parametersOf(q: ShapeQuestion, shape: readonly number[]): readonly ParameterSpec[] {
  if (q.attributes['affine'] === false) return []
  return [['gamma', 1] as const, ['beta', 0] as const].map(([role, value], i) => ({
    role,
    shape,
    filler: { value, fanIn: 1, fanOut: 1 },
    ...ratesOf(q.attributes, i),
  }))
}

function layer(signature: Signature, problemsOf: (q: ShapeQuestion) => readonly Diagnostic[]): Operator {
  return {
    name: signature.name,
    signature,
    traits: { initSeesThrough: true, normalizesSamples: true },
    shape: (q) => {
      const problems = [...labelProblems(q), ...problemsOf(q)]
      if (problems.length > 0) return problems
      const x = q.inputs[0]!
      const extent = extentOf(q, x.shape)
      if (valuesOf(extent, x.shape) === 1) return [oneValueProblem(q, x)]
      return { shape: x.shape, parameters: parametersOf(q, parameterShape(extent, x.shape)) }
    },
    equations: (node) => {
      const x = node.inputs[0]!
      const extent = extentOf(node, x.shape)
      const statistics = tensor(`${node.name}.statistics`, statisticsShape(extent, x.shape, affineOf(node) !== undefined))
      return [
        ...statisticsEquations(node, { name: `${node.name}.moments`, source: x, result: statistics }),
        normalizeEquation(node, statistics),
      ]
    },
    gradient: (node, dy, build) => {
      const x = node.inputs[0]!
      const [statistics] = build.node({
        suffix: 'moments',
        op: 'sample_moments',
        inputs: [x],
        attributes: extentAttributes(node),
        outputs: [{ name: 'statistics', shape: statisticsShape(extentOf(node, x.shape), x.shape, false) }],
      })
      return sampleNormGradients(node, statistics!, dy, build)
    },
  }
}

const oneValueProblem = (q: ShapeQuestion, x: Value): Diagnostic =>
  shapeProblem(
    q,
    'one-value',
    `${q.op} would normalize single values of ${showShape(x.shape)}: nothing but beta would be left of them`,
    [x],
    'normalize several values together, or leave it out',
  )

/** y of x and the table. A channel that has a row of its own finds gamma and beta there. */
function normalizeEquation(node: Node, statistics: Tensor): Equation {
  const x = node.inputs[0]!
  const extent = extentOf(node, x.shape)
  const { gamma, beta } = node.parameters
  return pointwise(node, (at) => {
    if (hasChannelRows(extent) && affineOf(node)) {
      const row = tableAt(extent, x.shape, at)
      return add(mul(centred(extent, x, statistics, at), load(statistics, ...row, 3)), load(statistics, ...row, 4))
    }
    const unit = normalized(extent, x, statistics, at)
    const place = parameterAt(extent, at)
    const scaled = gamma ? mul(unit, load(gamma, ...place)) : unit
    return beta ? add(scaled, load(beta, ...place)) : scaled
  })
}

const groupProblems = (q: ShapeQuestion): readonly Diagnostic[] => {
  const problems = channelProblems(q)
  if (problems.length > 0) return problems
  const { shape } = q.inputs[0]!
  const [groups, channels] = [numberOf(q.attributes, 'groups', 1), shape[1] as number]
  if (channels % groups === 0) return []
  const fitting = Array.from({ length: channels }, (_, i) => i + 1).filter((d) => channels % d === 0)
  return [
    argumentProblem(
      q,
      'groups',
      'groups',
      `${channels} channels do not come in ${groups} groups of one size`,
      `groups divides the number of channels: ${fitting.slice(0, 12).join(', ')}`,
    ),
  ]
}

/** Diagnostics: argument/groups, shape/group-norm-rank, shape/one-value. */
const groupNorm = layer({
  name: 'group_norm',
  parameters: [
    { name: 'groups', type: { kind: 'integer', min: 1 }, doc: 'how many groups the channels are in' },
    eps,
    affine,
    ...rateParameters(2),
  ],
  doc: 'normalizes groups of channels of each sample by themselves',
  mends,
}, groupProblems)

/** Diagnostics: shape/instance-norm-rank, shape/one-value. */
const instanceNorm = layer({
  name: 'instance_norm',
  parameters: [eps, affine, ...rateParameters(2)],
  doc: 'normalizes each channel of each sample by itself',
  mends,
}, channelProblems)

/** Diagnostics: argument/axis, argument/batch-axis, argument/layer-norm-range, shape/one-value. */
const layerNorm = layer({
  name: 'layer_norm',
  parameters: [
    { name: 'axis', type: { kind: 'integer' }, default: 1, doc: 'the first axis that is normalized' },
    { name: 'end', type: { kind: 'integer' }, default: -1, doc: 'the last axis that is normalized' },
    eps,
    affine,
    ...rateParameters(2),
  ],
  doc: 'normalizes some axes of each sample together',
  mends,
}, axisRangeProblems)

/** y of x and its statistics, inputs in this order. Parameters: gamma and beta, or none. Attributes: those of `sample_moments`. */
const sampleNormalize: Operator = {
  name: 'sample_normalize',
  equations: (node) => [normalizeEquation(node, node.inputs[1]!)],
  gradient: (node, dy, build: GradientBuilder): Gradients => sampleNormGradients(node, node.inputs[1]!, dy, build),
}

export const sampleNormOperators: readonly Operator[] = [groupNorm, instanceNorm, layerNorm, sampleNormalize]
