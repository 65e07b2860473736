import type { Argument } from '../../model-net.ts'
import type { LayerView, Parameters } from '../layer-view.ts'
import type { Blob } from '../net-builder.ts'
import type { Message } from '../message.ts'
import { axisOf, type Converter, innerAxis } from './converter.ts'

/** y = scale x (+ bias), from `axis` on over `num_axes` axes; the scale is learned or the second bottom. */
const scale: Converter = (view) => {
  const param = view.param('scale_param')
  const x = view.x()
  const bias = param.flag('bias_term', false)
  if (view.bottoms.length > 1) return [scaleByBottom(view, param, x, bias)]
  const over = axesOf(view, param, x)
  const shape = x.dims.slice(over.from - 1, over.to - 1)
  const parameters = view.parameters([['weight', shape], ...(bias ? [['bias', shape] as const] : [])])
  if (over.from === 1 && over.to === 2) {
    const fillers = parameters.sharesWith === undefined
      ? view.fillers(param, { filler: 'weight_init', ...(bias && { bias_filler: 'bias_init' }) }) : {}
    return [view.emit('scale', [x], x.dims, { bias, ...withoutStart(fillers, 1) }, { top: 0, parameters })]
  }
  const factor = learned(view, param, 'weight', x, over, parameters, 1)
  const scaled = view.emit('mul', [x, factor], x.dims, {}, { named: false, ...(!bias && { top: 0 }) })
  if (!bias) return [scaled]
  return [view.emit('add', [scaled, learned(view, param, 'bias', x, over, parameters, 0)], x.dims, {}, { named: false, top: 0 })]
}

/** Arguments without a start that is the default. */
function withoutStart(args: Record<string, Argument>, weight: number): Record<string, Argument> {
  const isConstant = (value: Argument | undefined, number: number): boolean =>
    typeof value === 'object' && 'call' in value && value.call === 'constant' && value.arguments['value'] === number
  return Object.fromEntries(Object.entries(args).filter(([name, value]) => !isConstant(value, name === 'weight_init' ? weight : 0)))
}

interface Axes {
  readonly from: number
  /** The first that is not taken any more. */
  readonly to: number
}

function axesOf(view: LayerView, param: Message, x: Blob): Axes {
  const from = innerAxis(view, x, param.number('axis', 1))
  const count = param.number('num_axes', 1)
  const to = count === -1 ? x.dims.length + 1 : from + count
  if (count < -1 || to > x.dims.length + 1)
    view.refuse(`its num_axes of ${count} from axis ${from} goes past the ${x.dims.length + 1} axes`)
  return { from, to }
}

/** A learned tensor over some axes of x, with dimensions of 1 for those behind. */
function learned(
  view: LayerView,
  param: Message,
  role: 'weight' | 'bias',
  x: Blob,
  { from, to }: Axes,
  given: Parameters,
  start: number,
): Blob {
  if (given.sharesWith !== undefined) view.refuse('a scale or bias over several axes does not share its parameters', 'give each its own')
  const dims = [...x.dims.slice(from - 1, to - 1), ...x.dims.slice(to - 1).map(() => 1)]
  const shape = dims.length === 0 ? [1] : dims
  const tensor = given.parameters?.[role]
  const i = role === 'weight' || view.layer.type === 'Bias' ? 0 : 1
  const rate = (name: string): Record<string, Argument> => {
    const list = given.arguments[name] as readonly number[] | undefined
    return list === undefined || list[i] === 1 ? {} : { [name]: list[i]! }
  }
  const filler = view.fillers(param, role === 'weight' || view.layer.type === 'Bias' ? { filler: 'init' } : { bias_filler: 'init' })
  return view.emit('parameter', [], shape, {
    dims: shape,
    ...(!tensor && { init: filler['init'] ?? { call: 'constant', arguments: { value: start } } }),
    ...rate('lr_mult'),
    ...rate('decay_mult'),
  }, {
    named: role === 'weight' || view.layer.type === 'Bias',
    parameters: { arguments: {}, ...(tensor && { parameters: { weight: { shape, values: tensor.values } } }) },
  })
}

