import { elementCount } from '../../../bundle/sizes.ts'
import { showDimensions } from '../dimension.ts'
import type { OnnxNode } from '../node.ts'
import { type Constant, dimensionsConstant, parameterOf, shapeOf, type Tensor } from '../value.ts'
import { numberIn, ofOneSample, withinSample } from './operand.ts'
import type { OnnxOperator } from './operator.ts'
import { folded } from './padding.ts'

function concat(node: OnnxNode): void {
  const values = node.inputs.map((_, i) => node.value(i))
  const first = values.find((value): value is Tensor => value.kind === 'tensor')!
  const axis = node.sampleAxis(node.int('axis', 1), first, 'it joins')
  const tensors = withConstants(node, values, first, axis)
  const dims = first.dims.map((dim, d) => (d === axis - 1 ? tensors.reduce((sum, t) => sum + t.dims[d]!, 0) : dim))
  const odd = tensors.find((t) => t.dims.length !== dims.length || t.dims.some((dim, d) => d !== axis - 1 && dim !== dims[d]))
  if (odd) node.refuse(`${showDimensions(shapeOf(first))} and ${showDimensions(shapeOf(odd))} do not go together along axis ${axis}`)
  if (tensors.length === 1) return node.give(tensors[0]!)
  if (isShiftedFrame(node, tensors, axis)) node.noteOnce('differs', SHIFTED)
  node.give(node.emit('concat', tensors, { axis }, dims, { type: tensors.every((t) => t.type === first.type) ? first.type : 'float' }))
}

const SHIFTED =
  'circular padding: PyTorch (1.13) exports it with other rows in front than it computes with, those before the last one: in front of x stand its last, slice(axis, size - pad, size)'

/** Whether in front of a map stand its last rows but one: PyTorch's slice of -(pad + 1) to -1 (findings/torch-onnx-circular-padding-takes-other-rows.sh). */
function isShiftedFrame({ net }: OnnxNode, [front, x, ...behind]: readonly Tensor[], axis: number): boolean {
  if (!net.producer.startsWith('pytorch') || !front || !x || behind.length > 1) return false
  const layer = net.layers.findLast(({ output }) => output === front.name)
  const size = x.dims[axis - 1]!
  if (layer?.op !== 'slice' || layer.inputs[0] !== x.name || layer.arguments['axis'] !== axis) return false
  return layer.arguments['to'] === size - 1 && layer.arguments['from'] === size - 1 - front.dims[axis - 1]!
}

/** Tensors in whose frames the constants beside them are: those behind one, and for the first those in front of it. */
function withConstants(node: OnnxNode, values: readonly (Tensor | Constant)[], first: Tensor, axis: number): readonly Tensor[] {
  const groups: { x?: Tensor; readonly front: Constant[]; readonly behind: Constant[] }[] = [{ front: [], behind: [] }]
  for (const value of values) {
    const last = groups.at(-1)!
    if (value.kind === 'constant') (last.x ? last.behind : last.front).push(fitting(node, value, first, axis))
    else if (last.x) groups.push({ x: value, front: [], behind: [] })
    else last.x = value
  }
  return groups.map(({ x, front, behind }) => (front.length + behind.length === 0 ? x! : framedBy(node, x!, front, behind, axis)))
}

/** The constant of one sample; refuses one that does not go with x along the axis. */
function fitting(node: OnnxNode, value: Constant, x: Tensor, axis: number): Constant {
  const c = ofOneSample(node, value, x)
  const dims = withinSample(c, x)
  if (c.dimensions || !dims || dims.some((dim, d) => d !== axis - 1 && dim !== x.dims[d]))
    return node.refuse(
      `it joins a constant ${showDimensions(value.shape)} with ${showDimensions(shapeOf(x))} along axis ${axis}`,
      'what is joined with samples must be the same for all, and as large',
    )
  return { ...c, shape: dims }
}

/**
 * x in a frame of constants: of 0, or of their number where they have one, and then they are added. One that learns and is one long along the axis,
 * as the token of a class, is put in its place by `where`, and learns here too.
 */
