import { elementCount } from '../../../bundle/sizes.ts'
import { showDimensions } from '../dimension.ts'
import { FLOAT32 } from '../element-type.ts'
import type { OnnxNode } from '../node.ts'
import { constantOf, lazyConstant, numbersOf, rankOf } from '../value.ts'
import { contract } from './contraction.ts'
import type { OnnxOperator } from './operator.ts'
import { stepsOf } from './rearrange.ts'

/** Which numbers of an axis a running sum has at place `to`. */
function isSummed(node: OnnxNode): (from: number, to: number) => boolean {
  const [exclusive, reverse] = [node.int('exclusive', 0) !== 0, node.int('reverse', 0) !== 0]
  return (from, to) => (from === to ? !exclusive : reverse ? from > to : from < to)
}

/** CumSum: the product with a triangle of ones, which does not learn. */
function cumSum(node: OnnxNode): void {
  const x = node.tensor(0)
  const own = node.sampleAxis(node.number(1, 'the axis'), x, 'it sums up') - 1
  const size = x.dims[own]!
  if (size * size > node.net.mostFolded) return node.refuse(`a running sum of ${size} numbers`)
  const summed = isSummed(node)
  const triangle = Float32Array.from({ length: size * size }, (_, i) => Number(summed(Math.floor(i / size), i % size)))
  const axes = x.dims.map((_, d) => `axis ${d}`)
  const sum = contract(
    node,
    [{ value: x, axes }, { value: constantOf(triangle, [size, size], FLOAT32), axes: [axes[own]!, 'sum'] }],
    axes.map((name, d) => (d === own ? 'sum' : name)),
  )
  node.give({ ...sum, type: x.type })
}

function foldCumSum(node: OnnxNode): void {
  const c = node.constant(0, 'its input')
  const axis = node.axis(node.number(1, 'the axis'), c.shape.length)
  if (c.dimensions) return node.refuse('a running sum of a shape')
  const [size, step] = [c.shape[axis]!, stepsOf(c.shape)[axis]!]
  const [exclusive, reverse] = [node.int('exclusive', 0) !== 0, node.int('reverse', 0) !== 0]
  node.give(lazyConstant(c, c.shape, () => {
    const x = c.values()
    const sums = new Float64Array(x.length)
    for (let start = 0; start < x.length; start++) {
      if (Math.floor(start / step) % size !== 0) continue
      let sum = 0
      for (let k = 0; k < size; k++) {
        const at = start + (reverse ? size - 1 - k : k) * step
        sums[at] = exclusive ? sum : sum + x[at]!
        sum += x[at]!
      }
    }
    return numbersOf(c.type, sums)
  }))
}

/** TopK of one: the largest along an axis, or the least, and where it is. */
function topK(node: OnnxNode): void {
  const x = node.tensor(0)
  const count = node.opset < 10 ? node.int('k', 0) : node.number(1, 'the number')
  if (count !== 1)
    return node.refuse(
      `it gives the first ${count} in order`,
      'one, k = 1, can be said; for more cut the net in front of it with --outputs',
    )
  const axis = node.sampleAxis(node.axis(node.int('axis', -1), rankOf(x)), x, 'it compares')
  const dims = x.dims.map((dim, d) => (d === axis - 1 ? 1 : dim))
  const least = node.int('largest', 1) === 0
  if (node.isRead(0) || !node.proto.outputs[1])
    node.give(node.emit(least ? 'reduce_min' : 'reduce_max', [x], { axes: [axis], keep: true }, dims, { type: x.type }))
  if (!node.isRead(1)) return
  const from = least ? node.emit('neg', [x], {}, x.dims, { main: false }) : x
  node.give(node.emit('arg_max', [from], { axis, keep: true }, dims, { main: !node.isRead(0), type: 'int', output: 1 }), 1)
}

