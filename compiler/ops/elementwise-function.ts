import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Attributes, Parameter } from '../../dsl/signature.ts'
import type { Value } from '../graph/graph.ts'
import { type Expression, load } from '../ir/expression.ts'
import { labelProblems } from './diagnostics.ts'
import { firstInputGradient } from './gradients.ts'
import type { Operator, ShapeQuestion } from './operator.ts'
import { pointwise } from './elementwise.ts'
import type { OperatorTraits } from './traits.ts'

/** A function of each value by itself. */
export interface ElementwiseFunction {
  readonly name: string
  readonly doc: string
  readonly parameters?: readonly Parameter[]
  readonly rectifier?: boolean
  readonly bounds?: OperatorTraits['bounds']
  /** Arguments that cannot be. */
  readonly problems?: (q: ShapeQuestion) => readonly Diagnostic[]
  readonly value: (x: Expression, a: Attributes) => Expression
  /** The value that the gradient is computed from: the output where that tells enough, so that the input need not be kept. */
  readonly from?: (a: Attributes) => 'x' | 'y'
  /** dx, of the output's gradient and the value that `from` names. Absent of steps: a small change of x changes nothing. */
  readonly gradient?: (dy: Expression, v: Expression, a: Attributes) => Expression
}

/** A function, and its gradient `NAME_dx` where it has one. */
export function elementwiseOperators(fn: ElementwiseFunction): readonly Operator[] {
  const { name, gradient } = fn
  const itself: Operator = {
    name,
    signature: { name, parameters: fn.parameters ?? [], doc: fn.doc },
    shape: (q) => {
      const problems = [...labelProblems(q), ...(fn.problems?.(q) ?? [])]
      return problems.length > 0 ? problems : { shape: q.inputs[0]!.shape }
    },
    traits: {
      ...(fn.rectifier && { rectifier: true }),
      ...(fn.bounds && { bounds: fn.bounds }),
      ...(!gradient && { isFlatIn: () => true }),
    },
    equations: (node) => [pointwise(node, (at) => fn.value(load(node.inputs[0]!, ...at), node.attributes))],
  }
  if (!gradient) return [{ ...itself, gradient: () => ({}) }]
  return [
    {
      ...itself,
      gradient: (node, dy, build) => {
        const kept = fn.from?.(node.attributes) === 'y' ? node.outputs[0]! : node.inputs[0]!
        return firstInputGradient(node, build, { op: `${name}_dx`, inputs: [dy, kept], attributes: node.attributes })
      },
    },
    {
      name: `${name}_dx`,
      equations: (node) => {
        const [dy, kept] = node.inputs as readonly [Value, Value]
        return [pointwise(node, (at) => gradient(load(dy, ...at), load(kept, ...at), node.attributes))]
      },
    },
  ]
}
