import type { ModelLayer } from '../model-net.ts'
import { call, match } from './match.ts'
import { nodesOf, type Pattern } from './pattern.ts'

/**
 * The logarithm of a softmax or of a sigmoid, which is -Infinity where either is 0 in float32: log_softmax, and -softplus(-x), which are finite there.
 * PyTorch 1.13 writes logsigmoid so.
 */
export const stableLogs: Pattern = {
  name: 'stable-logs',
  ops: ['log'],
  rewrite: (graph, layer) => {
    const found = match(graph, layer, call('log', [call(['softmax', 'sigmoid'], ['x'], { as: 'inner' })]))
    const inner = found?.layers.get('inner')
    const x = found?.values.get('x')
    if (!found || !inner || x === undefined) return false
    const made = { ...(layer.name !== undefined && { name: layer.name }), output: layer.output, from: nodesOf(found.covered) }
    if (inner.op === 'softmax') {
      graph.replace(layer, [{ ...made, op: 'log_softmax', inputs: [x], arguments: inner.arguments }], found.covered)
      return true
    }
    const steps = [`${layer.output}/neg`, `${layer.output}/softplus`] as const
    const shape = graph.shape(layer.output)
    if (shape) { for (const step of steps) graph.setShape(step, shape) }
    const by: readonly ModelLayer[] = [
      { op: 'neg', inputs: [x], arguments: {}, output: steps[0], from: made.from },
      { op: 'softplus', inputs: [steps[0]], arguments: {}, output: steps[1], from: made.from },
      { ...made, op: 'neg', inputs: [steps[1]], arguments: {} },
    ]
    graph.replace(layer, by, found.covered)
    return true
  },
}
