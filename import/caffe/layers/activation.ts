import type { Argument } from '../../model-net.ts'
import type { LayerView } from '../layer-view.ts'
import type { Message } from '../message.ts'
import type { Converter } from './converter.ts'

/** A function of each element. */
const plain = (op: string, args: (view: LayerView) => Readonly<Record<string, Argument>> = () => ({})): Converter => (view) => [
  view.emit(op, [view.x()], view.x().dims, args(view), { top: 0 }),
]

const relu: Converter = (view) => {
  const slope = view.param('relu_param').number('negative_slope', 0)
  return slope === 0 ? plain('relu')(view) : plain('leaky_relu', () => ({ slope }))(view)
}

const prelu: Converter = (view) => {
  const param = view.param('prelu_param')
  const x = view.x()
  const shared = param.flag('channel_shared', false)
  const filler = param.message('filler')
  if (filler && filler.text('type', 'constant') !== 'constant' && !view.fileBlobs()) {
    view.note('differs', `its slopes start with ${filler.text('type')}; here with 0.25`)
  }
  const slope = filler?.text('type', 'constant') === 'constant' ? filler.number('value', 0) : 0.25
  const parameters = view.parameters([['slope', shared ? [1] : [x.dims[0] ?? 1]]])
  return [view.emit('prelu', [x], x.dims, { shared, ...(!parameters.parameters && { slope }) }, { top: 0, parameters })]
}

const dropout: Converter = (view) => plain('dropout', () => ({ p: view.param('dropout_param').number('dropout_ratio', 0.5) }))(view)

type Step = readonly [op: string, args: Readonly<Record<string, Argument>>, before?: number, after?: number]
const times = (factor: number): readonly Step[] => (factor === 1 ? [] : [['mul', {}, undefined, factor]])
const plus = (term: number): readonly Step[] => (term === 0 ? [] : [['add', {}, undefined, term]])

/** (shift + scale x)^power; where power or scale is 0, the same number everywhere. */
const power: Converter = (view) => {
  const param = view.param('power_param')
  const [p, scale, shift] = [param.number('power', 1), param.number('scale', 1), param.number('shift', 0)]
  if (p * scale === 0) return [view.chain(view.x(), [['mul', {}, undefined, 0], ['add', {}, undefined, p === 0 ? 1 : shift ** p]])]
  return [view.chain(view.x(), [...times(scale), ...plus(shift), ...(p === 1 ? [] : [['pow', { exponent: p }] as const])])]
}

/** The logarithm of the base; -1 stands for e. */
function logBase(view: LayerView, param: Message): number {
  const base = param.number('base', -1)
  if (base === -1) return 1
  if (!(base > 0) || base === Infinity) view.refuse(`its base is ${base}`, 'a base is positive, or -1 for e')
  return Math.log(base)
}

/** base^(shift + scale x) = exp(ln base scale x) base^shift */
const exp: Converter = (view) => {
  const param = view.param('exp_param')
  const [log, base, shift] = [logBase(view, param), param.number('base', -1), param.number('shift', 0)]
  return [
    view.chain(view.x(), [
      ...times(log * param.number('scale', 1)),
      ['exp', {}],
      ...times(shift === 0 ? 1 : (base === -1 ? Math.exp(shift) : base ** shift)),
    ]),
  ]
}

/** ln(shift + scale x) / ln base */
const log: Converter = (view) => {
  const param = view.param('log_param')
  const base = logBase(view, param)
  if (base === 0) view.refuse('there is no logarithm of base 1')
  return [view.chain(view.x(), [...times(param.number('scale', 1)), ...plus(param.number('shift', 0)), ['log', {}], ...times(1 / base)])]
}

/** x sigmoid(beta x) */
const swish: Converter = (view) => {
  const beta = view.param('swish_param').number('beta', 1)
  const x = view.x()
  if (beta === 1) return plain('silu')(view)
  const scaled = view.emit('mul', [x, beta], x.dims, {}, { named: false })
  const gate = view.emit('sigmoid', [scaled], x.dims, {}, { named: false })
  return [view.emit('mul', [x, gate], x.dims, {}, { top: 0 })]
}

const clip: Converter = (view) => {
  const param = view.param('clip_param')
  const [lo, hi] = [param.number('min'), param.number('max')]
  if (lo === undefined || hi === undefined) return view.refuse('it needs min and max')
  return plain('clip', () => ({ lo, hi }))(view)
}

export const activationConverters: Readonly<Record<string, Converter>> = {
  ReLU: relu,
  ReLU6: plain('clip', () => ({ lo: 0, hi: 6 })),
  PReLU: prelu,
  ELU: plain('elu', (view) => ({ alpha: view.param('elu_param').number('alpha', 1) })),
  Sigmoid: plain('sigmoid'),
  TanH: plain('tanh'),
  BNLL: plain('softplus'),
  AbsVal: plain('abs'),
  Dropout: dropout,
  Power: power,
  Exp: exp,
  Log: log,
  Swish: swish,
  Mish: plain('mish'),
  Clip: clip,
}
