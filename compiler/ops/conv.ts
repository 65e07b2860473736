import { countOf } from '../../bundle/plain.ts'
import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Attributes, Parameter } from '../../dsl/signature.ts'
import { divisors } from '../ir/divisors.ts'
import type { Shape } from '../ir/tensor.ts'
import { argumentProblem } from './diagnostics.ts'
import { linearGradients } from './gradients.ts'
import type { Operator, ShapeQuestion } from './operator.ts'
import { biasParameter, fillerProblems, weightAndBias, weightParameters } from './shared-parameters.ts'
import { convolutionEquation, coupleEquations, coupleInTasks, transposedConvolutionEquation } from './conv-equations.ts'
import { dilationParameter, fitProblems, idleDilation, isSame, kernelParameter, mapProblems, type Pair, paddingOf, pairOf, padParameter,
  slidesOf, strideParameter, windowCount } from './sliding-window.ts'

export const outParameter: Parameter = { name: 'out', type: { kind: 'integer', min: 1 }, doc: 'channels of the output' }
export const groupsParameter: Parameter = {
  name: 'groups',
  type: { kind: 'integer', min: 1 },
  default: 1,
  named: true,
  doc: 'parts of the channels that do not see each other; as many as channels: depthwise',
}

export const kernelOf = (attributes: Attributes): Pair => pairOf(attributes, 'kernel', [1, 1])

/** The attributes that the equations of both convolutions read. */
export const windowAttributes = (attributes: Attributes): Attributes =>
  Object.fromEntries(
    ['kernel', 'stride', 'pad', 'dilation', 'groups'].flatMap((name) => (attributes[name] === undefined ? [] : [[name, attributes[name]]])),
  )

const MOST_SHOWN = 16
const greatestCommon = (a: number, b: number): number => {
  while (b !== 0) [a, b] = [b, a % b]
  return a
}

/** Groups split the channels on both sides evenly. */
export function groupProblems(q: ShapeQuestion): Diagnostic[] {
  const groups = (q.attributes['groups'] as number | undefined) ?? 1
  const out = q.attributes['out'] as number
  const channels = q.inputs[0]!.shape[1] as number
  const wrong = (what: string): Diagnostic => {
    const possible = divisors(greatestCommon(out, channels))
    const shown = possible.length > MOST_SHOWN ? [...possible.slice(0, MOST_SHOWN), '...'] : possible
    const hint = `groups must divide the ${countOf(channels, 'channel')} and the ${countOf(out, 'output')}: ${shown.join(', ')}`
    const problem = argumentProblem(q, 'groups', 'groups', `${what} cannot be split into ${groups} groups`, hint)
    const x = q.inputs[0]!
    return { ...problem, labels: [...problem.labels, { span: x.madeAt, text: `${countOf(channels, 'channel')} made here` }] }
  }
  return [
    ...(channels % groups === 0 ? [] : [wrong(countOf(channels, 'channel'))]),
    ...(out % groups === 0 ? [] : [wrong(countOf(out, 'output'))]),
  ]
}

/**
 * y[n, o, h, w] = bias[o] + sum over c, kh, kw of x[n, c, h stride + kh dilation - pad, ...] weight[o, c, kh, kw].
 * x [n, C, H, W], weight [O, C / groups, kh, kw], bias [O], y [n, O, floor((H + pad + end - dilation (kh - 1) - 1) / stride) + 1, ...].
 * Diagnostics: shape/conv-rank, shape/conv-window, argument/groups, argument/bilinear, argument/uniform.
 */
const conv: Operator = {
  name: 'conv',
  signature: {
    name: 'conv',
    parameters: [
      outParameter,
      kernelParameter,
      strideParameter,
      padParameter,
      { ...dilationParameter, named: true },
      groupsParameter,
      biasParameter,
      ...weightParameters,
    ],
    doc: 'convolution; weight [out, in / groups, kernel height, kernel width]',
  },
  traits: {
    idle: idleDilation,
    linear: {
      weightLayout: () => 'oihw',
      foldsInput: (attributes) => !isSame(attributes) && paddingOf(attributes).flat().every((pad) => pad === 0),
      pointwise: (attributes) =>
        kernelOf(attributes).every((side) => side === 1) && pairOf(attributes, 'stride', [1, 1]).every((stride) => stride === 1) &&
        paddingOf(attributes).flat().every((pad) => pad === 0),
    },
  },
  shape: (q) => {
    const rank = mapProblems(q)
    if (rank.length > 0) return rank
    const [batch, channels, height, width] = q.inputs[0]!.shape as readonly [Shape[number], number, number, number]
    const kernel = kernelOf(q.attributes)
    const slides = slidesOf(q.attributes, kernel)
    const problems = [...groupProblems(q), ...fitProblems(q, slides), ...fillerProblems(q, kernel)]
    if (problems.length > 0) return problems
    const out = q.attributes['out'] as number
    const inner = channels / ((q.attributes['groups'] as number | undefined) ?? 1)
    const same = isSame(q.attributes)
    const area = kernel[0] * kernel[1]
    return {
      shape: [batch, out, windowCount(height, slides[0], same), windowCount(width, slides[1], same)],
      parameters: weightAndBias(q, { weight: [out, inner, ...kernel], fanIn: inner * area, fanOut: out * area, out }),
    }
  },
  equations: (node) => [convolutionEquation(node)],
  gradient: (node, dy, build) =>
    linearGradients(node, dy, build, {
      dx: 'conv_dx',
      dweight: { op: 'conv_dweight', inputs: [node.inputs[0]!, dy] },
      attributes: windowAttributes(node.attributes),
    }),
}

/** y depends on x[n, c, H, W] through the windows that it lies in: dx = sum over o, kh, kw of dy weight. Input: dy. */
const convDx: Operator = { name: 'conv_dx', equations: (node) => [transposedConvolutionEquation(node)] }

/** dweight = sum over n and all windows of x dy. Inputs: what the windows slide over, what they make (x, dy). */
const convDweight: Operator = { name: 'conv_dweight', equations: coupleEquations, equationsInTasks: coupleInTasks }

export const convOperators: readonly Operator[] = [conv, convDx, convDweight]
