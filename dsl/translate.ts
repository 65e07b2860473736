import type { Parameter, Signature, Synonym } from './signature.ts'

/*
 * Arguments by the names that other frameworks have for them. Where the same thing is counted from the other end there (what is kept
 * instead of what is dropped), the number changes with the name.
 */

/** Arguments by name, as they are written. */
export type Given = ReadonlyMap<string, string>

/** An argument here, if the call has it. */
type Own = (name: string, value: string) => Translated | undefined

/** The translation of an argument: arguments here (none: it says nothing here), or a layer behind. */
export type Translated = { readonly named: Readonly<Record<string, string>> } | { readonly behind: string }

/** Names of arguments in other frameworks and formats, and the arguments here that they may mean. */
export const ARGUMENTS_ELSEWHERE: ReadonlyMap<string, readonly string[]> = new Map(Object.entries({
  kernel_size: ['kernel', 'size'],
  ksize: ['kernel'],
  size: ['kernel', 'factor', 'size'],
  window: ['kernel', 'size'],
  kernel_shape: ['kernel'],
  pool_size: ['kernel'],
  kernel_h: ['kernel'],
  kernel_w: ['kernel'],
  stride: ['factor', 'block'],
  stride_h: ['stride'],
  stride_w: ['stride'],
  pad_h: ['pad'],
  pad_w: ['pad'],
  padding: ['pad'],
  pads: ['pad'],
  auto_pad: ['pad'],
  strides: ['stride'],
  dilations: ['dilation'],
  dilation_rate: ['dilation'],
  group: ['groups'],
  out_channels: ['out'],
  out_features: ['out'],
  num_output: ['out'],
  filters: ['out'],
  channels: ['out'],
  units: ['out'],
  output: ['out'],
  outputs: ['out'],
  output_padding: ['output_pad'],
  use_bias: ['bias'],
  bias_term: ['bias'],
  with_bias: ['bias'],
  epsilon: ['eps'],
  negative_slope: ['slope'],
  alpha: ['slope', 'decay'],
  rho: ['decay', 'momentum'],
  b1: ['beta1'],
  b2: ['beta2'],
  scale_factor: ['factor'],
  kernel_initializer: ['weight_init'],
  weight_filler: ['weight_init'],
  bias_filler: ['bias_init'],
  bias_initializer: ['bias_init'],
  learning_rate: ['lr'],
  base_lr: ['lr'],
  l2: ['weight_decay'],
  decay_rate: ['gamma'],
  ignore_index: ['ignore'],
  ignore_label: ['ignore'],
  dim: ['axis'],
  loss_weight: ['weight'],
  rate: ['lr', 'p'],
  dropout_ratio: ['p'],
  keep_prob: ['p'],
  probability: ['p'],
  local_size: ['size'],
  step_size: ['every'],
  stepsize: ['every'],
  milestones: ['at'],
  stepvalue: ['at'],
  beta_1: ['beta1'],
  beta_2: ['beta2'],
  min_val: ['lo'],
  max_val: ['hi'],
  min_value: ['lo'],
  max_value: ['hi'],
  min: ['lo'],
  max: ['hi'],
  stddev: ['std'],
  num_classes: ['out'],
  rounding_mode: ['round'],
  ceil_mode: ['round'],
  start: ['from'],
  end: ['to'],
  target_shape: ['dims'],
  shape: ['dims'],
  k: ['top'],
  interpolation: ['mode'],
  coef: ['coeff'],
  max_norm: ['clip_gradients'],
  clipnorm: ['clip_gradients'],
  t_max: ['max_iter'],
  total_steps: ['max_iter'],
  decay_steps: ['max_iter'],
}))

/** Arguments that say nothing here: they are known without being said, or belong to another place. */
const NEEDLESS: ReadonlySet<string> = new Set([
  'in_channels',
  'in_features',
  'num_features',
  'num_parameters',
  'input_shape',
  'input_dim',
  'inplace',
  'in_place',
  'data_format',
  'dtype',
  'device',
  'track_running_stats',
  'engine',
  'storage_order',
])

const isWord = (value: string, words: RegExp): boolean => words.test(value.replaceAll('"', ''))

