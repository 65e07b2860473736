import type { GoldenLayer } from './golden-file.ts'

/** Losses end in a scalar that is not a blob of the net. */
export const isLoss = (layer: GoldenLayer): boolean => layer.type.endsWith('Loss')

const ACTIVATIONS: Readonly<Record<string, string>> = {
  PReLU: 'prelu',
  Clip: 'clip',
  ELU: 'elu',
  GELU: 'gelu',
  GELUTanh: 'gelu',
  BNLL: 'softplus',
  SiLU: 'silu',
  Sigmoid: 'sigmoid',
  TanH: 'tanh',
  HardSwish: 'hard_swish',
  HardSigmoid: 'hard_sigmoid',
}
const OPERATORS: ReadonlyMap<string, string> = new Map(Object.entries({
  ...ACTIVATIONS,
  Convolution: 'conv',
  Deconvolution: 'deconv',
  InnerProduct: 'fc',
  BatchNorm: 'batch_norm',
  Scale: 'scale',
  Dropout: 'dropout',
  Concat: 'concat',
  Flatten: 'flatten',
  Reshape: 'reshape',
  Slice: 'slice',
  LRN: 'lrn',
  Softmax: 'softmax',
  LogSoftmax: 'log_softmax',
  SoftmaxWithLoss: 'softmax_loss',
  SigmoidCrossEntropyLoss: 'sigmoid_loss',
  EuclideanLoss: 'squared_loss',
  HingeLoss: 'hinge_loss',
}))

/** What the language calls a case's layer. */
export function operatorOf(layer: GoldenLayer): string {
  const a = layer.attrs
  if (layer.type === 'Pooling') return `${a['global_pooling'] ? 'global_' : ''}${a['pool'] === 'max' ? 'max' : 'avg'}_pool`
  if (layer.type === 'ReLU') return a['negative_slope'] ? 'leaky_relu' : 'relu'
  if (layer.type === 'Eltwise') return { sum: 'add', prod: 'mul', max: 'max' }[a['operation'] as string]!
  const operator = OPERATORS.get(layer.type)
  if (operator === undefined) throw new Error(`${layer.name}: what is ${layer.type} in the language?`)
  return operator
}

const pair = (v: readonly number[]): string => `[${v.join(', ')}]`

/** A layer's arguments behind its inputs. `top`: the shape of what it makes; `stats`: the policy of statistics that are kept. */
export function layerArguments(layer: GoldenLayer, top: readonly number[], stats: string): string[] {
  const a = layer.attrs
  switch (layer.type) {
    case 'Convolution':
    case 'Deconvolution': {
      const args = [
        String(a['num_output']),
        pair(a['kernel']),
        `stride: ${pair(a['stride'])}`,
        `pad: ${pair(a['pad'])}`,
        `dilation: ${pair(a['dilation'])}`,
        `groups: ${a['group']}`,
        `bias: ${a['bias_term']}`,
      ]
      if (a['output_padding']) args.push(`output_pad: ${pair(a['output_padding'])}`)
      return args
    }
    case 'InnerProduct':
      return [String(a['num_output']), `bias: ${a['bias_term']}`, ...(a['transpose'] ? ['transpose: true'] : [])]
    case 'BatchNorm': {
      const policy = a['use_global_stats'] ? (layer.param['scale_factor'] ? 'global(scale_factor: true)' : 'global') : stats
      return [`eps: ${a['eps']}`, `affine: ${a['affine']}`, `stats: ${policy}`]
    }
    case 'Scale':
      return [`bias: ${a['bias_term']}`]
    case 'Pooling': {
      if (a['global_pooling']) return []
      const args = [pair(a['kernel']), `stride: ${pair(a['stride'])}`, `pad: ${pair(a['pad'])}`, `round: ${a['round_mode']}`]
      return a['pool'] === 'ave' ? [...args, 'count: caffe'] : args
    }
    case 'ReLU':
      return a['negative_slope'] ? [`slope: ${a['negative_slope']}`] : []
    case 'PReLU':
      return a['channel_shared'] ? ['shared: true'] : []
    case 'Clip':
      return [String(a['min']), String(a['max'])]
    case 'ELU':
      return [`alpha: ${a['alpha']}`]
    case 'GELUTanh':
      return ['approximate: tanh']
    case 'Dropout':
      return [`p: ${a['dropout_ratio']}`]
    case 'Eltwise':
      return a['operation'] === 'sum' && (a['coeff'] as number[] | undefined)?.some((c) => c !== 1) ? [`coeff: ${pair(a['coeff'])}`] : []
    case 'Concat':
      return [`axis: ${a['axis']}`]
    case 'Flatten':
      return [`axis: ${a['axis']}`, `end: ${a['end_axis']}`]
    case 'Reshape':
      return [pair(top)]
    case 'LRN':
      return [
        `size: ${a['local_size']}`,
        `alpha: ${a['alpha']}`,
        `beta: ${a['beta']}`,
        ...(a['norm_region'] === 'within_channel' ? ['region: within'] : [`k: ${a['k']}`]),
      ]
    case 'SoftmaxWithLoss':
    case 'SigmoidCrossEntropyLoss':
      return [
        ...(a['ignore_label'] === null || a['ignore_label'] === undefined ? [] : [`ignore: ${a['ignore_label']}`]),
        `normalization: ${a['normalization']}`,
      ]
    case 'HingeLoss':
      return [`norm: ${a['norm'] === 'L2' ? 2 : 1}`]
    default:
      return []
  }
}

/** What the language calls a parameter of a layer. */
export function parameterRole(layer: GoldenLayer, role: string): string {
  if (layer.type === 'BatchNorm') return { mean: 'running_mean', var: 'running_var' }[role] ?? role
  if (layer.type === 'Scale') return { scale: 'weight' }[role] ?? role
  return role
}

/** Roles in the order in which a layer's rates name them. */
const RATED = ['weight', 'gamma', 'scale', 'slope', 'bias', 'beta']

/** `lr_mult` and `decay_mult` of a layer whose parameters have such, by name. */
export function multiplierArguments(
  layer: GoldenLayer,
  specs: Readonly<Record<string, { lr_mult: number; decay_mult: number }>> | undefined,
): string[] {
  const known = RATED.flatMap((role) => layer.param[role] ?? []).map((name) => specs?.[name])
  if (known.every((spec) => spec === undefined)) return []
  return [`lr_mult: [${known.map((s) => s?.lr_mult ?? 1).join(', ')}]`, `decay_mult: [${known.map((s) => s?.decay_mult ?? 1).join(', ')}]`]
}
