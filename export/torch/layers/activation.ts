import { called, channelsOf, type Layer, numberOf, type Row } from '../layer.ts'
import { code, literal, option } from '../python-code.ts'

/** A function of each value. */
const plain = (name: string): Row => () => ({ value: code`${name}(${0})` })
const method = (name: string): Row => () => ({ value: code`${0}.${name}()` })
const withNumber = (name: string, key: string, argument: string, otherwise: number): Row => (layer) => ({
  value: code`${name}(${0}, ${key}=${literal(numberOf(layer, argument, otherwise), argument)})`,
})

/** The gradient of F.celu takes its alpha as float32, whatever the type (seen in PyTorch 1.13). */
const celu: Row = (layer) => {
  const alpha = numberOf(layer, 'alpha', 1)
  return { value: alpha === 1 ? code`F.celu(${0})` : code`${literal(alpha, 'alpha')} * F.elu(${0} / ${literal(alpha, 'alpha')})` }
}

const clip: Row = (layer) => ({
  value: code`${0}.clamp(${literal(numberOf(layer, 'lo', 0), 'lo')}, ${literal(numberOf(layer, 'hi', 6), 'hi')})`,
})

const prelu: Row = (layer) => called(layer, code`PReLU(${literal(layer.attributes['shared'] === true ? 1 : channelsOf(layer), 'slopes')})`)

const hardSigmoid: Row = (layer) => ({
  value: code`hard_sigmoid(${0}${option('alpha', alphaOf(layer), undefined)}${option('beta', numberOf(layer, 'beta', 0.5), 0.5)})`,
})

/** A sixth is a number that Python computes better than it is written. */
const alphaOf = (layer: Layer): number | undefined => {
  const alpha = numberOf(layer, 'alpha', 1 / 6)
  return Math.fround(alpha) === Math.fround(1 / 6) ? undefined : alpha
}

export const activationRows: ReadonlyMap<string, Row> = new Map([
  ['relu', plain('F.relu')],
  ['leaky_relu', withNumber('F.leaky_relu', 'negative_slope', 'slope', 0.01)],
  ['elu', withNumber('F.elu', 'alpha', 'alpha', 1)],
  ['celu', celu],
  ['selu', plain('F.selu')],
  ['sigmoid', plain('torch.sigmoid')],
  ['tanh', plain('torch.tanh')],
  // torch's own is a straight line from 20 on, which float64 sees.
  ['softplus', () => ({ value: code`F.softplus(${0}, threshold=50)` })],
  ['silu', plain('F.silu')],
  ['gelu', (layer) => ({ value: code`F.gelu(${0}${option('approximate', String(layer.attributes['approximate'] ?? 'none'), 'none')})` })],
  ['mish', plain('F.mish')],
  ['softsign', plain('F.softsign')],
  ['erf', plain('torch.erf')],
  ['thresholded_relu', (layer) => ({ value: code`thresholded_relu(${0}, ${literal(numberOf(layer, 'alpha', 1), 'alpha')})` })],
  ['hard_sigmoid', hardSigmoid],
  ['hard_swish', plain('F.hardswish')],
  ['clip', clip],
  ['prelu', prelu],
  ['neg', () => ({ value: code`-${0}` })],
  ['abs', method('abs')],
  ['exp', method('exp')],
  ['log', method('log')],
  ['sqrt', method('sqrt')],
  ...['reciprocal', 'floor', 'ceil', 'round'].map((name): [string, Row] => [name, method(name)]),
  ['pow', (layer) => ({ value: code`${0} ** ${literal(numberOf(layer, 'exponent', 1), 'exponent')}` })],
])
