import { countOf } from '../../../bundle/plain.ts'
import type { Diagnostic } from '../../../dsl/diagnostic.ts'
import type { Parameter, Signature } from '../../../dsl/signature.ts'
import type { Node, Value } from '../../graph/graph.ts'
import { div, type Expression } from '../../ir/expression.ts'
import type { IndexLike } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { sameShape, showShape } from '../../ir/tensor.ts'
import { totalsEquations } from '../batch-reduction.ts'
import { channelProblems, labelProblems, shapeProblem } from '../diagnostics.ts'
import { gradientOf } from '../gradients.ts'
import type { GradientBuilder, Operator, ShapeQuestion } from '../operator.ts'
import { counts, countsHere, divisorOf, unlessIgnored } from './normalization.ts'

/*
 * A loss is one number, [], without its `weight`: that factor belongs to the sum of all losses, so it arrives here with
 * the output's gradient. Each loss adds up one term a position, then divides; gradients divide by the same number.
 */

const weight: Parameter = { name: 'weight', type: { kind: 'number' }, default: 1, named: true, doc: 'its factor in the sum of all losses' }

export const lossSignature = (
  name: string,
  names: readonly string[],
  parameters: readonly Parameter[],
  doc: string,
): Signature => ({
  name,
  values: { min: names.length, max: names.length, names },
  parameters: [...parameters, weight],
  doc,
  role: 'loss',
})

/** The sum of a term a position over its divisor. `labels` has a position for each term. */
export function lossEquations(node: Node, labels: Value, term: (at: readonly IndexLike[]) => Expression): readonly Equation[] {
  const a = node.attributes
  return totalsEquations(
    node,
    labels.shape,
    (at) => [unlessIgnored(labels, at, a, term(at)), ...(counts(a) ? [countsHere(labels, at, a)] : [])],
    ([total, counted]) => [div(total!, divisorOf(a, labels.shape, counted)), ...(counted ? [counted] : [])],
  )
}

/** Inputs of a loss' gradient: the output's gradient, what the loss read, and the divisor where it is counted. */
export function lossGradient(node: Node, dLoss: Value, build: GradientBuilder, k: number, op = `${node.op}_dx`): Value | undefined {
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
  return gradientOf(of, k === 0 ? 'dx' : 'dtarget', build, {
    op,
    inputs: [dLoss, x, ...(labels ? [labels] : []), ...divisor],
    attributes: node.attributes,
  })
}

/** logits [n, C, ...] with a label for each sample, or for each position of a map. */
export function labelledProblems(q: ShapeQuestion): readonly Diagnostic[] {
  const [x, label] = q.inputs as readonly [Value, Value]
  if (x.type === 'i32' && label?.type === 'f32')
    return labelProblems(q, [x]).map((problem) => ({
      ...problem,
      hint: `scores stand first and their label second: ${q.op}(scores, ${x.name})`,
    }))
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
        `give the layer that makes the scores ${countOf(classes, 'output')}`,
      ),
    ]
  }
  return []
}

export const sameShapes = (q: ShapeQuestion): readonly Diagnostic[] => {
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

export const scalarUnless = (problems: (q: ShapeQuestion) => readonly Diagnostic[]): NonNullable<Operator['shape']> => (q) => {
  const found = problems(q)
  return found.length > 0 ? found : { shape: [] }
}
