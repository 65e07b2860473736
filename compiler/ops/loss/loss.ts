import type { Diagnostic } from '../../../dsl/diagnostic.ts'
import type { Attributes, Parameter, Signature } from '../../../dsl/signature.ts'
import type { Node, Value } from '../../graph/graph.ts'
import { abs, add, constant, div, exp, type Expression, load, log, max, mul, neg, position, scalar, select, sub,
  sum } from '../../ir/expression.ts'
import { axis, type IndexLike } from '../../ir/affine.ts'
import { type Equation, store } from '../../ir/equation.ts'
import { sameShape, type Shape, showShape, type Tensor } from '../../ir/tensor.ts'
import { sigmoidOf } from '../activation.ts'
import { channelProblems, labelProblems, shapeProblem } from '../diagnostics.ts'
import type { GradientBuilder, Operator, ShapeQuestion } from '../operator.ts'
import { numberOf, pointwise } from '../elementwise.ts'
import { channelMaximum, exponentialSum, inChannel } from '../softmax.ts'
import { sumsEquations } from '../batch-reduction.ts'

/*
 * A loss is one number, [], without its `weight`: that factor belongs to the sum of all losses, so it arrives here with
 * the output's gradient. Each loss adds up one term a position, then divides; gradients divide by the same number.
 */

const weight: Parameter = { name: 'weight', type: { kind: 'number' }, default: 1, named: true, doc: 'its factor in the sum of all losses' }

const lossSignature = (name: string, values: number, parameters: readonly Parameter[], doc: string): Signature => ({
  name,
  values: { min: values, max: values },
  parameters: [...parameters, weight],
  doc,
  role: 'loss',
})

const normalization = (otherwise: string): Parameter => ({
  name: 'normalization',
  type: { kind: 'word', words: ['valid', 'full', 'batch_size', 'none'] },
  default: otherwise,
  named: true,
  doc: 'what the sum is divided by: labels that are not ignored, all labels, samples, or nothing',
})

// ---- what a loss is divided by -----------------------------------------------------------------------------------------

const batchOf = (shape: Shape): Expression => (shape[0] === 'n' ? scalar('batch') : constant((shape[0] ?? 1) as number))
const positionsOf = (shape: Shape): Expression =>
  mul(batchOf(shape), shape.slice(1).reduce<number>((product, dim) => product * (dim as number), 1))

const ignoredOf = (a: Attributes): number | undefined => (typeof a['ignore'] === 'number' ? a['ignore'] : undefined)
/** Whether the divisor must be counted in the labels. */
const counts = (a: Attributes): boolean => a['normalization'] === 'valid' && ignoredOf(a) !== undefined