function framedBy(node: OnnxNode, x: Tensor, front: readonly Constant[], behind: readonly Constant[], axis: number): Tensor {
  const d = axis - 1
  const lengthOf = (list: readonly Constant[]): number => list.reduce((sum, c) => sum + c.shape[d]!, 0)
  const frame = (length: number): number[] => x.dims.map((_, e) => (e === d ? length : 0))
  const all = [...front, ...behind]
  const tokens = all.filter(({ learned, shape }) => learned && shape[d] === 1 && elementCount(shape) > 1)
  const others = all.filter((c) => !tokens.includes(c))
  const numbers = new Set(others.map(numberIn))
  const one = others.length === 0 ? 0 : numbers.size === 1 ? [...numbers][0] : undefined
  const padded = folded(node, x, frame(lengthOf(front)), frame(lengthOf(behind)), 'constant', one ?? 0)
  const whole = one === undefined ? withNumbers(node, padded, [...front, x, ...behind], others, axis) : padded
  if (others.some((c) => c.learned)) node.note('changed', 'constants that it joins do not learn')
  let [y, from] = [whole, 0]
  for (const part of [...front, x, ...behind]) {
    if (part.kind === 'constant' && tokens.includes(part)) y = withToken(node, y, part, axis, from)
    from += (part.kind === 'constant' ? part.shape : part.dims)[d]!
  }
  return y
}

/** x with a constant that learns in place of what lies at `from`. */
function withToken(node: OnnxNode, x: Tensor, c: Constant, axis: number, from: number): Tensor {
  const flat = x.dims.map((dim, d) => (d === axis - 1 ? dim : 1))
  const mask = node.emit('parameter', [], { dims: flat, lr_mult: 0 }, flat, {
    main: false,
    parameters: { weight: { shape: flat, values: () => Float32Array.from({ length: flat[axis - 1]! }, (_, i) => Number(i === from)) } },
  })
  const token = node.emit('parameter', [], { dims: c.shape }, c.shape, { main: false, parameters: { weight: parameterOf(c) } })
  const y = node.emit('where', [mask, token, x], {}, x.dims, { type: 'float' })
  return x.bare ? { ...y, bare: true } : y
}

/** `padded`, a frame of 0 around a map among `parts`, with the numbers of those of them that are `others`. */
function withNumbers(
  node: OnnxNode,
  padded: Tensor,
  parts: readonly (Tensor | Constant)[],
  others: readonly Constant[],
  axis: number,
): Tensor {
  const d = axis - 1
  const { dims } = padded
  const parameter = node.emit('parameter', [], { dims, lr_mult: 0 }, dims, {
    main: false,
    parameters: {
      weight: {
        shape: dims,
        values: () => {
          const [outer, inner] = [elementCount(dims.slice(0, d)), elementCount(dims.slice(d + 1))]
          const result = new Float32Array(elementCount(dims))
          let from = 0
          for (const c of parts) {
            const length = (c.kind === 'constant' ? c.shape : c.dims)[d]! * inner
            const values = c.kind === 'constant' && others.includes(c) ? c.values() : undefined
            for (let o = 0; values && o < outer; o++)
              for (let i = 0; i < length; i++) result[o * dims[d]! * inner + from + i] = Number(values[o * length + i])
            from += length
          }
          return result
        },
      },
    },
  })
  return node.emit('add', [padded, padded.bare ? { ...parameter, bare: true } : parameter], {}, dims, { type: 'float' })
}

function foldConcat(node: OnnxNode): void {
  const parts = node.inputs.map((_, i) => node.constant(i, ''))
  const axis = node.axis(node.int('axis', 1), parts[0]!.shape.length)
  const shape = parts[0]!.shape.map((dim, d) => (d === axis ? parts.reduce((sum, c) => sum + (c.shape[d] ?? 0), 0) : dim))
  if (parts.some((c) => c.shape.length !== shape.length || c.shape.some((dim, d) => d !== axis && dim !== shape[d])))
    node.refuse('its constants do not go together')
  const outer = elementCount(shape.slice(0, axis))
  const sizes = parts.map((c) => elementCount(c.shape.slice(axis)))
  if (parts.some((c) => c.dimensions)) {
    const all = parts.map((c) => c.dimensions ?? Array.from(c.values()))
    const list = Array.from({ length: outer }, (_, o) => all.flatMap((elements, p) => elements.slice(o * sizes[p]!, (o + 1) * sizes[p]!)))
      .flat()
    return node.give(dimensionsConstant(list, shape, parts[0]!.type))
  }
  node.give({
    ...parts[0]!,
    shape,
    learned: parts.some((c) => c.learned),
    values: () => {
      const all = parts.map((c) => c.values())
      const result = new (all[0]!.constructor as Float32ArrayConstructor)(elementCount(shape))
      let at = 0
      for (let o = 0; o < outer; o++) {
        all.forEach((values, p) => {
          result.set(values.subarray(o * sizes[p]!, (o + 1) * sizes[p]!), at)
          at += sizes[p]!
        })
      }
      return result
    },
  })
}

export const concatOperators: readonly OnnxOperator[] = [{ op: 'Concat', map: concat, fold: foldConcat }]
