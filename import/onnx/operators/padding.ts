import { elementCount } from '../../../bundle/sizes.ts'
import { shortFloat32 } from '../float32.ts'
import type { OnnxNode } from '../node.ts'
import { constantOf, rankOf, type Tensor } from '../value.ts'
import type { OnnxOperator } from './operator.ts'
import { cut } from './shape.ts'
import { placed, stepsOf } from './rearrange.ts'

/** How much is added in front of and behind each of `rank` axes; less than 0 takes away. */
function marginsOf(node: OnnxNode, rank: number): { readonly before: number[]; readonly after: number[] } {
  const given = node.opset < 11 ? node.ints('pads') ?? node.refuse('pads are missing') : node.numbers(1, 'the pads')
  const axes = node.opset >= 18 && node.has(3) ? node.numbers(3, 'the axes').map((axis) => node.axis(axis, rank))
    : Array.from({ length: rank }, (_, d) => d)
  if (given.length !== 2 * axes.length || given.some((n) => !Number.isSafeInteger(n)))
    return node.refuse(`${given.length} pads for ${axes.length} axes`)
  const before = new Array<number>(rank).fill(0)
  const after = new Array<number>(rank).fill(0)
  axes.forEach((axis, i) => {
    before[axis] = given[i]!
    after[axis] = given[i + axes.length]!
  })
  return { before, after }
}

const valueOf = (node: OnnxNode): number =>
  node.opset < 11 ? node.float('value', 0)
    : node.has(2) && elementCount(node.shape(2) as number[]) > 0 ? shortFloat32(node.number(2, 'the value')) : 0

function pad(node: OnnxNode): void {
  const input = node.tensor(0)
  const { before, after } = marginsOf(node, rankOf(input))
  const mode = node.text('mode', 'constant')
  if (!['constant', 'reflect', 'edge'].includes(mode)) node.refuse(`its mode is ${mode}`, 'constant, reflect and edge can be said')
  const lead = input.bare ? 0 : 1
  if (lead && (before[0] || after[0])) node.refuse('it adds samples to the batch')
  let x = input
  before.forEach((_, axis) => {
    if (axis >= lead && (before[axis]! < 0 || after[axis]! < 0))
      x = cut(node, x, axis + 1 - lead, Math.max(0, -before[axis]!), x.dims[axis - lead]! + Math.min(0, after[axis]!)) as Tensor
  })
  const [front, behind] = [before, after].map((list) => list.slice(lead).map((n) => Math.max(0, n))) as [number[], number[]]
  if (front.every((n) => n === 0) && behind.every((n) => n === 0)) return node.give(x)
  node.give(folded(node, x, front, behind, mode, mode === 'constant' ? valueOf(node) : 0))
}

/** A frame around more axes than a map has: an axis of one element goes, and neighbours that nothing is added to are one axis. */
export function folded(
  node: OnnxNode,
  x: Tensor,
  front: readonly number[],
  behind: readonly number[],
  mode: string,
  value: number,
): Tensor {
  if (x.dims.length <= 3) return framed(node, x, front, behind, mode, value)
  const axes: { dim: number; front: number; behind: number }[] = []
  x.dims.forEach((dim, d) => {
    const added = front[d]! + behind[d]! > 0
    const last = axes.at(-1)
    if (!added && dim === 1) return
    if (!added && last && last.front + last.behind === 0) last.dim *= dim
    else axes.push({ dim, front: front[d]!, behind: behind[d]! })
  })
  if (axes.length > 3) return framed(node, x, front, behind, mode, value)
  const dims = axes.map(({ dim }) => dim)
  const fewer = node.emit('reshape', [x], { dims }, dims, { main: false, type: x.type })
  const y = framed(node, fewer, axes.map((axis) => axis.front), axes.map((axis) => axis.behind), mode, value)
  const made = x.dims.map((dim, d) => front[d]! + dim + behind[d]!)
  return node.emit('reshape', [y], { dims: made }, made, { type: x.type })
}

/** A frame around a map; one or two axes are a map of one row. */
function framed(node: OnnxNode, x: Tensor, front: readonly number[], behind: readonly number[], mode: string, value: number): Tensor {
  const rank = x.dims.length
  if (rank > 3 || rank === 0)
    return node.refuse(`${rank} axes beside the batch`, 'maps of the language have three: [channels, height, width]')
  // [L] is [1, 1, L], [C, L] is [C, 1, L].
  const wide = (
    list: readonly number[],
    one: number,
  ): number[] => (rank === 3 ? [...list] : rank === 2 ? [list[0]!, one, list[1]!] : [one, one, list[0]!])
  const [dims, before, after] = [wide(x.dims, 1), wide(front, 0), wide(behind, 0)]
  const map = rank === 3 ? x : node.emit('reshape', [x], { dims }, dims, { main: false, type: x.type })
  const size = [before[1]!, after[1]!, before[2]!, after[2]!]
  const sides = size.every((n) => n === size[0]) ? size[0]! : size[0] === size[1] && size[2] === size[3] ? [size[0]!, size[2]!] : size
  const made = dims.map((dim, d) => before[d]! + dim + after[d]!)
  const y = node.emit(
    'pad',
    [map],
    {
      size: sides,
      ...(value !== 0 && { value }),
      ...((before[0] || after[0]) && { channels: [before[0]!, after[0]!] }),
      ...(mode !== 'constant' && { mode }),
    },
    made,
    { main: rank === 3, type: x.type },
  )
  if (rank === 3) return y
  const own = rank === 2 ? [made[0]!, made[2]!] : [made[2]!]
  return rank === 2 ? node.emit('reshape', [y], { dims: own }, own, { type: x.type }) : node.emit('flatten', [y], {}, own, { type: x.type })
}

/** A constant in a frame of one number. */
function foldPad(node: OnnxNode): void {
  const c = node.constant(0, 'its input')
  const { before, after } = marginsOf(node, c.shape.length)
  if (node.text('mode', 'constant') !== 'constant' || c.dimensions) node.refuse('a constant padded by what it holds')
  const shape = c.shape.map((dim, d) => before[d]! + dim + after[d]!)
  if (shape.some((dim) => dim < 0) || elementCount(shape) > node.net.mostFolded) node.refuse('more constants than the model has')
  const value = valueOf(node)
  const values = c.values()
  const steps = stepsOf(c.shape)
  const place = placed(shape, steps, -before.reduce((sum, n, d) => sum + n * steps[d]!, 0))
  const within = (i: number): boolean => {
    for (let d = shape.length - 1; d >= 0; d--) {
      const at = i % shape[d]! - before[d]!
      if (at < 0 || at >= c.shape[d]!) return false
      i = Math.floor(i / shape[d]!)
    }
    return true
  }
  node.give(
    constantOf(
      new (values.constructor as Float32ArrayConstructor)(elementCount(shape)).map((_, i) => (within(i) ? values[place(i)]! : value)),
      shape,
      c.type,
      c.name,
      c.learned,
    ),
  )
}

export const paddingOperators: readonly OnnxOperator[] = [{ op: 'Pad', map: pad, fold: foldPad }]
