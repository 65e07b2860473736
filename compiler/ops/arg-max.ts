import { argmax, load, sub } from '../ir/expression.ts'
import { type Axis, axis, type IndexLike, plus, times } from '../ir/affine.ts'
import { equation, store } from '../ir/equation.ts'
import { axisRange, axisRangeProblems, keptShape } from './axes.ts'
import { labelProblems } from './diagnostics.ts'
import { axisAlong } from './elementwise.ts'
import type { Operator } from './operator.ts'

/**
 * y = the position of the largest along an axis, as a number: of several equal ones the first, or with `last` the last. It has no
 * gradient: a small change of x changes nothing. Diagnostics: argument/axis, argument/batch-axis.
 */
const argMax: Operator = {
  name: 'arg_max',
  signature: {
    name: 'arg_max',
    parameters: [
      { name: 'axis', type: { kind: 'integer' }, default: 1, doc: 'the axis that is searched; from the end where negative' },
      { name: 'keep', type: { kind: 'boolean' }, default: true, doc: 'whether it stays, of one element' },
      { name: 'last', type: { kind: 'boolean' }, default: false, named: true, doc: 'of equal ones the last counts, not the first' },
    ],
    doc: 'the position of the largest along an axis, as a number',
  },
  shape: (q) => {
    const problems = [...labelProblems(q), ...axisRangeProblems(q)]
    const { shape } = q.inputs[0]!
    return problems.length > 0 ? problems
      : { shape: keptShape(shape, axisRange(q.attributes, shape.length), q.attributes['keep'] !== false) }
  },
  equations: (node) => {
    const x = node.inputs[0]!
    const [along] = axisRange(node.attributes, x.shape.length) as [number]
    const extent = x.shape[along] as number
    const at = x.shape.map((_, d): Axis => axisAlong(x.shape, d))
    const kept = at.filter((_, d) => d !== along)
    const place = node.attributes['keep'] === false ? kept : at.map((a, d): IndexLike => (d === along ? 0 : a))
    const searched = axis('k', extent)
    // Searched from the end, the first is the last.
    const isLast = node.attributes['last'] === true
    const there = isLast ? plus(times(searched, -1), extent - 1) : searched
    const position = argmax([searched], load(x, ...at.map((a, d): IndexLike => (d === along ? there : a))))
    return [equation(node.name, [node.layer], kept, [store(node.outputs[0]!, place, isLast ? sub(extent - 1, position) : position)])]
  },
}

export const argMaxOperators: readonly Operator[] = [argMax]
