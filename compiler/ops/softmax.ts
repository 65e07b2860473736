import type { Parameter } from '../../dsl/signature.ts'
import type { Node, Value } from '../graph/graph.ts'
import { div, exp, type Expression, load, log, maximum, mul, sub, sum } from '../ir/expression.ts'
import { axis, type Axis, type IndexLike } from '../ir/affine.ts'
import { type Equation, store } from '../ir/equation.ts'
import { type Shape, tensor, type Tensor } from '../ir/tensor.ts'
import { axisRange, axisRangeProblems } from './axes.ts'
import { channelProblems, labelProblems } from './diagnostics.ts'
import { firstInputGradient } from './gradients.ts'
import type { Operator } from './operator.ts'
import { pointwise } from './elementwise.ts'
import { sampleReduction } from './sample-reduction.ts'

/** The point at the same position in another channel. */
export const inChannel = (at: readonly IndexLike[], c: IndexLike): IndexLike[] => [at[0]!, c, ...at.slice(2)]
const channelAxis = (x: Tensor): Axis => axis('k', x.shape[1] as number)

/** The largest of all channels at a point: what is subtracted so that no exponential overflows. */
export function channelMaximum(x: Tensor, at: readonly IndexLike[]): Expression {
  const k = channelAxis(x)
  return maximum([k], load(x, ...inChannel(at, k)))
}

/** sum over channels of exp(x - most): between 1 and C. */
export function exponentialSum(x: Tensor, at: readonly IndexLike[], most: Expression): Expression {
  const k = channelAxis(x)
  return sum([k], exp(sub(load(x, ...inChannel(at, k)), most)))
}

const parameters: readonly Parameter[] = [
  { name: 'axis', type: { kind: 'integer' }, default: 1, doc: 'the axis whose values make a whole; from the end where negative' },
  { name: 'end', type: { kind: 'integer' }, optional: true, doc: 'the last of several axes, from `axis` on, whose values do so together' },
]

const shape: Operator['shape'] = (q) => {
  const problems = [...labelProblems(q), ...(q.attributes['axis'] === 1 ? channelProblems(q) : [])]
  if (problems.length === 0) problems.push(...axisRangeProblems(q))
  return problems.length > 0 ? problems : { shape: q.inputs[0]!.shape }
}

const gradientBy = (op: string): Operator['gradient'] => (node, dy, build) => {
  const { axis: from, end } = node.attributes
  const attributes = { ...(from !== undefined && from !== 1 && { axis: from }), ...(end !== undefined && { end }) }
  return firstInputGradient(node, build, {
    op,
    inputs: [dy, node.outputs[0]!],
    ...(Object.keys(attributes).length > 0 && { attributes }),
  })
}

/** What is reduced along the axes of a node at one point, each reduction of those before it at the point. */
type Reductions = readonly ((at: readonly IndexLike[], before: readonly Expression[]) => { combine: 'sum' | 'max'; term: Expression })[]

/** Several axes of more values than this are reduced by kernels of their own: one for each point would take in a whole map. */
const LONG = 4096

/** The equations of a node whose value at a point is made of reductions along its axes. */
function alongAxes(
  node: Node,
  reductions: Reductions,
  value: (at: readonly Axis[], reduced: readonly Expression[]) => Expression,
): readonly Equation[] {
  const { shape: of } = node.outputs[0]!
  const along = axisRange(node.attributes, of.length)
  const size = along.reduce((product, d) => product * (of[d] as number), 1)
  if (along.length > 1 && size > LONG) return inSteps(node, of, along, reductions, value)
  return [pointwise(node, (at) => {
    const reduced: Expression[] = []
    for (const reduction of reductions) {
      const inner = along.map((d, i) => axis(i === 0 ? 'k' : `k${i + 1}`, of[d] as number))
      const { combine, term } = reduction(at.map((a, d) => inner[along.indexOf(d)] ?? a), reduced)
      reduced.push(combine === 'sum' ? sum(inner, term) : maximum(inner, term))
    }
    return value(at, reduced)
  })]
}

function inSteps(
  node: Node,
  of: Shape,
  along: readonly number[],
  reductions: Reductions,
  value: (at: readonly Axis[], reduced: readonly Expression[]) => Expression,
): readonly Equation[] {
  const kept = <T>(at: readonly T[]): T[] => at.filter((_, d) => !along.includes(d))
  const tables: Tensor[] = []
  const read = (at: readonly IndexLike[]): Expression[] => tables.map((table) => load(table, ...kept(at)))
  const equations: Equation[] = []
  for (const [i, reduction] of reductions.entries()) {
    const table = tensor(`${node.name}.reduced${i}`, kept(of))
    const at = (there: readonly IndexLike[]) => reduction(there, read(there))
    equations.push(...sampleReduction({
      name: table.name,
      layers: [node.layer],
      shape: of,
      reduced: along,
      combine: at(of.map(() => 0)).combine,
      terms: (there) => [at(there).term],
      stores: (there, [total]) => [store(table, there.filter((a) => a !== undefined), total!)],
    }))
    tables.push(table)
  }
  return [...equations, pointwise(node, (at) => value(at, read(at)))]
}

/** The largest, and sum exp(x - the largest): between 1 and the number of values. No exponential overflows. */
const largestAndSum = (x: Value): Reductions => [
  (at) => ({ combine: 'max', term: load(x, ...at) }),
  (at, [most]) => ({ combine: 'sum', term: exp(sub(load(x, ...at), most!)) }),
]

/** y = exp(x - m) / sum exp(x - m), m the largest */
const softmax: Operator = {
  name: 'softmax',
  signature: { name: 'softmax', parameters, doc: 'probabilities over the channel axis, or over others' },
  traits: { keepsClasses: true, bounds: () => [0, 1] },
  shape,
  equations: (node) => {
    const x = node.inputs[0]!
    return alongAxes(node, largestAndSum(x), (at, [most, total]) => div(exp(sub(load(x, ...at), most!)), total!))
  },
  gradient: gradientBy('softmax_dx'),
}

/** dx = y (dy - sum dy y) */
const softmaxDx: Operator = {
  name: 'softmax_dx',
  equations: (node) => {
    const [dy, y] = node.inputs as readonly [Value, Value]
    return alongAxes(
      node,
      [(at) => ({ combine: 'sum', term: mul(load(dy, ...at), load(y, ...at)) })],
      (at, [dot]) => mul(load(y, ...at), sub(load(dy, ...at), dot!)),
    )
  },
}

/** y = x - m - log(sum exp(x - m)): exact where the probability is close to 0 or 1 */
const logSoftmax: Operator = {
  name: 'log_softmax',
  signature: { name: 'log_softmax', parameters, doc: 'logarithms of probabilities over the channel axis, or over others' },
  traits: { keepsClasses: true, bounds: () => [-Infinity, 0] },
  shape,
  equations: (node) => {
    const x = node.inputs[0]!
    return alongAxes(node, largestAndSum(x), (at, [most, total]) => sub(sub(load(x, ...at), most!), log(total!)))
  },
  gradient: gradientBy('log_softmax_dx'),
}

/** dx = dy - exp(y) sum dy */
const logSoftmaxDx: Operator = {
  name: 'log_softmax_dx',
  equations: (node) => {
    const [dy, y] = node.inputs as readonly [Value, Value]
    return alongAxes(
      node,
      [(at) => ({ combine: 'sum', term: load(dy, ...at) })],
      (at, [total]) => sub(load(dy, ...at), mul(exp(load(y, ...at)), total!)),
    )
  },
}

export const softmaxOperators: readonly Operator[] = [softmax, softmaxDx, logSoftmax, logSoftmaxDx]
