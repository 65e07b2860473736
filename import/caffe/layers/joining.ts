import { elementCount } from '../../../bundle/sizes.ts'
import type { Blob } from '../net-builder.ts'
import { axisOf, type Converter, innerAxis, sameDims } from './converter.ts'

const eltwise: Converter = (view) => {
  const param = view.param('eltwise_param')
  const xs = view.xs()
  if (xs.length < 2) view.refuse('it needs two bottoms or more')
  const dims = sameDims(view, xs)
  const operation = param.text('operation', 'SUM')
  const coeff = param.numbers('coeff')
  if (coeff.length > 0 && (operation !== 'SUM' || coeff.length !== xs.length)) {
    view.refuse(`it has ${coeff.length} coefficients for ${operation} of ${xs.length} bottoms`, 'SUM takes one a bottom, others none')
  }
  if (operation !== 'SUM') return [view.emit(operation === 'MAX' ? 'max' : 'mul', xs, dims, {}, { top: 0 })]
  if (coeff.length === 2 && coeff[0] === 1 && coeff[1] === -1) return [view.emit('sub', xs, dims, {}, { top: 0 })]
  return [view.emit('add', xs, dims, coeff.some((c) => c !== 1) ? { coeff } : {}, { top: 0 })]
}

const concat: Converter = (view) => {
  const param = view.param('concat_param')
  const xs = view.xs()
  const axis = innerAxis(view, xs[0] ?? view.x(), param.number('axis') ?? param.number('concat_dim', 1))
  if (xs.length === 1) return xs
  const others = xs.map(({ dims }) => dims.filter((_, i) => i !== axis - 1))
  if (others.some((dims) => dims.join() !== others[0]!.join())) {
    view.refuse(
      `it joins ${xs.map(({ dims }) => `[${['n', ...dims].join(', ')}]`).join(', ')} along axis ${axis}: other axes have to be equal`,
    )
  }
  const dims = xs[0]!.dims.map((dim, i) => (i === axis - 1 ? xs.reduce((sum, x) => sum + x.dims[i]!, 0) : dim))
  return [view.emit('concat', xs, dims, { axis }, { top: 0 })]
}

const slice: Converter = (view) => {
  const param = view.param('slice_param')
  const x = view.x()
  const axis = innerAxis(view, x, param.number('axis') ?? param.number('slice_dim', 1))
  const size = x.dims[axis - 1]!
  const parts = view.layer.tops.length
  const points = param.numbers('slice_point')
  const given = points.length > 0 ? points : Array.from({ length: parts - 1 }, (_, i) => (i + 1) * (size / parts))
  if (given.length !== parts - 1 || given.some((point, i) => !Number.isInteger(point) || point <= (given[i - 1] ?? 0) || point >= size)) {
    view.refuse(
      `it cuts ${size} at ${given.join(', ')} into ${parts} parts`,
      'slice_point has one rising number less than there are tops, or is absent and all are equal',
    )
  }
  if (parts === 1) return [x]
  return [0, ...given].map((from, i) => {
    const to = given[i] ?? size
    return view.emit('slice', [x], x.dims.map((dim, d) => (d === axis - 1 ? to - from : dim)), { axis, from, ...(to < size && { to }) }, {
      top: i,
    })
  })
}

/** Caffe copies a blob for each that reads it; here a value may be read more than once. */
const split: Converter = (view) => view.layer.tops.map(() => view.bottoms[0] ?? view.x())

const tile: Converter = (view) => {
  const param = view.param('tile_param')
  const x = view.x()
  const axis = innerAxis(view, x, param.number('axis', 1))
  const tiles = param.number('tiles', 0)
  if (tiles < 1 || tiles > 64) view.refuse(`its tiles are ${tiles}; 1 to 64 can be written here`)
  if (tiles === 1) return [x]
  return [
    view.emit('concat', Array.from({ length: tiles }, () => x), x.dims.map((dim, i) => (i === axis - 1 ? dim * tiles : dim)), { axis }, {
      top: 0,
    }),
  ]
}

const flatten: Converter = (view) => {
  const param = view.param('flatten_param')
  const x = view.x()
  const axis = innerAxis(view, x, param.number('axis', 1))
  const end = axisOf(view, x, param.number('end_axis', -1), 'end_axis')
  if (end < axis) view.refuse(`its end_axis, ${end}, comes before its axis, ${axis}`)
  if (end === axis) return [x]
  const dims = [...x.dims.slice(0, axis - 1), elementCount(x.dims.slice(axis - 1, end)), ...x.dims.slice(end)]
  return [view.emit('flatten', [x], dims, { axis, ...(end < x.dims.length && { end }) }, { top: 0 })]
}

