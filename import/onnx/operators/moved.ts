import { elementCount } from '../../../bundle/sizes.ts'
import { type Dimension, isNumber, showDimensions } from '../dimension.ts'
import { acrossBatch, type OnnxNode } from '../node.ts'
import { rankOf, type Samples, shapeOf, type Tensor } from '../value.ts'
import { activationOperators } from './activation.ts'
import { arithmeticOperators } from './arithmetic.ts'
import { comparisonOperators } from './comparison.ts'
import { reshapedTensor } from './reshape.ts'
import { listOf } from './list-of.ts'

/*
 * Values whose batch is not their first axis, as attention of PyTorch has it: [tokens, n, features], or [n heads, tokens, features].
 * They are read as values without a batch, whose axis of samples is what one sample has of it, and brought back when the batch is in front again.
 */

const ELEMENTWISE = new Set([
  ...[...activationOperators, ...arithmeticOperators, ...comparisonOperators].map(({ op }) => op).filter((op) => op !== 'PRelu'),
  ...['Cast', 'CastLike', 'Dropout', 'Identity', 'Where'],
])

/** Says where samples lie in what a node makes of moved values, given its number of axes; refuses what works along the axis of samples. */
export function samplesAfter(node: OnnxNode, tensors: readonly Tensor[]): (rank: number) => Samples {
  const x = tensors[0]!
  const { axis, before } = x.samples!
  const rank = rankOf(x)
  const op = node.proto.opType
  const behind = rank - axis
  if (
    tensors.some((y) => y.samples!.before !== before || rankOf(y) - y.samples!.axis !== behind || y.dims[y.samples!.axis] !== x.dims[axis])
  )
    return node.refuse(
      `the batch lies differently in ${tensors.map((y) => showDimensions(shapeOf(y))).join(' and ')}`,
      acrossBatch('').mend,
    )
  const refuse = (): never => node.refuse(`it works along the batch of ${showDimensions(shapeOf(x))}`, acrossBatch('').mend)
  const kept = (size: number): Samples => ({ axis: size - behind, before })
  const own = node.axis(
    node.int('axis', op.endsWith('oftmax') && node.opset < 13 ? 1 : op === 'Gather' || op === 'Split' || op.startsWith('Arg') ? 0 : -1),
    rank,
  )
  if (ELEMENTWISE.has(op) || op === 'Slice' || op === 'Shape' || op === 'Size') return kept
  if (op === 'MatMul') {
    const [left, right] = node.inputs.map((value) => value?.kind === 'tensor')
    return (left && behind === 1) || (right && behind === 2) || (left && right && behind <= 2) ? refuse() : kept
  }
  if (op === 'Gemm') return axis === 0 && node.int('transA', 0) === 0 ? kept : refuse()
  if (op === 'Concat' || op === 'Split') return own === axis ? refuse() : kept
  if (op === 'Softmax' || op === 'LogSoftmax') return own === axis || (node.opset < 13 && own < axis) ? refuse() : kept
  if (op === 'LayerNormalization') return own <= axis ? refuse() : kept
  if (op === 'Gather') return own === axis ? refuse() : (size) => (own < axis ? kept(size) : { axis, before })
  if (op.startsWith('Arg') || op.startsWith('Reduce')) {
    const since = op === 'ReduceSum' ? 13 : 18
    const axes = op.startsWith('Arg') ? [own] : (listOf(node, 'axes', 1, since) ?? []).map((d) => node.axis(d, rank))
    if (axes.length === 0 || axes.includes(axis)) return refuse()
    return node.int('keepdims', 1) !== 0 ? kept : () => ({ axis: axis - axes.filter((d) => d < axis).length, before })
  }
  if (op === 'Squeeze' || op === 'Unsqueeze') {
    const given = listOf(node, 'axes', 1, 13)
    const axes = given?.map((d) => node.axis(d, op === 'Squeeze' ? rank : rank + given.length)) ??
      x.dims.flatMap((dim, d) => (dim === 1 && d !== axis ? [d] : []))
    if (op === 'Squeeze') return () => ({ axis: axis - axes.filter((d) => d < axis).length, before })
    return (size) => ({ axis: Array.from({ length: size }, (_, d) => d).filter((d) => !axes.includes(d))[axis]!, before })
  }
  if (op === 'Transpose') {
    const order = node.ints('perm') ?? x.dims.map((_, d) => rank - 1 - d)
    return () => ({ axis: order.indexOf(axis), before })
  }
  // It says itself where they are.
  if (op === 'Reshape') return kept
  return node.refuse(`its input ${showDimensions(shapeOf(x))} has the batch at another place than in front`, acrossBatch('').mend)
}