/** Caffe's rules; never less than 1, so that a batch in which all is ignored has loss 0. */
function divisorOf(a: Attributes, positions: Shape, counted: Expression | undefined): Expression {
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

const countsHere = (labels: Tensor, at: readonly IndexLike[], a: Attributes): Expression =>
  select('eq', load(labels, ...at), ignoredOf(a) ?? 0, 0, 1)

const unlessIgnored = (labels: Tensor, at: readonly IndexLike[], a: Attributes, value: Expression): Expression => {
  const ignored = ignoredOf(a)
  return ignored === undefined ? value : select('eq', load(labels, ...at), ignored, 0, value)
}

/** How such a loss over several batches follows from its values. What has no batch is the same in each. */
function lossTotal(a: Attributes, labels: Value): 'samples' | 'sum' | 'count' {
  if (labels.shape[0] !== 'n') return 'samples'
  return a['normalization'] === 'none' ? 'sum' : counts(a) ? 'count' : 'samples'
}

/** Of a `loss_divisor`: where a host writes it, which then counts the labels itself. Undefined where these are no input of the net. */
export function divisorBuffer({ inputs: [labels], attributes }: Pick<Node, 'inputs' | 'attributes'>): string | undefined {
  return labels!.storage?.role === 'input' ? `divisor.${labels!.name}.${ignoredOf(attributes)}` : undefined
}

/** The losses whose divisor is counted, with what they count. */
export const countedLosses = (
  nodes: readonly Node[],
): readonly { readonly node: Node; readonly labels: Value; readonly ignore: number }[] =>
  nodes.filter((node) =>
    (node.op === 'softmax_loss' || node.op === 'sigmoid_loss') && lossTotal(node.attributes, node.inputs[1]!) === 'count'
  )
    .map((node) => ({ node, labels: node.inputs[1]!, ignore: ignoredOf(node.attributes)! }))

/** The sum of a term a position over its divisor. `labels` has a position for each term. */
function lossEquations(node: Node, labels: Value, term: (at: readonly IndexLike[]) => Expression): readonly Equation[] {
  const a = node.attributes
  return sumsEquations({
    name: node.name,
    layers: [node.layer],
    shape: labels.shape,
    kept: [],
    terms: (at) => [unlessIgnored(labels, at, a, term(at)), ...(counts(a) ? [countsHere(labels, at, a)] : [])],
    stores: (_, [total, counted]) => [
      store(node.outputs[0]!, [], div(total!, divisorOf(a, labels.shape, counted))),
      ...(node.outputs[1] ? [store(node.outputs[1], [], counted!)] : []),
    ],
  })
}

/** max(1, how many labels are not ignored), for gradients: one number for all of their points. */
const lossDivisor: Operator = {
  name: 'loss_divisor',
  equations: (node) => {
    const labels = node.inputs[0]!
    return sumsEquations({
      name: node.name,
      layers: [node.layer],
      shape: labels.shape,
      kept: [],
      terms: (at) => [countsHere(labels, at, node.attributes)],
      stores: (_, [counted]) => [store(node.outputs[0]!, [], max(counted!, 1))],
    })
  },
}

/** Inputs of a loss' gradient: the output's gradient, what the loss read, and the divisor where it is counted. */
function gradientNode(node: Node, dLoss: Value, build: GradientBuilder, k: number, op = `${node.op}_dx`): Value | undefined {
  const [x, labels] = node.inputs as readonly [Value, Value]
  const of = node.inputs[k]!
  if (!build.needs(of)) return undefined
  const divisor = counts(node.attributes)
    ? build.node({
      suffix: 'divisor',
      op: 'loss_divisor',
      inputs: [labels],
      attributes: node.attributes,
      outputs: [{ name: 'divisor', shape: [] }],
    })
    : []
  return build.node({
    suffix: k === 0 ? 'dx' : 'dtarget',
    op,
    inputs: [dLoss, x, ...(labels ? [labels] : []), ...divisor],
    attributes: node.attributes,
    outputs: [{ name: k === 0 ? 'dx' : 'dtarget', shape: of.shape }],
  })[0]
}

/** dLoss / divisor, of such a node. */
const factorOf = (node: Node): Expression => {
  const [dLoss, , labels, divisor] = node.inputs as readonly [Value, Value, Value, Value | undefined]
  return div(load(dLoss), divisor ? load(divisor) : divisorOf(node.attributes, labels.shape, undefined))
}

// ---- shapes ------------------------------------------------------------------------------------------------------------

/** logits [n, C, ...] with a label for each sample, or for each position of a map. */
export function labelledProblems(q: ShapeQuestion): readonly Diagnostic[] {
  const [x, label] = q.inputs as readonly [Value, Value]
  const problems = [...labelProblems(q, [x]), ...channelProblems(q)]
  if (problems.length > 0) return problems
  const wanted = [x.shape[0]!, ...x.shape.slice(2)]
  if (!sameShape(label.shape, wanted)) {
    return [
      shapeProblem(
        q,
        'label-mismatch',
        `${q.op} of ${showShape(x.shape)} wants labels ${showShape(wanted)}, and gets ${showShape(label.shape)}`,
        [x, label],
        sameShape(label.shape, [x.shape[0]!]) ? 'one label a sample goes with [n, classes]: put flatten or fc in front'
          : 'labels have the shape of the scores without the channel axis',
      ),
    ]
  }
  const classes = q.classesOf(label)
  const channels = x.shape[1] as number
  if (classes !== undefined && classes > channels) {
    return [
      shapeProblem(
        q,
        'label-classes',
        `${label.name} names ${classes} classes, but there are scores for ${channels}`,
        [x, label],
        `give the layer that makes the scores ${classes} outputs`,
      ),
    ]
  }
  return []
}

const sameShapes = (q: ShapeQuestion): readonly Diagnostic[] => {
  const [x, target] = q.inputs as readonly [Value, Value]
  const problems = labelProblems(q)
  if (problems.length > 0 || sameShape(x.shape, target.shape)) return problems
  return [
    shapeProblem(q, `${q.op.replaceAll('_', '-')}-mismatch`, `${q.op} compares ${showShape(x.shape)} with ${showShape(target.shape)}`, [
      x,
      target,
    ], 'both must have one shape; flatten or reshape one of them'),
  ]
}

const scalarUnless = (problems: (q: ShapeQuestion) => readonly Diagnostic[]): NonNullable<Operator['shape']> => (q) => {
  const found = problems(q)
  return found.length > 0 ? found : { shape: [] }
}

// ---- softmax_loss --------------------------------------------------------------------------------------------------------

const atPosition = (at: readonly IndexLike[], c: IndexLike): IndexLike[] => [at[0]!, c, ...at.slice(1)]

/** The score of the labelled class at a position. No gather: the others add 0. */
export function labelledScore(x: Tensor, labels: Tensor, at: readonly IndexLike[]): Expression {
  const k = axis('k', x.shape[1] as number)
  return sum([k], select('eq', position(k), load(labels, ...at), load(x, ...atPosition(at, k)), 0))
}

/** -log softmax(x)[label] = log(sum exp(x - m)) - (x[label] - m) */
const softmaxLoss: Operator = {
  name: 'softmax_loss',
  signature: lossSignature('softmax_loss', 2, [
    { name: 'ignore', type: { kind: 'integer' }, default: -1, doc: 'positions with this label do not count' },
    normalization('valid'),
  ], "minus the logarithm of the labelled class' probability"),
  traits: { betterIs: 'lower', comparesLabels: true },
  shape: scalarUnless(labelledProblems),
  equations: (node) => {
    const [x, labels] = node.inputs as readonly [Value, Value]
    return lossEquations(node, labels, (at) => {
      const point = atPosition(at, 0)
      const most = channelMaximum(x, point)
      return sub(log(exponentialSum(x, point, most)), sub(labelledScore(x, labels, at), most))
    })
  },
  gradient: (node, dLoss, build) => ({ inputs: [gradientNode(node, dLoss, build, 0), undefined] }),
  total: (node) => lossTotal(node.attributes, node.inputs[1]!),
}

/** dx[c] = (softmax(x)[c] - (c is the label)) dLoss / divisor; 0 where the label is ignored */
const softmaxLossDx: Operator = {
  name: 'softmax_loss_dx',
  equations: (node) => {
    const [, x, labels] = node.inputs as readonly [Value, Value, Value]
    return [pointwise(node, (at) => {
      const labelAt = [at[0]!, ...at.slice(2)]
      const most = channelMaximum(x, inChannel(at, 0))
      const probability = div(exp(sub(load(x, ...at), most)), exponentialSum(x, at, most))
      const wanted = select('eq', position(at[1]!), load(labels, ...labelAt), 1, 0)
      return unlessIgnored(labels, labelAt, node.attributes, mul(sub(probability, wanted), factorOf(node)))
    })]
  },
}

// ---- sigmoid_loss --------------------------------------------------------------------------------------------------------

/** -(t log s(x) + (1 - t) log(1 - s(x))) = max(x, 0) - x t + log(1 + exp(-|x|)) */
const sigmoidLoss: Operator = {
  name: 'sigmoid_loss',
  signature: lossSignature('sigmoid_loss', 2, [
    { name: 'ignore', type: { kind: 'number' }, optional: true, named: true, doc: 'elements with this target do not count' },
    normalization('batch_size'),
  ], 'the cross entropy of a sigmoid of each score with its target between 0 and 1'),
  traits: { betterIs: 'lower' },
  shape: scalarUnless(sameShapes),
  equations: (node) => {
    const [x, target] = node.inputs as readonly [Value, Value]
    return lossEquations(node, target, (at) => {
      const score = load(x, ...at)
      return add(sub(max(score, 0), mul(score, load(target, ...at))), log(add(1, exp(neg(abs(score))))))
    })
  },
  gradient: (node, dLoss, build) => ({
    inputs: [gradientNode(node, dLoss, build, 0), gradientNode(node, dLoss, build, 1, 'sigmoid_loss_dtarget')],
  }),
  total: (node) => lossTotal(node.attributes, node.inputs[1]!),
}

/** dx = (s(x) - t) dLoss / divisor */
const sigmoidLossDx: Operator = {
  name: 'sigmoid_loss_dx',
  equations: (node) => {
    const [, x, target] = node.inputs as readonly [Value, Value, Value]
    return [
      pointwise(
        node,
        (at) => unlessIgnored(target, at, node.attributes, mul(sub(sigmoidOf(load(x, ...at)), load(target, ...at)), factorOf(node))),
      ),
    ]
  },
}

/** dt = -x dLoss / divisor */
const sigmoidLossDTarget: Operator = {
  name: 'sigmoid_loss_dtarget',
  equations: (node) => {
    const [, x, target] = node.inputs as readonly [Value, Value, Value]
    return [pointwise(node, (at) => unlessIgnored(target, at, node.attributes, mul(neg(load(x, ...at)), factorOf(node))))]
  },
}

// ---- squared_loss --------------------------------------------------------------------------------------------------------

const perSample: Attributes = { normalization: 'batch_size' }

/** sum (x - t)^2 / (2 N), N the batch */
const squaredLoss: Operator = {
  name: 'squared_loss',
  signature: lossSignature('squared_loss', 2, [], 'half the mean over the batch of the squared distance'),
  traits: { betterIs: 'lower' },
  shape: scalarUnless(sameShapes),
  equations: (node) => {
    const [x, target] = node.inputs as readonly [Value, Value]
    return sumsEquations({
      name: node.name,
      layers: [node.layer],
      shape: x.shape,
      kept: [],
      terms: (at) => {
        const difference = sub(load(x, ...at), load(target, ...at))
        return [mul(difference, difference)]
      },
      stores: (_, [total]) => [store(node.outputs[0]!, [], div(total!, mul(batchOf(x.shape), 2)))],
    })
  },
  gradient: (node, dLoss, build) => {
    const [x, target] = node.inputs as readonly [Value, Value]
    const by = (of: Value, suffix: string, from: readonly Value[]): Value | undefined => (build.needs(of)
      ? build.node({ suffix, op: 'squared_loss_dx', inputs: [dLoss, ...from], outputs: [{ name: suffix, shape: of.shape }] })[0]
      : undefined)
    return { inputs: [by(x, 'dx', [x, target]), by(target, 'dtarget', [target, x])] }
  },
  total: () => 'samples',
}

/** (a - b) dLoss / N, of the loss' gradient, a and b */
const squaredLossDx: Operator = {
  name: 'squared_loss_dx',
  equations: (node) => {
    const [dLoss, a, b] = node.inputs as readonly [Value, Value, Value]
    return [pointwise(node, (at) => mul(sub(load(a, ...at), load(b, ...at)), div(load(dLoss), divisorOf(perSample, a.shape, undefined))))]
  },
}

// ---- hinge_loss ----------------------------------------------------------------------------------------------------------

/** -1 for the labelled class, 1 for the others: every margin is max(0, 1 + side x). */
const sideOf = (labels: Tensor, at: readonly IndexLike[]): Expression => select('eq', position(at[1]!), load(labels, at[0]!), -1, 1)
const marginOf = (x: Tensor, labels: Tensor, at: readonly IndexLike[]): Expression =>
  max(0, add(1, mul(sideOf(labels, at), load(x, ...at))))

/** One against all: sum over classes of the margins (norm 1) or their squares (norm 2), over N. */
const hingeLoss: Operator = {
  name: 'hinge_loss',
  signature: lossSignature('hinge_loss', 2, [
    { name: 'norm', type: { kind: 'integer', min: 1, max: 2 }, default: 1, doc: '2 squares the margins' },
  ], 'by how much scores miss their margin, one class against all others'),
  traits: { betterIs: 'lower', comparesLabels: true },
  shape: scalarUnless((q) => {
    const x = q.inputs[0]!
    const problems = labelledProblems(q)
    if (problems.length > 0 || x.shape.length === 2) return problems
    return [
      shapeProblem(
        q,
        'hinge-loss-rank',
        `hinge_loss compares one score a class, and ${showShape(x.shape)} is a map`,
        [x],
        'put flatten or fc in front',
      ),
    ]
  }),
  equations: (node) => {
    const [x, labels] = node.inputs as readonly [Value, Value]
    return sumsEquations({
      name: node.name,
      layers: [node.layer],
      shape: x.shape,
      kept: [],
      terms: (at) => {
        const margin = marginOf(x, labels, at)
        return [numberOf(node.attributes, 'norm', 1) === 2 ? mul(margin, margin) : margin]
      },
      stores: (_, [total]) => [store(node.outputs[0]!, [], div(total!, batchOf(x.shape)))],
    })
  },
  gradient: (node, dLoss, build) => {
    const [x, labels] = node.inputs as readonly [Value, Value]
    if (!build.needs(x)) return {}
    return {
      inputs: [
        ...build.node({
          suffix: 'dx',
          op: 'hinge_loss_dx',
          inputs: [dLoss, x, labels],
          attributes: node.attributes,
          outputs: [{ name: 'dx', shape: x.shape }],
        }),
        undefined,
      ],
    }
  },
  total: () => 'samples',
}

/** side dLoss / N where the margin is missed, else the margin, which is 0 (or NaN); 2 margin side dLoss / N for norm 2 */
const hingeLossDx: Operator = {
  name: 'hinge_loss_dx',
  equations: (node) => {
    const [dLoss, x, labels] = node.inputs as readonly [Value, Value, Value]
    return [pointwise(node, (at) => {
      const margin = marginOf(x, labels, at)
      const factor = mul(sideOf(labels, at), div(load(dLoss), batchOf(x.shape)))
      return numberOf(node.attributes, 'norm', 1) === 2 ? mul(mul(2, margin), factor) : select('lt', 0, margin, factor, margin)
    })]
  },
}

// ---- sum -----------------------------------------------------------------------------------------------------------------

const sumOperator: Operator = {
  name: 'sum',
  signature: lossSignature('sum', 1, [], 'the sum of all elements, batch and all'),
  shape: scalarUnless((q) => labelProblems(q)),
  equations: (node) => {
    const x = node.inputs[0]!
    return sumsEquations({
      name: node.name,
      layers: [node.layer],
      shape: x.shape,
      kept: [],
      terms: (at) => [load(x, ...at)],
      stores: (_, [total]) => [store(node.outputs[0]!, [], total!)],
    })
  },
  gradient: (node, dLoss, build) => {
    const x = node.inputs[0]!
    if (!build.needs(x)) return {}
    return { inputs: build.node({ suffix: 'dx', op: 'repeat', inputs: [dLoss], outputs: [{ name: 'dx', shape: x.shape }] }) }
  },
  total: (node) => (node.inputs[0]!.shape[0] === 'n' ? 'sum' : 'samples'),
}

/** One number at every point: the gradient of a sum. */
const repeat: Operator = {
  name: 'repeat',
  equations: (node) => [pointwise(node, () => load(node.inputs[0]!))],
}

/** The number `value` at every point: what a gradient starts with. */
const constantOperator: Operator = {
  name: 'constant',
  equations: (node) => [pointwise(node, () => constant(numberOf(node.attributes, 'value', 0)))],
}

export const lossOperators: readonly Operator[] = [
  softmaxLoss,
  softmaxLossDx,
  sigmoidLoss,
  sigmoidLossDx,
  sigmoidLossDTarget,
  squaredLoss,
  squaredLossDx,
  hingeLoss,
  hingeLossDx,
  sumOperator,
  lossDivisor,
  repeat,
  constantOperator,
]