/** 0 copies a dimension, -1 is worked out. The batch stays what it is, however the file says it. */
const reshape: Converter = (view) => {
  const param = view.param('reshape_param')
  const x = view.x()
  const given = param.sub('shape').numbers('dim')
  const rank = x.dims.length + 1
  const axis = param.number('axis', 0)
  const from = axis < 0 ? axis + rank + 1 : axis
  const count = param.number('num_axes', -1)
  const to = count === -1 ? rank : from + count
  if (from < 0 || from > rank || count < -1 || to > rank)
    view.refuse(`its axis ${axis} and num_axes ${count} go past the ${rank} axes of ${x.value}`)
  if (given.some((dim) => dim < -1) || given.filter((dim) => dim === -1).length > 1)
    view.refuse(`its shape is [${given.join(', ')}]`, 'one dimension may be -1')
  const copied = given.map((dim, i) => {
    if (dim !== 0 || from + i === 0) return dim
    return x.dims[from + i - 1] ?? view.refuse(`its dimension ${i} is 0, which copies one, and ${x.value} has ${rank}`)
  })
  const [first, ...rest] = copied
  // What stands for the batch: its own copy, -1, or its size as a number.
  if (from === 0 && first === undefined) view.refuse('its shape is empty')
  const sample = from === 0 ? [...rest, ...x.dims.slice(to - 1)] : [...x.dims.slice(0, from - 1), ...copied, ...x.dims.slice(to - 1)]
  if (from === 0 && to === 0) view.refuse('it puts an axis in front of the batch')
  const known = elementCount(sample.filter((dim) => dim !== -1))
  const dims = sample.map((dim) => (dim === -1 ? elementCount(x.dims) / known : dim))
  if (elementCount(dims) !== elementCount(x.dims) || dims.some((dim) => !Number.isInteger(dim))) {
    view.refuse(
      `it makes [${['n', ...x.dims].join(', ')}] into [${given.join(', ')}]: numbers of several samples, or of a part of one`,
      'the first dimension is the batch here: 0, or -1 where the others are all of a sample',
    )
  }
  if (from === 0 && first! > 0) view.note('changed', `the ${first} in front of its shape is taken for the batch`)
  const shape: readonly number[] = dims.length === 0 ? [1] : dims
  if (shape.join() === x.dims.join()) return [x]
  return [view.emit('reshape', [x], shape, { dims: shape }, { top: 0 })]
}

/** The first bottom, cut to the size of the second from `axis` on. */
const crop: Converter = (view) => {
  const param = view.param('crop_param')
  const [x, like] = [view.x(), view.x(1)]
  const axis = innerAxis(view, x, param.number('axis', 2))
  const offsets = param.numbers('offset')
  if (offsets.length > 1 && offsets.length !== x.dims.length + 1 - axis)
    view.refuse(`it has ${offsets.length} offsets for ${x.dims.length + 1 - axis} axes`)
  let y: Blob = x
  const cuts = x.dims.flatMap((size, d) => {
    if (d + 1 < axis) return []
    const from = (offsets.length === 1 ? offsets[0] : offsets[d + 1 - axis]) ?? 0
    const wanted = like.dims[d] ?? view.refuse(`its bottoms have ${x.dims.length + 1} and ${like.dims.length + 1} axes`)
    if (from + wanted > size) view.refuse(`it cuts ${wanted} from ${from} on out of ${size} of axis ${d + 1}`)
    return wanted === size ? [] : [{ d, from, to: from + wanted, size }]
  })
  cuts.forEach(({ d, from, to, size }, i) => {
    const dims = y.dims.map((dim, k) => (k === d ? to - from : dim))
    y = view.emit('slice', [y], dims, { axis: d + 1, from, ...(to < size && { to }) }, { ...(i === cuts.length - 1 && { top: 0 }) })
  })
  return [y]
}

/** Permute of SSD's Caffe. */
const permute: Converter = (view) => {
  const x = view.x()
  const given = view.param('permute_param').numbers('order')
  const order = [...given, ...[0, ...x.dims.map((_, i) => i + 1)].filter((axis) => !given.includes(axis))]
  if (
    order[0] !== 0 || order.length !== x.dims.length + 1 || new Set(order).size !== order.length ||
    order.some((axis) => axis < 0 || axis > x.dims.length)
  ) {
    view.refuse(`its order is ${given.join(', ')}`, 'axes are exchanged once each, and the batch, 0, stays in front')
  }
  if (order.every((axis, i) => axis === i)) return [x]
  return [view.emit('transpose', [x], order.slice(1).map((axis) => x.dims[axis - 1]!), { order }, { top: 0 })]
}

const softmax: Converter = (view) => {
  const x = view.x()
  const axis = innerAxis(view, x, view.param('softmax_param').number('axis', 1))
  return [view.emit('softmax', [x], x.dims, axis === 1 ? {} : { axis, end: axis }, { top: 0 })]
}

/** Converts ArgMax. Of equal values Caffe takes the last. */
const argMax: Converter = (view) => {
  const param = view.param('argmax_param')
  const x = view.x()
  if (param.number('top_k', 1) !== 1)
    view.refuse(
      `the best ${param.number('top_k')} have no equal`,
      'cut the net in front of it by --outputs and take them from what comes out',
    )
  const largest = param.flag('out_max_val', false)
  if (param.has('axis')) {
    const axis = innerAxis(view, x, param.number('axis', 1))
    const dims = x.dims.map((dim, i) => (i === axis - 1 ? 1 : dim))
    return [
      largest ? view.emit('reduce_max', [x], dims, { axes: [axis], keep: true }, { top: 0 })
        : view.emit('arg_max', [x], dims, { axis, keep: true, last: true }, { top: 0 }),
    ]
  }
  const flat = x.dims.length === 1 ? x : view.emit('flatten', [x], [elementCount(x.dims)], {}, { named: false })
  const index = view.emit('arg_max', [flat], [1], { axis: 1, keep: true, last: true })
  const all = largest
    ? view.emit('concat', [index, view.emit('reduce_max', [flat], [1], { axes: [1], keep: true }, { named: false })], [2], { axis: 1 }, {
      named: false,
    }) : index
  const dims = largest ? [2, 1] : [1, 1]
  return [view.emit('reshape', [all], dims, { dims }, { named: false, top: 0 })]
}

export const joiningConverters: Readonly<Record<string, Converter>> = {
  Eltwise: eltwise,
  Concat: concat,
  Slice: slice,
  Split: split,
  Silence: () => [],
  Tile: tile,
  Flatten: flatten,
  Reshape: reshape,
  Crop: crop,
  Permute: permute,
  Softmax: softmax,
  ArgMax: argMax,
}
