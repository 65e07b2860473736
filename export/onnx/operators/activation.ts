import { channelShape, float, type Layer, numberOf, type Row } from '../layer.ts'

const plain = (op: string): Row => (layer) => layer.done(op, [layer.input()])
/** Writes an operator with one number of the text as an attribute. */
const withNumber = (op: string, attribute: string, argument: string, otherwise: number): Row => (layer) =>
  layer.done(op, [layer.input()], { [attribute]: float(numberOf(layer, argument, otherwise)) })

const silu: Row = (layer) => layer.done('Mul', [layer.input(), layer.add('sigmoid', 'Sigmoid', [layer.input()])])

const hardSigmoid = (alpha: number, beta: number) => ({ alpha: float(alpha), beta: float(beta) })

/** An operator of its own from opset 14 on. */
const hardSwish: Row = (layer) => {
  if (layer.opset >= 14) return layer.done('HardSwish', [layer.input()])
  layer.done('Mul', [layer.input(), layer.add('gate', 'HardSigmoid', [layer.input()], hardSigmoid(1 / 6, 0.5))])
}

/** An operator of its own from opset 18 on. */
const mish: Row = (layer) => {
  if (layer.opset >= 18) return layer.done('Mish', [layer.input()])
  layer.done('Mul', [layer.input(), layer.add('gate', 'Tanh', [layer.add('softplus', 'Softplus', [layer.input()])])])
}

/** An operator of its own from opset 20 on; before in its parts, as PyTorch exports it. */
const gelu: Row = (layer) => {
  const isTanh = layer.attributes['approximate'] === 'tanh'
  const x = layer.input()
  if (layer.opset >= 20) return layer.done('Gelu', [x], isTanh ? { approximate: 'tanh' } : {})
  const gate = isTanh ? tanhGate(layer, x)
    : layer.add('erf', 'Erf', [layer.add('scaled', 'Div', [x, layer.numbers('root', [Math.SQRT2])])])
  const product = layer.add('product', 'Mul', [x, layer.add('gate', 'Add', [gate, layer.numbers('one', [1])])])
  layer.done('Mul', [product, layer.numbers('half', [0.5])])
}

/** tanh(sqrt(2 / pi) (x + 0.044715 x^3)) */
function tanhGate(layer: Layer, x: string): string {
  const cube = layer.add('cube', 'Mul', [layer.add('square', 'Mul', [x, x]), x])
  const inner = layer.add('inner', 'Add', [x, layer.add('bend', 'Mul', [cube, layer.numbers('bend_by', [0.044715])])])
  return layer.add('tanh', 'Tanh', [layer.add('scaled', 'Mul', [inner, layer.numbers('root', [Math.sqrt(2 / Math.PI)])])])
}

const clip: Row = (layer) =>
  layer.done('Clip', [layer.input(), layer.numbers('lo', [numberOf(layer, 'lo', 0)]), layer.numbers('hi', [numberOf(layer, 'hi', 6)])])

/** A slope a channel, or one for all. */
const prelu: Row = (layer) => {
  const isShared = layer.attributes['shared'] === true
  layer.done('PRelu', [layer.input(), layer.parameter('slope', isShared ? {} : { shape: channelShape(layer.shape) })])
}

const pow: Row = (layer) => {
  const exponent = numberOf(layer, 'exponent', 1)
  layer.done('Pow', [layer.input(), layer.numbers('exponent', [exponent])])
}

export const activationRows: ReadonlyMap<string, Row> = new Map([
  ...[
    'Relu',
    'Sigmoid',
    'Tanh',
    'Softplus',
    'Softsign',
    'Erf',
    'Selu',
    'Neg',
    'Abs',
    'Exp',
    'Log',
    'Sqrt',
    'Reciprocal',
    'Floor',
    'Ceil',
    'Round',
  ].map((op) => [op.toLowerCase(), plain(op)] as const),
  ['leaky_relu', withNumber('LeakyRelu', 'alpha', 'slope', 0.01)],
  ['elu', withNumber('Elu', 'alpha', 'alpha', 1)],
  ['celu', withNumber('Celu', 'alpha', 'alpha', 1)],
  ['thresholded_relu', withNumber('ThresholdedRelu', 'alpha', 'alpha', 1)],
  [
    'hard_sigmoid',
    (layer) => layer.done('HardSigmoid', [layer.input()], hardSigmoid(numberOf(layer, 'alpha', 1 / 6), numberOf(layer, 'beta', 0.5))),
  ],
  ['hard_swish', hardSwish],
  ['silu', silu],
  ['mish', mish],
  ['gelu', gelu],
  ['clip', clip],
  ['prelu', prelu],
  ['pow', pow],
])