/** Arguments whose values are others here, whoever has them. Undefined where the value is not understood. */
const VALUES: ReadonlyMap<string, (value: string, own: Own) => Translated | undefined> = new Map(Object.entries({
  padding: padding,
  pads: padding,
  auto_pad: padding,
  keep_prob: (value: string, own: Own) => own('p', complement(value)),
  ceil_mode: (value: string, own: Own) => (isWord(value, /^(true|1)$/i) ? own('round', 'ceil') : { named: {} }),
  rounding_mode: (value: string, own: Own) => own('round', unquoted(value)),
  activation: (
    value: string,
  ) => (isWord(value, /^(linear|none|null)$/i) ? { named: {} } : { behind: ACTIVATIONS.get(unquoted(value)) ?? unquoted(value) }),
  batch_normalize: (value: string) => (value === '0' || value === 'false' ? { named: {} } : { behind: 'batch_norm' }),
  reduction: (
    value: string,
    own: Own,
  ) => (isWord(value, /^sum$/i) ? own('normalization', 'none') : isWord(value, /^mean$/i) ? { named: {} } : undefined),
  size_average: (value: string, own: Own) => (isWord(value, /^false$/i) ? own('normalization', 'none') : { named: {} }),
  betas: (value: string, own: Own) => {
    const [first, second] = /^\s*[[(]([^,]+),([^,]+)[\])]\s*$/.exec(value)?.slice(1) ?? []
    return first === undefined || second === undefined ? undefined : together(own('beta1', first.trim()), own('beta2', second.trim()))
  },
  l1: (value: string, own: Own) => together(own('weight_decay', value), own('regularize', 'l1')),
  trainable: (value: string, own: Own) => (isWord(value, /^(false|0)$/i) ? own('lr_mult', '0') : { named: {} }),
  interpolation: (value: string, own: Own) => own('mode', isWord(value, /linear/i) ? 'bilinear' : 'nearest'),
}))

/** Two arguments that are one elsewhere, where a call has both. */
const together = (one: Translated | undefined, other: Translated | undefined): Translated | undefined =>
  one && other && 'named' in one && 'named' in other ? { named: { ...one.named, ...other.named } } : undefined

/** Activations that a layer has within itself elsewhere. */
const ACTIVATIONS: ReadonlyMap<string, string> = new Map([
  ['leaky', 'leaky_relu(slope: 0.1)'],
  ['logistic', 'sigmoid'],
  ['swish', 'silu'],
  ['relu6', 'clip(0, 6)'],
  ['hswish', 'hard_swish'],
  ['hsigmoid', 'hard_sigmoid'],
])
const unquoted = (value: string): string => value.replaceAll('"', '').toLowerCase()

function padding(value: string, own: Own): Translated | undefined {
  if (isWord(value, /^(valid|notset)$/i)) return { named: {} }
  return own('pad', isWord(value, /^same(_upper)?$/i) ? 'same' : value)
}

/** 1 - x, worked out where x is a number. */
export const complement = (
  value: string,
): string => (/^[\d.e+-]+$/i.test(value) && Number.isFinite(Number(value)) ? String(Number((1 - Number(value)).toPrecision(12)))
  : `1 - ${value}`)

const parameterOf = (signature: Signature, name: string): Parameter | undefined =>
  signature.parameters.find((p) => p.name === name || p.aliases?.includes(name))

/** An argument of a call of another framework as it is written here. Undefined: it has no counterpart. `synonym`: of the call. */
export function translateArgument(
  signature: Signature,
  name: string,
  value: string,
  given: Given,
  synonym?: Synonym,
): Translated | undefined {
  const special = synonym?.arguments && Object.hasOwn(synonym.arguments, name) ? synonym.arguments[name] : undefined
  if (special !== undefined) return { named: typeof special === 'function' ? withoutAbsent(special(value, given)) : { [special]: value } }
  const own: Own = (here, text) => (parameterOf(signature, here) ? { named: { [here]: text } } : undefined)
  const parameter = parameterOf(signature, name)
  if (parameter) return { named: { [parameter.name]: wordText(parameter, value) } }
  // TensorFlow.js: kernelSize.
  const lower = name.replace(/([a-z])([A-Z])/g, '$1_$2').toLowerCase()
  const change = VALUES.get(lower)
  if (change) return change(value, own)
  const here = ARGUMENTS_ELSEWHERE.get(lower)?.find((n) => parameterOf(signature, n))
  if (here !== undefined) return { named: { [here]: wordText(parameterOf(signature, here)!, value) } }
  return NEEDLESS.has(lower) ? { named: {} } : undefined
}

const withoutAbsent = (all: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))

/** Words stand without quotes, and are small. */
const wordText = ({ type }: Parameter, value: string): string => (type.kind === 'word' ? unquoted(value) : value)
