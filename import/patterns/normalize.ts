import type { ModelLayer } from '../model-net.ts'
import type { LayerGraph } from './layer-graph.ts'
import { numberOf } from './match.ts'
import { nodesOf, type Pattern } from './pattern.ts'

/** x a + b of one channel of x. */
interface Channel {
  readonly x: string
  readonly channel: number
  readonly factor: number
  readonly summand: number
  readonly covered: readonly ModelLayer[]
}

/** The channel that a value is, behind at most a few layers of arithmetic with numbers. */
function channelOf(graph: LayerGraph, value: string | number): Channel | undefined {
  let [factor, summand] = [1, 0]
  const covered: ModelLayer[] = []
  for (let at = graph.maker(value); at && covered.length < 8; at = graph.maker(at.inputs[0]!)) {
    covered.push(at)
    const { op, inputs, arguments: a } = at
    if (op === 'slice') {
      const from = Number(a['from'])
      const isOne = Number(a['axis']) === 1 && from >= 0 && a['to'] === from + 1 && typeof inputs[0] === 'string'
      return isOne ? { x: inputs[0] as string, channel: from, factor, summand, covered } : undefined
    }
    if (inputs.length !== 2 || 'coeff' in a || typeof inputs[0] !== 'string') return undefined
    const operand = numberOf(graph, inputs[1]!)
    if (operand === undefined) return undefined
    // y = f (x a + b) + s
    if (op === 'mul') factor *= operand
    else if (op === 'div') factor /= operand
    else if (op === 'add') summand += factor * operand
    else if (op === 'sub') summand -= factor * operand
    else return undefined
  }
  return undefined
}

/**
 * All channels of an input one by one, times a number, plus a number, joined again: `normalize`. torchvision's Inception and GoogLeNet turn ImageNet's
 * mean and deviation into others so.
 */
export const normalizeChannels: Pattern = {
  name: 'normalize-channels',
  ops: ['concat'],
  rewrite: (graph, layer) => {
    if ((layer.arguments['axis'] ?? 1) !== 1) return false
    const channels = layer.inputs.map((input) => channelOf(graph, input))
    const x = channels[0]?.x
    const size = x === undefined ? undefined : graph.shape(x)?.[0]
    if (x === undefined || size !== channels.length) return false
    if (!channels.every((one, position) => one?.x === x && one.channel === position && one.factor !== 0)) return false
    const covered = [layer, ...channels.flatMap((one) => one!.covered)]
    const within = new Set(covered)
    if (!covered.every((one) => one === layer || graph.isInner(one.output, within))) return false
    // x a + b = (x - mean) / std
    const std = channels.map((one) => shortest(1 / one!.factor))
    const mean = channels.map((one) => shortest(-one!.summand / one!.factor))
    graph.replace(layer, [{ op: 'normalize', inputs: [x], arguments: { mean, std }, output: layer.output, from: nodesOf(covered) }], within)
    return true
  },
}

/** The number of the fewest digits that is the same in float32. */
function shortest(value: number): number {
  for (let digits = 1; digits < 10; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === Math.fround(value)) return short
  }
  return value
}
