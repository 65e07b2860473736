import type { Group, ManualPage } from './page.ts'

/** Element by element. Formulas and gradients are of a form that the tests can compute. */
const activation = (formula: string, gradient: string, call: string, more: Partial<ManualPage> = {}): ManualPage => ({
  shape: 'x [n, ...] -> y of the same shape',
  formula: [`y = ${formula}`],
  gradient: [`dx = ${gradient}`],
  example: ['input x: f32[8, 16, 16]', `output y = x -> conv(8, 3) -> ${call}`],
  ...more,
})

export const activations: Group = {
  title: 'Activations',
  file: 'activations',
  intro:
    'Functions of each element. They are fused into the layer in front, in training too. Where x is NaN, so are the value and the gradient.',
  pages: {
    relu: activation('max(x, 0)', 'dy where x > 0, else 0', 'relu', { see: ['leaky_relu', 'clip'] }),
    leaky_relu: activation('x where x > 0, else slope * x', 'dy where x > 0, else slope * dy', 'leaky_relu(0.1)', {
      notes: ["Darknet's `leaky` has slope 0.1, Keras' 0.3."],
      see: ['relu', 'prelu'],
    }),
    prelu: {
      shape: 'x [n, C, ...] -> y of the same shape',
      parameters: ['slope [C], or [1] with shared'],
      formula: ['y = x where x > 0, else slope[c] * x'],
      gradient: ['dx = dy where x > 0, else slope[c] * dy', 'dslope[c] = sum of dy x where x <= 0'],
      absent: { weights: 'parameters of its own' },
      example: ['input x: f32[8, 16, 16]', 'output y = x -> conv(8, 3) -> prelu'],
      notes: ['He et al. 2015.'],
      see: ['leaky_relu'],
    },
    elu: activation('x where x > 0, else alpha * (exp(x) - 1)', 'dy where x > 0, else alpha * exp(x) * dy', 'elu'),
    sigmoid: activation('1 / (1 + exp(-x))', 'dy * y * (1 - y)', 'sigmoid', {
      notes: ['In front of a loss write `sigmoid_loss` of the scores instead.'],
      see: ['sigmoid_loss', 'hard_sigmoid'],
    }),
    tanh: activation('tanh(x)', 'dy * (1 - y * y)', 'tanh'),
    softplus: activation('log(1 + exp(x))', 'dy / (1 + exp(-x))', 'softplus', {
      notes: ["Caffe's BNLL. Computed so that nothing overflows."],
    }),
    silu: activation('x / (1 + exp(-x))', 'dy * (s + x * s * (1 - s)), s = 1 / (1 + exp(-x))', 'silu', {
      notes: ['Also called swish.'],
      see: ['hard_swish'],
    }),
    gelu: activation('x * (1 + erf(x / sqrt(2))) / 2', 'dy * ((1 + erf(x / sqrt(2))) / 2 + x * exp(-x * x / 2) / sqrt(2 * pi))', 'gelu', {
      formula: [
        'y = x * (1 + erf(x / sqrt(2))) / 2',
        'approximate: tanh: y = x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x))) / 2',
      ],
    }),
    mish: activation(
      'x * tanh(log(1 + exp(x)))',
      'dy * (t + x * (1 - t * t) / (1 + exp(-x))), t = tanh(log(1 + exp(x)))',
      'mish',
      { notes: ['Misra 2019. Computed of one exponential that cannot overflow.'], see: ['silu', 'softplus'] },
    ),
    selu: activation(
      's * x where x > 0, else s * a * (exp(x) - 1), s = 1.0507009873554805, a = 1.6732632423543772',
      'dy * s where x > 0, else dy * s * a * exp(x), s = 1.0507009873554805, a = 1.6732632423543772',
      'selu',
      {
        notes: ['Klambauer et al. 2017, with weights of variance 1 / fan_in, which `xavier` gives: it is no rectifier for fillers.'],
        see: ['elu', 'celu'],
      },
    ),
    celu: activation('x where x > 0, else alpha * (exp(x / alpha) - 1)', 'dy where x > 0, else exp(x / alpha) * dy', 'celu', {
      notes: ['With alpha 1 it is `elu`.'],
      see: ['elu', 'selu'],
    }),
    softsign: activation('x / (1 + abs(x))', 'dy / ((1 + abs(x)) * (1 + abs(x)))', 'softsign', { see: ['tanh'] }),
    erf: activation('erf(x)', 'dy * 2 / sqrt(pi) * exp(-x * x)', 'erf', { see: ['gelu'] }),
    thresholded_relu: activation('x where x > alpha, else 0', 'dy where x > alpha, else 0', 'thresholded_relu(0.5)', { see: ['relu'] }),
    hard_sigmoid: activation(
      'min(max(alpha * x + beta, 0), 1)',
      'alpha * dy where alpha * x + beta > 0 and alpha * x + beta < 1, else 0',
      'hard_sigmoid',
      {
        notes: ["PyTorch's by default; that of older Keras is `hard_sigmoid(alpha: 0.2)`, as is ONNX'."],
        see: ['sigmoid', 'hard_swish'],
      },
    ),
    hard_swish: activation('x * min(max(x + 3, 0), 6) / 6', 'dy * g, g = 0 where x <= -3, 1 where x >= 3, else x / 3 + 0.5', 'hard_swish', {
      see: ['silu', 'hard_sigmoid'],
    }),
    clip: activation('min(max(x, lo), hi)', 'dy where x >= lo and x <= hi, else 0', 'clip(0, 6)', {
      notes: ['`clip(0, 6)` is relu6.'],
      see: ['relu'],
    }),
  },
}
