import type { Argument } from '../../model-net.ts'
import type { OnnxNode } from '../node.ts'
import type { Tensor } from '../value.ts'
import type { OnnxOperator } from './operator.ts'
import { autoPadded, cutOff, mapOf, type Sliding, slidingOf, windowArguments, windowCounts, withRow } from './window.ts'

/** A pool of the language over windows. `more` gives the arguments that only it has. */
function pool(op: string, more: (node: OnnxNode, padded: boolean) => Record<string, Argument>): (node: OnnxNode) => void {
  return (node) => {
    const input = node.tensor(0)
    const kernel = node.ints('kernel_shape')
    if (!kernel || kernel.length !== input.dims.length - 1)
      return node.refuse(`kernel_shape ${kernel ? `has ${kernel.length} numbers` : 'is missing'}, a map has ${input.dims.length - 1} axes`)
    const { x: few, sliding: own, unfold } = folded(node, input, slidingOf(node, kernel))
    const { x, back, flat } = mapOf(node, few)
    const sizes = x.dims.slice(1)
    const sliding = autoPadded(node, flat ? withRow(own) : own, sizes)
    const same = node.text('auto_pad', 'NOTSET').startsWith('SAME')
    if (same && sliding.dilation.some((d) => d > 1))
      node.note('differs', 'SAME padding is that of the dilated window, by the specification; onnxruntime pads for the undilated one')
    // SAME says how many outputs there are.
    const ceil = !same && node.int('ceil_mode', 0) !== 0
    const counts = windowCounts(node, sliding, sizes, ceil)
    const padded = [...sliding.before, ...sliding.after].some((n) => n > 0)
    node.give(unfold(back(
      node.emit(op, [x], {
        ...windowArguments(cutOff(sliding, sizes)),
        round: ceil && sliding.stride.some((step) => step > 1) ? 'ceil' : 'floor',
        ...more(node, padded),
      }, [
        x.dims[0]!,
        ...counts,
      ], {
        main: !flat,
      }),
    )))
  }
}

/** Windows over more than two axes, as windows over two: neighbours that a window takes one element of are one axis. */
function folded(
  node: OnnxNode,
  x: Tensor,
  sliding: Sliding,
): { readonly x: Tensor; readonly sliding: Sliding; readonly unfold: (y: Tensor) => Tensor } {
  const asItIs = { x, sliding, unfold: (y: Tensor): Tensor => y }
  if (sliding.kernel.length <= 2 || node.text('auto_pad', 'NOTSET') !== 'NOTSET') return asItIs
  const still = sliding.kernel.map((size, d) => size === 1 && sliding.stride[d] === 1 && sliding.before[d] === 0 && sliding.after[d] === 0)
  /** Each axis that is left, as those that it is made of. */
  const groups: number[][] = []
  still.forEach((own, d) => {
    if (own && d > 0 && still[d - 1]) groups.at(-1)!.push(d)
    else groups.push([d])
  })
  if (groups.length > 2) return asItIs
  const sizes = x.dims.slice(1)
  const dims = [x.dims[0]!, ...groups.map((axes) => axes.reduce((product, d) => product * sizes[d]!, 1))]
  const first = (list: readonly number[]): number[] => groups.map(([d]) => list[d!]!)
  return {
    x: node.emit('reshape', [x], { dims }, dims, { main: false }),
    sliding: {
      kernel: first(sliding.kernel),
      stride: first(sliding.stride),
      dilation: first(sliding.dilation),
      before: first(sliding.before),
      after: first(sliding.after),
    },
    unfold: (y) => {
      const made = [y.dims[0]!, ...groups.flatMap((axes, i) => (axes.length === 1 ? [y.dims[i + 1]!] : axes.map((d) => sizes[d]!)))]
      return node.emit('reshape', [y], { dims: made }, made)
    },
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
