import type { Value } from '../graph/graph.ts'
import { load } from '../ir/expression.ts'
import { type Axis, type IndexLike, plus } from '../ir/affine.ts'
import { equation, store } from '../ir/equation.ts'
import { showShape, type Tensor } from '../ir/tensor.ts'
import { axisProblem, batchAxisProblem, labelProblems, shapeProblem } from './diagnostics.ts'
import { fromEnd, numberOf, pointAxes } from './elementwise.ts'
import { gradientOf } from './gradients.ts'
import type { Operator, ShapeQuestion } from './operator.ts'

/** Where each operand starts along the axis. */
function starts(node: { readonly inputs: readonly Tensor[] }, along: number): number[] {
  let from = 0
  return node.inputs.map((x) => {
    const here = from
    from += x.shape[along] as number
    return here
  })
}

const shifted = (at: readonly Axis[], along: number, by: number): IndexLike[] => at.map((a, i) => (i === along ? plus(a, by) : a))

/** Whether all have one shape but for an axis. */
const differAlong = (inputs: readonly Value[], along: number): boolean =>
  inputs.every(({ shape }) =>
    shape.length === inputs[0]!.shape.length && shape.every((dim, i) => i === along || dim === inputs[0]!.shape[i])
  )

/** The hint for operands that another axis would join: elsewhere channels are the last one. */
function otherAxis({ inputs }: ShapeQuestion): string | undefined {
  const fits = inputs[0]!.shape.findIndex((_, i) => i > 0 && differAlong(inputs, i))
  if (fits < 0) return undefined
  return fits === 1 ? 'channels are axis 1, which is taken where none is said' : `they differ along axis ${fits}`
}

const concat: Operator = {
  name: 'concat',
  signature: {
    name: 'concat',
    values: { min: 1, max: Infinity },
    parameters: [{
      name: 'axis',
      type: { kind: 'integer' },
      default: 1,
      doc: 'the axis along which operands follow each other; from the end where negative',
    }],
    doc: 'its operands one after the other along an axis',
  },
  shape: (q) => {
    const problems = labelProblems(q)
    if (problems.length > 0) return problems
    const first = q.inputs[0]!
    const rank = first.shape.length
    const along = fromEnd(numberOf(q.attributes, 'axis', 1), rank)
    if (along < 0 || along >= rank) return [axisProblem(q, first)]
    if (along === 0 && q.inputs.some((v) => v.shape[0] === 'n')) return [batchAxisProblem(q)]
    if (!differAlong(q.inputs, along)) {
      return [
        shapeProblem(
          q,
          'concat-mismatch',
          `concat along axis ${along} cannot join ${q.inputs.map((v) => showShape(v.shape)).join(' with ')}`,
          q.inputs,
          otherAxis(q) ?? `all dimensions but axis ${along} must be equal`,
        ),
      ]
    }
    const total = q.inputs.reduce((sum, v) => sum + (v.shape[along] as number), 0)
    return { shape: first.shape.map((dim, i) => (i === along ? total : dim)) }
  },
  // One equation an operand, each over the operand's own points, storing into its slice.
  equations: (node) => {
    const out = node.outputs[0]!
    const along = fromEnd(numberOf(node.attributes, 'axis', 1), out.shape.length)
    const from = starts(node, along)
    return node.inputs.map((x, k) => {
      const at = pointAxes(x.shape)
      return equation(node.inputs.length > 1 ? `${node.name}.${k}` : node.name, [node.layer], at, [
        store(out, shifted(at, along, from[k]!), load(x, ...at)),
      ])
    })
  },
  gradient: (node, dy, build) => {
    const along = fromEnd(numberOf(node.attributes, 'axis', 1), dy.shape.length)
    const from = starts(node, along)
    return {
      inputs: node.inputs.map((x, k) => {
        const slice = { axis: along, from: from[k]!, to: from[k]! + (x.shape[along] as number) }
        return gradientOf(x, `dx${k}`, build, { op: 'slice', inputs: [dy], attributes: slice })
      }),
    }
  },
}

export const concatOperators: readonly Operator[] = [concat]