/** The second bottom has the shape of the first from `axis` on; dimensions of 1 stand behind it. */
function byBottom(view: LayerView, param: Message, x: Blob, top: { top?: number }, op: 'mul' | 'add'): Blob {
  const factor = view.x(1)
  const axis = axisOf(view, x, param.number('axis', 1))
  if (axis !== 0) {
    view.refuse(
      `its second bottom, ${factor.value}, is laid along axis ${axis}, batch and all`,
      'with axis: 0 each sample has factors of its own; else the batch of one blob would be the channels of the other',
    )
  }
  const { dims } = factor
  // A number a sample, [n], is [n, 1] here.
  const isOne = dims.length === 1 && dims[0] === 1
  if (!isOne && (dims.length > x.dims.length || dims.some((dim, i) => dim !== x.dims[i]))) {
    view.refuse(`its second bottom is [${['n', ...dims].join(', ')}], and the first [${['n', ...x.dims].join(', ')}]`)
  }
  const wide = [...dims, ...x.dims.slice(dims.length).map(() => 1)]
  const shaped = wide.length === dims.length ? factor : view.emit('reshape', [factor], wide, { dims: wide }, { named: false })
  return view.emit(op, [x, shaped], x.dims, {}, { named: false, ...top })
}

function scaleByBottom(view: LayerView, param: Message, x: Blob, bias: boolean): Blob {
  const scaled = byBottom(view, param, x, bias ? {} : { top: 0 }, 'mul')
  if (!bias) return scaled
  view.refuse('it has a second bottom and a bias of its own', 'write a layer of type Bias behind it')
}

const bias: Converter = (view) => {
  const param = view.param('bias_param')
  const x = view.x()
  if (view.bottoms.length > 1) return [byBottom(view, param, x, { top: 0 }, 'add')]
  const over = axesOf(view, param, x)
  const parameters = view.parameters([['bias', x.dims.slice(over.from - 1, over.to - 1)]])
  if (over.from === 1 && over.to === 2) {
    const fillers = parameters.sharesWith === undefined ? view.fillers(param, { filler: 'bias_init' }) : {}
    return [view.emit('bias', [x], x.dims, withoutStart(fillers, 0), { top: 0, parameters })]
  }
  return [view.emit('add', [x, learned(view, param, 'bias', x, over, parameters, 0)], x.dims, {}, { named: false, top: 0 })]
}

const lrn: Converter = (view) => {
  const param = view.param('lrn_param')
  const size = param.number('local_size', 5)
  if (size % 2 === 0) view.refuse(`its local_size is ${size}; Caffe takes odd ones alone`)
  const within = param.text('norm_region') === 'WITHIN_CHANNEL'
  const k = param.number('k', 1)
  if (within && k !== 1) view.note('changed', `k: ${k} is left out: Caffe adds 1 within channels whatever k says`)
  const x = view.x()
  return [
    view.emit('lrn', [x], x.dims, {
      size,
      alpha: param.number('alpha', 1),
      beta: param.number('beta', 0.75),
      ...(!within && { k }),
      region: within ? 'within' : 'across',
    }, { top: 0 }),
  ]
}

/** (x - mean) / (deviation + eps) of each map, or of all maps of a sample together. */
const mvn: Converter = (view) => {
  const param = view.param('mvn_param')
  const x = view.x()
  const first = param.flag('across_channels', false) ? 1 : 2
  const axes = x.dims.map((_, i) => i + 1).filter((axis) => axis >= first)
  if (axes.length === 0) view.refuse('a channel has one number: nothing is left of it')
  const kept = x.dims.map((dim, i) => (i + 1 >= first ? 1 : dim))
  const mean = (of: Blob): Blob => view.emit('reduce_mean', [of], kept, { axes, keep: true }, { named: false })
  const inner = { named: false }
  if (!param.flag('normalize_variance', true)) return [view.emit('sub', [x, mean(x)], x.dims, {}, { top: 0 })]
  const centred = view.emit('sub', [x, mean(x)], x.dims, {}, inner)
  const variance = mean(view.emit('mul', [centred, centred], x.dims, {}, inner))
  const deviation = view.emit('add', [view.emit('sqrt', [variance], kept, {}, inner), param.number('eps', 1e-9)], kept, {}, inner)
  return [view.emit('div', [centred, deviation], x.dims, {}, { top: 0 })]
}

export const normalizationConverters: Readonly<Record<string, Converter>> = {
  Scale: scale,
  Bias: bias,
  LRN: lrn,
  MVN: mvn,
}
