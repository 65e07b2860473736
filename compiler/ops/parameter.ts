import type { Diagnostic } from '../../dsl/diagnostic.ts'
import { load } from '../ir/expression.ts'
import { argumentProblem } from './diagnostics.ts'
import { plainFillers } from './fillers.ts'
import type { Operator, ShapeQuestion } from './operator.ts'
import { fillerOf, fillerProblems, ratesOf, rateParameters } from './shared-parameters.ts'
import { pointwise } from './elementwise.ts'

function dimensionProblems(q: ShapeQuestion): Diagnostic[] {
  const dims = q.attributes['dims'] as readonly number[]
  const wrong = dims.find((dim) => dim < 1)
  if (dims.length > 0 && wrong === undefined) return []
  return [
    argumentProblem(
      q,
      'dims',
      'parameter-dimension',
      wrong === undefined ? 'a parameter has at least one dimension' : `${wrong} is not a dimension`,
      'dimensions are 1 or more: parameter([16, 1, 1]) is a number for each of 16 channels, parameter([1]) one for all',
    ),
  ]
}

/** y = weight, without a batch: repeated for it where it is joined with others. dweight = dy, which the join has summed over the batch. */
const parameter: Operator = {
  name: 'parameter',
  signature: {
    name: 'parameter',
    values: { min: 0, max: 0 },
    parameters: [
      { name: 'dims', type: { kind: 'numbers', integer: true }, doc: 'its shape; there is no batch' },
      { name: 'init', type: { kind: 'call', calls: plainFillers }, optional: true, named: true, doc: 'how it starts' },
      ...rateParameters(1),
    ],
    doc: 'learned numbers that are a value like any other; constant with lr_mult: 0',
  },
  shape: (q) => {
    const problems = [...dimensionProblems(q), ...fillerProblems(q)]
    if (problems.length > 0) return problems
    const shape = q.attributes['dims'] as readonly number[]
    const count = shape.reduce((a, b) => a * b, 1)
    const filler = fillerOf(q, 'init')
    // Caffe's fans of a blob: count / num and count / channels.
    const fans = { fanIn: count / shape[0]!, fanOut: count / (shape[1] ?? 1) }
    return {
      shape,
      parameters: [{ role: 'weight', shape, filler: { ...(filler ? { filler } : { value: 0 }), ...fans }, ...ratesOf(q.attributes, 0) }],
    }
  },
  equations: (node) => [pointwise(node, (at) => load(node.parameters['weight']!, ...at))],
  gradient: (_, dy) => ({ parameters: { weight: dy } }),
}

export const parameterOperators: readonly Operator[] = [parameter]