/** What a node has made of moved values, with its place of samples. */
export function placedSamples(node: OnnxNode, x: Tensor, of: Tensor, after: (rank: number) => Samples): Tensor {
  if (node.proto.opType === 'Reshape') return broughtBack(node, x)
  const samples = after(x.dims.length)
  if (x.dims[samples.axis] !== of.dims[of.samples!.axis])
    return node.refuse(`it repeats the batch of ${showDimensions(shapeOf(of))}`, acrossBatch('').mend)
  return broughtBack(node, { ...x, bare: true, samples })
}

/** A value without a batch whose first axis is that of the batch: one with a batch. */
export function broughtBack(node: OnnxNode, x: Tensor): Tensor {
  if (!x.bare || x.dims[0] !== 1 || x.dims.length < 2) return x
  if (x.samples ? x.samples.axis !== 0 || x.samples.before !== 1 : node.net.declaredBatch !== 1) return x
  const { samples: _, ...y } = reshapedTensor(node, x, x.dims.slice(1))
  return { ...y, bare: false }
}

/** The inputs of a node with the batch at one place in all: values of one sample meet others where a model of a batch of 1 has lost its axis. */
export function together(node: OnnxNode): void {
  const isTensor = (value: unknown): value is Tensor => (value as Tensor | undefined)?.kind === 'tensor'
  const given = node.inputs.filter(isTensor)
  // In a model of one sample it is nowhere where one of them has lost it.
  if (node.net.declaredBatch === 1 && given.some((x) => x.samples) && given.some((x) => x.bare && !x.samples)) {
    node.inputs.forEach((value, i) => {
      if (!isTensor(value) || !value.samples) return
      const { samples: _, ...one } = value
      node.inputs[i] = one
    })
  }
  const tensors = node.inputs.filter(isTensor)
  if (node.net.declaredBatch !== 1 || tensors.every((x) => x.bare) || !tensors.some((x) => x.bare)) return
  const back = node.inputs.map((value) => (isTensor(value) ? broughtBack(node, value) : value))
  const all = back.some((value) => isTensor(value) && value.bare)
    ? back.map((value) => isTensor(value) && !value.bare ? { ...reshapedTensor(node, value, [1, ...value.dims]), bare: true } : value)
    : back
  node.inputs.splice(0, all.length, ...all)
}

/** A value under a shape in which the batch is another axis, or a part of one; undefined where numbers of samples do not stay together. */
export function movedBy(node: OnnxNode, x: Tensor, wanted: readonly Dimension[]): Tensor | undefined {
  const { axis, before } = x.samples ?? { axis: 0, before: 1 }
  const [batch, count] = [node.net.declaredBatch, elementCount(x.dims)]
  const lead = (x.samples ? elementCount(x.dims.slice(0, axis)) : 1) * before
  const open = wanted.findIndex((dim) => !isNumber(dim))
  for (const [at, dim] of wanted.entries()) {
    if (open >= 0 ? at !== open : batch === undefined && dim !== -1) continue
    const own = isNumber(dim) ? (dim === -1 ? dim : dim / batch!) : dim.plus === 0 ? dim.n : NaN
    const sizes = filled(wanted.map((size, d) => (d === at ? own : size as number)), count)
    const first = lead / elementCount(sizes?.slice(0, at) ?? [])
    if (sizes && Number.isInteger(first) && sizes[at]! % first === 0)
      return { ...reshapedTensor(node, x, sizes), bare: true, samples: { axis: at, before: first } }
  }
  return undefined
}

/** Sizes whose -1 is worked out, if they are whole and hold `count` numbers. */
function filled(sizes: readonly number[], count: number): readonly number[] | undefined {
  const known = sizes.reduce((product, size) => (size === -1 ? product : product * size), 1)
  const all = sizes.map((size) => (size === -1 ? count / known : size))
  return all.every((size) => Number.isInteger(size) && size > 0) && elementCount(all) === count ? all : undefined
}
