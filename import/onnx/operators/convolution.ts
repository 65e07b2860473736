import type { ModelTensor } from '../../model-net.ts'
import { showDimensions } from '../dimension.ts'
import type { OnnxNode } from '../node.ts'
import { type Constant, parameterOf, shapeOf } from '../value.ts'
import type { OnnxOperator } from './operator.ts'
import { autoPadded, mapOf, reach, type Sliding, slidingOf, windowArguments, windowCounts, withRow } from './window.ts'

interface Weights {
  readonly weight: Constant
  readonly bias: Constant | undefined
  readonly kernel: readonly number[]
}

/** Weight and bias of Conv and ConvTranspose, of as many axes as x. */
function weightsOf(node: OnnxNode, outOf: (weight: Constant) => number): Weights {
  const x = node.tensor(0)
  const weight = node.constant(1, 'the weight')
  const bias = node.has(2) ? node.constant(2, 'the bias') : undefined
  if (weight.shape.length !== x.dims.length + 1)
    return node.refuse(`a weight ${showDimensions(weight.shape)} does not go with ${showDimensions(shapeOf(x))}`)
  const kernel = weight.shape.slice(2)
  const given = node.ints('kernel_shape')
  if (given && given.join() !== kernel.join())
    return node.refuse(`kernel_shape ${showDimensions(given)} is not that of the weight ${showDimensions(weight.shape)}`)
  const out = outOf(weight)
  if (bias && bias.shape.join() !== String(out)) return node.refuse(`a bias ${showDimensions(bias.shape)} for ${out} channels`)
  return { weight, bias, kernel }
}

function parametersOf({ weight, bias }: Weights, flat: boolean): Record<string, ModelTensor> {
  const [a, b, ...kernel] = weight.shape
  return {
    weight: parameterOf(weight, flat ? [a!, b!, 1, ...kernel] : weight.shape),
    ...(bias && { bias: parameterOf(bias) }),
  }
}

function conv(node: OnnxNode): void {
  const groups = node.int('group', 1)
  const weights = weightsOf(node, (weight) => weight.shape[0]!)
  const input = node.tensor(0)
  const [out, per] = weights.weight.shape as [number, number]
  if (groups < 1 || per * groups !== input.dims[0] || out % groups !== 0)
    return node.refuse(`a weight ${showDimensions(weights.weight.shape)} in ${groups} groups does not go with ${input.dims[0]} channels`)
  const { x, back, flat } = mapOf(node, input)
  const own = slidingOf(node, weights.kernel)
  const sizes = x.dims.slice(1)
  const sliding = autoPadded(node, flat ? withRow(own) : own, sizes)
  const counts = windowCounts(node, sliding, sizes)
  node.give(back(node.emit('conv', [x], { out, ...windowArguments(sliding), groups, bias: weights.bias !== undefined }, [out, ...counts], {
    parameters: parametersOf(weights, flat),
    main: !flat,
  })))
}

/**
 * Padding of ConvTranspose. `output_shape` and SAME_* say how large the output is, and the padding follows:
 *   total = stride (size - 1) + output_padding + reach - output;  the smaller half goes in front for SAME_UPPER, behind otherwise.
 * What is missing of a row is added behind (output_pad).
 */
function transposedPadding(
  node: OnnxNode,
  own: Sliding,
  outputPad: readonly number[],
  sizes: readonly number[],
): { sliding: Sliding; outputPad: readonly number[] } {
  const way = node.text('auto_pad', 'NOTSET')
  const same = way.startsWith('SAME')
  const wanted = node.ints('output_shape')
  if (!wanted && !same)
    return { sliding: way === 'VALID' ? { ...own, before: sizes.map(() => 0), after: sizes.map(() => 0) } : own, outputPad }
  const outputs = wanted ? wanted.slice(-sizes.length) : sizes.map((size, d) => size * own.stride[d]!)
  const totals = sizes.map((size, d) => own.stride[d]! * (size - 1) + outputPad[d]! + reach(own.kernel[d]!, own.dilation[d]!) - outputs[d]!)
  const before = totals.map((total) => Math.max(0, way === 'SAME_UPPER' ? Math.floor(total / 2) : total - Math.floor(total / 2)))
  return {
    sliding: { ...own, before, after: totals.map((total, d) => Math.max(0, total - before[d]!)) },
    outputPad: outputPad.map((pad, d) => pad + Math.max(0, -totals[d]!)),
  }
}

function convTranspose(node: OnnxNode): void {
  const groups = node.int('group', 1)
  const weights = weightsOf(node, (weight) => weight.shape[1]! * groups)
  const input = node.tensor(0)
  const [from, per] = weights.weight.shape as [number, number]
  if (groups < 1 || from !== input.dims[0] || from % groups !== 0)
    return node.refuse(`a weight ${showDimensions(weights.weight.shape)} in ${groups} groups does not go with ${input.dims[0]} channels`)
  const { x, back, flat } = mapOf(node, input)
  const own = slidingOf(node, weights.kernel)
  const given = node.ints('output_padding') ?? weights.kernel.map(() => 0)
  const { sliding, outputPad } = transposedPadding(node, own, given, input.dims.slice(1))
  const full = flat ? withRow(sliding) : sliding
  const extra = flat ? [0, ...outputPad] : outputPad
  const out = per * groups
  const counts = x.dims.slice(1).map((size, d) =>
    full.stride[d]! * (size - 1) + extra[d]! + reach(full.kernel[d]!, full.dilation[d]!) - full.before[d]! - full.after[d]!
  )
  if (counts.some((count) => count < 1)) return node.refuse(`an output of ${counts.join(' x ')}`)
  node.give(back(
    node.emit(
      'deconv',
      [x],
      {
        out,
        ...windowArguments(full),
        groups,
        output_pad: extra[0] === extra[1] ? extra[0]! : extra,
        bias: weights.bias !== undefined,
      },
      [out, ...counts],
      { parameters: parametersOf(weights, flat), main: !flat },
    ),
  ))
}

export const convolutionOperators: readonly OnnxOperator[] = [
  { op: 'Conv', batched: true, map: conv },
  { op: 'ConvTranspose', batched: true, map: convTranspose },
]