/** ScatterND of constants: parts of a copy are replaced. Masks of windows that PyTorch fills part by part are made so. */
function foldScatter(node: OnnxNode): void {
  const [c, indices, updates] = [node.constant(0, 'its input'), node.constant(1, 'the indices'), node.constant(2, 'the updates')]
  if (c.dimensions || indices.dimensions || updates.dimensions) return node.refuse('it changes a shape that depends on the batch')
  if (node.text('reduction', 'none') !== 'none')
    return node.refuse(`its reduction is ${node.text('reduction', '')}`, 'parts can be replaced')
  const depth = indices.shape.at(-1) ?? 0
  const rows = elementCount(indices.shape.slice(0, -1))
  const inner = elementCount(c.shape.slice(depth))
  if (depth > c.shape.length || Math.max(elementCount(indices.shape), elementCount(c.shape)) > node.net.mostFolded)
    return node.refuse(`indices ${showDimensions(indices.shape)} for ${showDimensions(c.shape)}`)
  if (elementCount(updates.shape) !== rows * inner)
    return node.refuse(`updates ${showDimensions(updates.shape)} for ${rows} parts of ${inner}`)
  const steps = stepsOf(c.shape)
  const at = indices.values()
  const starts = Array.from({ length: rows }, (_, row) => {
    let start = 0
    for (let d = 0; d < depth; d++) {
      const [index, size] = [at[row * depth + d]!, c.shape[d]!]
      if (!(index >= -size && index < size)) node.refuse(`an index ${index} of the ${size} of axis ${d}`)
      start += (index < 0 ? index + size : index) * steps[d]!
    }
    return start
  })
  node.give({
    ...lazyConstant(c, c.shape, () => {
      const [values, parts] = [numbersOf(c.type, c.values()), updates.values()]
      starts.forEach((start, row) => {
        for (let i = 0; i < inner; i++) values[start + i] = parts[row * inner + i]!
      })
      return values
    }),
    learned: c.learned || updates.learned,
  })
}

/** The upper or lower triangle of constant matrices. */
function foldTrilu(node: OnnxNode): void {
  const c = node.constant(0, 'its input')
  const [rows, columns] = c.shape.slice(-2)
  if (c.dimensions || rows === undefined || columns === undefined) return node.refuse(`a triangle of ${showDimensions(c.shape)}`)
  const k = node.has(1) ? node.number(1, 'the diagonal') : 0
  const upper = node.int('upper', 1) !== 0
  node.give(lazyConstant(c, c.shape, () =>
    numbersOf(
      c.type,
      Array.from(c.values(), (v, i) => {
        const away = i % columns - Math.floor(i / columns) % rows
        return (upper ? away >= k : away <= k) ? v : 0
      }),
    )))
}

/** Trilu of what the net computes: 0 outside of the triangle, whatever stands there. */
function trilu(node: OnnxNode): void {
  const x = node.tensor(0)
  const [rows, columns] = x.dims.slice(-2)
  if (rows === undefined || columns === undefined) return node.refuse(`a triangle of ${showDimensions(x.dims)}`)
  const k = node.has(1) ? node.number(1, 'the diagonal') : 0
  const upper = node.int('upper', 1) !== 0
  const dims = [...new Array<number>(x.dims.length - 2).fill(1), rows, columns]
  const kept = (i: number): boolean => {
    const away = i % columns - Math.floor(i / columns)
    return upper ? away >= k : away <= k
  }
  const mask = node.emit('parameter', [], { dims, lr_mult: 0 }, dims, {
    main: false,
    parameters: { weight: { shape: dims, values: () => Float32Array.from({ length: rows * columns }, (_, i) => Number(kept(i))) } },
  })
  node.give(node.emit('where', [mask, x, 0], {}, x.dims, { type: x.type }))
}

export const orderedOperators: readonly OnnxOperator[] = [
  { op: 'CumSum', map: cumSum, fold: foldCumSum },
  { op: 'TopK', map: topK },
  { op: 'Trilu', map: trilu, fold: foldTrilu },
  { op: 'ScatterND', fold: foldScatter },
]
