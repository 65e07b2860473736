import type { Argument, ModelLayer } from '../model-net.ts'
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

/** x minus numbers, or divided by numbers, one a channel or one for all. Undefined for what is neither, or both. */
function halfOf(graph: LayerGraph, { op, inputs, arguments: a }: ModelLayer): { mean?: Argument; std?: Argument } | undefined {
  if (op === 'normalize') return isAll(a['std'], 1) ? { mean: a['mean']! } : isAll(a['mean'], 0) ? { std: a['std']! } : undefined
  if ((op !== 'sub' && op !== 'div') || inputs.length !== 2 || typeof inputs[0] !== 'string') return undefined
  const operand = numberOf(graph, inputs[1]!)
  if (operand === undefined || operand === 0) return undefined
  return op === 'sub' ? { mean: operand } : { std: operand }
}

const isAll = (given: Argument | undefined, value: number): boolean => [given].flat().every((each) => each === value)

/** (x - mean) / std of an input in two layers: `normalize`. */
export const normalizeInput: Pattern = {
  name: 'normalize-input',
  ops: ['normalize', 'div'],
  rewrite: (graph, layer) => {
    const before = graph.maker(layer.inputs[0]!)
    if (!before || graph.maker(before.inputs[0]!) || (graph.shape(before.inputs[0]!)?.length ?? 0) === 0) return false
    const [{ mean, std: other } = {}, { std, mean: later } = {}] = [halfOf(graph, before), halfOf(graph, layer)]
    const within = new Set([before, layer])
    if (mean === undefined || std === undefined || other !== undefined || later !== undefined) return false
    if (!graph.isInner(before.output, within)) return false
    const joined: ModelLayer = {
      op: 'normalize',
      inputs: [before.inputs[0]!],
      arguments: { mean, std },
      output: layer.output,
      from: nodesOf([layer, before]),
    }
    graph.replace(layer, [joined], within)
    return true
  },
}
