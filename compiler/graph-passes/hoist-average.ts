import { PROGRAMS } from '../../bundle/format.ts'
import { type Node, value } from '../graph/graph.ts'
import { decline, replace, rewrite } from '../graph/rewrite.ts'
import { linearOf, traitsOf } from '../ops/traits.ts'
import type { GraphPass, PassResult } from './pass.ts'

/**
 * Moves an average over windows in front of the convolution of 1 x 1 whose results it averages (the transitions of DenseNet). Both are linear, one in each
 * channel and one in each point, so that they change places; the convolution then has as many points as there are windows, forward and backward.
 *   sum over k of a[k] (b[o] + sum over c of W[o,c] x[c,k]) = b[o] sum over k of a[k] + sum over c of W[o,c] (sum over k of a[k] x[c,k])
 * A bias stays what it is where the shares a[k] of each window come to one.
 */
export const hoistAverage: GraphPass = {
  name: 'hoist-average',
  programs: PROGRAMS,
  run: (graph, { operators }) => {
    const ops = new Set(graph.nodes.filter((node) => traitsOf(operators, node).averages).map(({ op }) => op))
    let result: PassResult = { graph, declined: [] }
    for (const op of ops) {
      const { graph: now, declined } = rewrite(result.graph, op, (average, uses) => {
        const [y, z] = [average.inputs[0]!, average.outputs[0]!]
        const conv = uses.producerOf(y)
        if (!conv || linearOf(operators, conv)?.pointwise?.(conv.attributes) !== true) return undefined
        if (uses.isOutput(y)) return decline(`${conv.name} in front of it is an output of the net`)
        const others = uses.readersOf(y).filter((reader) => reader !== average)
        if (others.length > 0) return decline(`${conv.name} in front of it is read by ${others.map(({ name }) => name).join(', ')}`)
        const { shares, taps } = traitsOf(operators, average).averages!(average)
        if (conv.parameters['bias'] && shares !== 'whole')
          return decline(`${conv.name} in front of it has a bias, of which windows at the border take a part`)
        const x = conv.inputs[0]!
        const [{ shape: [n, channels] }, [, outputs, ...map], [, , ...windows]] = [x, y.shape, z.shape] as const
        if (!isFaster(conv, channels as number, outputs as number, pointsIn(map), pointsIn(windows), taps)) return undefined
        const averaged = value(`${conv.name}.average`, [n!, channels!, ...windows], x.madeAt)
        return replace([{ ...average, inputs: [x], outputs: [averaged] }, { ...conv, inputs: [averaged], outputs: [z] }], {
          removed: [conv],
        })
      })
      result = { graph: now, declined: [...result.declined, ...declined] }
    }
    return result
  },
}

/**
 * Whether products that are saved are more than what is added up of channels that the convolution would have left out: windows that overlap, `taps` points
 * each, read a point several times. A sum is counted twice: it loads what it adds, where products of a convolution share what they load.
 */
function isFaster(conv: Node, channels: number, outputs: number, points: number, windows: number, taps: number): boolean {
  const groups = (conv.attributes['groups'] as number | undefined) ?? 1
  return windows < points && (points - windows) * outputs * channels / groups > 2 * (channels - outputs) * windows * taps
}

const pointsIn = (map: readonly unknown[]): number => map.reduce<number>((points, extent) => points * (extent as number), 1)
