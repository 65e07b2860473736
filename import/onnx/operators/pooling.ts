import type { Argument } from '../../model-net.ts'
import type { OnnxNode } from '../node.ts'
import type { OnnxOperator } from './operator.ts'
import { autoPadded, mapOf, slidingOf, windowArguments, windowCounts, withRow } from './window.ts'

/** A pool of the language over windows. `more` gives the arguments that only it has. */
function pool(op: string, more: (node: OnnxNode, padded: boolean) => Record<string, Argument>): (node: OnnxNode) => void {
  return (node) => {
    const input = node.tensor(0)
    const kernel = node.ints('kernel_shape')
    if (!kernel || kernel.length !== input.dims.length - 1)
      return node.refuse(`kernel_shape ${kernel ? `has ${kernel.length} numbers` : 'is missing'}, a map has ${input.dims.length - 1} axes`)
    const { x, back, flat } = mapOf(node, input)
    const own = slidingOf(node, kernel)
    const sizes = x.dims.slice(1)
    const sliding = autoPadded(node, flat ? withRow(own) : own, sizes)
    const same = node.text('auto_pad', 'NOTSET').startsWith('SAME')
    if (same && sliding.dilation.some((d) => d > 1))
      node.note('differs', 'SAME padding is that of the dilated window, by the specification; onnxruntime pads for the undilated one')
    // SAME says how many outputs there are.
    const ceil = !same && node.int('ceil_mode', 0) !== 0
    const counts = windowCounts(node, sliding, sizes, ceil)
    const padded = [...sliding.before, ...sliding.after].some((n) => n > 0)
    node.give(back(
      node.emit(op, [x], { ...windowArguments(sliding), round: ceil ? 'ceil' : 'floor', ...more(node, padded) }, [x.dims[0]!, ...counts], {
        main: !flat,
      }),
    ))
  }
}

function globalPool(op: string, reduction: string, more: Record<string, Argument> = {}): (node: OnnxNode) => void {
  return (node) => {
    const x = node.tensor(0)
    if (x.dims.length < 2) return node.refuse('its input is no map')
    const dims = [x.dims[0]!, ...x.dims.slice(1).map(() => 1)]
    if (x.dims.length === 3) return node.give(node.emit(op, [x], more, dims))
    node.give(node.emit(reduction, [x], { axes: x.dims.slice(1).map((_, d) => d + 2), keep: true }, dims))
  }
}

export const poolingOperators: readonly OnnxOperator[] = [
  { op: 'MaxPool', batched: true, map: pool('max_pool', () => ({})) },
  // What counts without padding is the same either way.
  {
    op: 'AveragePool',
    batched: true,
    map: pool(
      'avg_pool',
      (node, padded): Record<string, Argument> => (padded && node.int('count_include_pad', 0) === 0 ? { count: 'valid' } : {}),
    ),
  },
  { op: 'LpPool', batched: true, map: pool('lp_pool', (node) => ({ p: node.int('p', 2) })) },
  { op: 'GlobalMaxPool', batched: true, map: globalPool('global_max_pool', 'reduce_max') },
  { op: 'GlobalAveragePool', batched: true, map: globalPool('global_avg_pool', 'reduce_mean') },
]
