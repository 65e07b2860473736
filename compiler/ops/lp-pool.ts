import type { Node, Value } from '../graph/graph.ts'
import { abs, div, load, mul, select, sign, sum } from '../ir/expression.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import { powerOf } from './arithmetic.ts'
import { numberOf } from './elementwise.ts'
import { firstInputGradient } from './gradients.ts'
import type { Operator } from './operator.ts'
import { idleOfPooling, layersOf, LONG_WINDOW, poolAttributes, poolDx, poolParameters, poolShape, windowsOver } from './pool-windows.ts'
import { kernelParameter } from './sliding-window.ts'

/** y = (sum over the window of |x|^p)^(1/p); rows are summed first, as for the average. */
function normEquation(node: Node): Equation {
  const y = node.outputs[0]!
  const { slides, at, kernel, seen } = windowsOver(node, node.inputs[0]!, y)
  const p = numberOf(node.attributes, 'p', 2)
  const term = powerOf(abs(seen(0)), p)
  const total = slides[0].kernel * slides[1].kernel > LONG_WINDOW ? sum([kernel[0]], sum([kernel[1]], term)) : sum(kernel, term)
  return equation(node.name, layersOf(node), at, [store(y, at, powerOf(total, 1 / p))])
}

/** dx = dy sign(x) (|x| / y)^(p - 1), 0 where y is. Inputs: dy, x, y. */
const normDx: Operator = {
  name: 'lp_pool_dx',
  equations: (node) => {
    const [dy, x, y] = node.inputs as readonly [Value, Value, Value]
    const p = numberOf(node.attributes, 'p', 2)
    return [poolDx(node, dy, (at, _, __, here) => {
      const norm = load(y, ...at)
      const own = load(x, ...here)
      const share = p === 2 ? div(own, norm) : p === 1 ? sign(own) : mul(sign(own), powerOf(div(abs(own), norm), p - 1))
      return select('eq', norm, 0, 0, mul(load(dy, ...at), share))
    })]
  },
}

const lpPool: Operator = {
  name: 'lp_pool',
  signature: {
    name: 'lp_pool',
    parameters: [
      kernelParameter,
      { name: 'p', type: { kind: 'number', min: 1 }, default: 2, doc: 'the exponent' },
      ...poolParameters.slice(1),
    ],
    doc: 'the p-norm of each window, (sum of |x|^p)^(1/p)',
  },
  traits: { pooling: true, idle: idleOfPooling },
  shape: poolShape,
  equations: (node) => [normEquation(node)],
  gradient: (node, dy, build) =>
    firstInputGradient(node, build, {
      op: 'lp_pool_dx',
      inputs: [dy, node.inputs[0]!, node.outputs[0]!],
      attributes: poolAttributes(node.attributes),
    }),
}

export const lpPoolOperators: readonly Operator[] = [lpPool, normDx]
