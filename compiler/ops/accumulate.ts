import { add, load } from '../ir/expression.ts'
import { axis } from '../ir/affine.ts'
import { equation, store } from '../ir/equation.ts'
import type { Operator } from './operator.ts'

/** sum += gradients, in place: of several batches before one update. Input: gradients [P]; parameter and output: sum [P]. */
const accumulate: Operator = {
  name: 'accumulate',
  equations: (node) => {
    const sum = node.outputs[0]!
    const i = axis('i', sum.shape[0]!)
    return [equation(node.name, [node.layer], [i], [store(sum, [i], add(load(sum, i), load(node.inputs[0]!, i)))])]
  },
}

export const accumulateOperators: readonly Operator[] = [accumulate]
