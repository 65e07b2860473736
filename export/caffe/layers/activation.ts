import { type CaffeParams } from '../model.ts'
import { eltwise, type Layer, numberOf, power, type Row } from '../layer.ts'

const plain = (type: string, params: (layer: Layer) => CaffeParams = () => ({})): Row => (layer) =>
  layer.done(type, [layer.input()], params(layer))

/** x times a function of x. */
const gated = (gate: (layer: Layer, x: string) => string): Row => (layer) => {
  const x = layer.input()
  layer.done('Eltwise', [x, gate(layer, x)], eltwise('PROD'))
}

const clip: Row = (layer) => clipped(layer, layer.input(), numberOf(layer, 'lo', 0), numberOf(layer, 'hi', 6))

/** Two ReLU: lo + relu(x - lo), then hi - relu(hi - y). */
function clipped(layer: Layer, x: string, lo: number, hi: number): void {
  layer.done('Power', [aboveAndBelow(layer, x, lo, hi)], power({ scale: -1, shift: hi }))
}

/** hi - min(max(x, lo), hi) */
function aboveAndBelow(layer: Layer, x: string, lo: number, hi: number): string {
  const moved = lo === 0 ? x : layer.add('from_lo', 'Power', [x], power({ shift: -lo }))
  const above = layer.add('above', 'ReLU', [moved])
  return layer.add('below', 'ReLU', [layer.add('to_hi', 'Power', [above], power({ scale: -1, shift: hi - lo }))])
}

/** min(max(alpha x + beta, 0), 1) */
function hardGate(layer: Layer, x: string, alpha: number, beta: number): string {
  return aboveAndBelow(layer, layer.add('line', 'Power', [x], power({ scale: alpha, shift: beta })), 0, 1)
}

const hardSigmoid: Row = (layer) => {
  const below = hardGate(layer, layer.input(), numberOf(layer, 'alpha', 1 / 6), numberOf(layer, 'beta', 0.5))
  layer.done('Power', [below], power({ scale: -1, shift: 1 }))
}

/** x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2. With the error function Caffe has no equal. */
const gelu: Row = (layer) => {
  if (layer.attributes['approximate'] !== 'tanh')
    return layer.fail(
      'Caffe has no error function, of which gelu is made',
      'write gelu(approximate: tanh), which differs by up to 0.0005, or --to onnx',
    )
  const x = layer.input()
  const inner = layer.add('inner', 'Eltwise', [x, layer.add('cube', 'Power', [x], power({ power: 3 }))], eltwise('SUM', [1, 0.044715]))
  const tanh = layer.add('tanh', 'TanH', [layer.add('scaled', 'Power', [inner], power({ scale: Math.sqrt(2 / Math.PI) }))])
  layer.done('Eltwise', [x, layer.add('gate', 'Power', [tanh], power({ scale: 0.5, shift: 0.5 }))], eltwise('PROD'))
}

/** alpha and scale of selu (Klambauer et al. 2017, equation 14). */
const SELU = { alpha: 1.6732632423543772, scale: 1.0507009873554805 } as const

const elu = (alpha: number): CaffeParams => ({ elu_param: { alpha } })

/** alpha elu(x / alpha) */
const celu: Row = (layer) => {
  const alpha = numberOf(layer, 'alpha', 1)
  const inner = layer.add('inner', 'Power', [layer.input()], power({ scale: 1 / alpha }))
  layer.done('Power', [layer.add('elu', 'ELU', [inner], elu(1))], power({ scale: alpha }))
}

const prelu: Row = (layer) => {
  const isShared = layer.attributes['shared'] === true
  const slopes = layer.parameter('slope')
  layer.done('PReLU', [layer.input()], { prelu_param: { channel_shared: isShared } }, {
    blobs: [isShared ? { ...slopes, shape: [] } : slopes],
  })
}

export const activationRows: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['relu', plain('ReLU')],
  ['leaky_relu', plain('ReLU', (layer) => ({ relu_param: { negative_slope: numberOf(layer, 'slope', 0.01) } }))],
  ['prelu', prelu],
  ['elu', plain('ELU', (layer) => elu(numberOf(layer, 'alpha', 1)))],
  ['selu', (layer) => layer.done('Power', [layer.add('elu', 'ELU', [layer.input()], elu(SELU.alpha))], power({ scale: SELU.scale }))],
  ['celu', celu],
  ['sigmoid', plain('Sigmoid')],
  ['tanh', plain('TanH')],
  ['softplus', plain('BNLL')],
  ['abs', plain('AbsVal')],
  ['exp', plain('Exp')],
  ['log', plain('Log')],
  ['sqrt', plain('Power', () => power({ power: 0.5 }))],
  ['neg', plain('Power', () => power({ scale: -1 }))],
  ['reciprocal', plain('Power', () => power({ power: -1 }))],
  ['pow', plain('Power', (layer) => power({ power: numberOf(layer, 'exponent', 1) }))],
  ['clip', clip],
  ['hard_sigmoid', hardSigmoid],
  [
    'hard_swish',
    gated((layer, x) => layer.add('gate', 'Power', [hardGate(layer, x, 1 / 6, 0.5)], power({ scale: -1, shift: 1 }))),
  ],
  ['silu', gated((layer, x) => layer.add('gate', 'Sigmoid', [x]))],
  ['mish', gated((layer, x) => layer.add('gate', 'TanH', [layer.add('softplus', 'BNLL', [x])]))],
  [
    'softsign',
    gated((layer, x) => layer.add('gate', 'Power', [layer.add('size', 'AbsVal', [x])], power({ shift: 1, power: -1 }))),
  ],
  ['gelu', gelu],
])
