import { type GoldenCase, type GoldenLayer, type GoldenTensor, tensorsBelow } from '../../golden/golden-file.ts'
import { caffemodel, type TestBlob } from './caffemodel.ts'

/** A reference case as files of Caffe. */
export interface CaffeFiles {
  readonly prototxt: string
  readonly solver?: string
  readonly weights?: Uint8Array
}

/** Types whose field is called after them otherwise than by their words. */
const PARAMS: Readonly<Record<string, string>> = {
  Convolution: 'convolution_param',
  Deconvolution: 'convolution_param',
  Pooling: 'pooling_param',
  InnerProduct: 'inner_product_param',
  LRN: 'lrn_param',
  ReLU: 'relu_param',
  PReLU: 'prelu_param',
  ELU: 'elu_param',
  Clip: 'clip_param',
  Dropout: 'dropout_param',
  Eltwise: 'eltwise_param',
  Concat: 'concat_param',
  Slice: 'slice_param',
  Flatten: 'flatten_param',
  Softmax: 'softmax_param',
  Scale: 'scale_param',
  HingeLoss: 'hinge_loss_param',
}

/** Types of the reference cases that Caffe has not. */
const NONE = new Set(['GELU', 'GELUTanh', 'HardSigmoid', 'HardSwish', 'LogSoftmax'])

/** The case in prototxt and caffemodel; undefined where Caffe has no words for it, or needs more than a sample at a time. */
export function caffeFiles(golden: GoldenCase): CaffeFiles | undefined {
  if (golden.layers.some((layer) => NONE.has(layer.type) || layer.attrs['output_padding'] !== undefined)) return undefined
  const made = new Set(golden.layers.flatMap(({ top }) => top))
  const inputs = [...new Set(golden.layers.flatMap(({ bottom }) => bottom))].filter((name) => !made.has(name))
  const isTraining = golden.kind === 'train'
  const head = inputs.map((name) => {
    const { shape } = golden.tensors.get(`in.${name}`)!
    const dims = isTraining ? shape.slice(1) : shape
    return `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${dims.map((dim) => `dim: ${dim}`).join(' ')} } } }`
  })
  const layers = golden.layers.map((layer) => layerText(layer, golden))
  const blobs = golden.layers.flatMap((layer) => {
    const own = blobsOf(layer, golden)
    return own.length > 0 ? [{ name: layer.name, blobs: own }] : []
  })
  return {
    prototxt: `name: "${golden.name}"\n${[...head, ...layers].join('\n')}\n`,
    ...(isTraining && { solver: solverText(golden.meta['solver'], golden.meta['steps']) }),
    ...(blobs.length > 0 && { weights: caffemodel(blobs) }),
  }
}

function layerText(layer: GoldenLayer, golden: GoldenCase): string {
  const names = layer.bottom.map((name) => `bottom: "${name}"`).concat(layer.top.map((name) => `top: "${name}"`))
  const specs = golden.meta['param_specs'] as Readonly<Record<string, { lr_mult: number; decay_mult: number }>> | undefined
  const shared = golden.layers.filter((other) => Object.values(other.param).some((p) => Object.values(layer.param).includes(p))).length > 1
  const params = Object.values(layer.param).map((name) => {
    const spec = specs?.[name]
    return `param { ${shared ? `name: "${name}" ` : ''}${spec ? `lr_mult: ${spec.lr_mult} decay_mult: ${spec.decay_mult}` : ''} }`
  })
  return `layer { name: "${layer.name}" type: "${typeOf(layer)}" ${names.join(' ')} ${
    layer.type === 'BatchNorm' && layer.attrs['affine'] !== true ? '' : params.join(' ')
  } ${paramText(layer, golden)} }`
}

const typeOf = ({ type }: GoldenLayer): string => (type === 'SiLU' ? 'Swish' : type)

function paramText({ type, attrs }: GoldenLayer, golden: GoldenCase): string {
  if (type === 'BatchNorm') {
    const stats = golden.meta['stats'] as { policy: string; options: Record<string, number> } | undefined
    const kept = attrs['affine'] === true ? (stats?.options['decay'] === undefined ? 'decay: 0.95' : `decay: ${stats.options['decay']}`)
      : stats ? `moving_average_fraction: ${stats.options['moving_average_fraction']}` : ''
    return `batch_norm_param { ${kept} eps: ${attrs['eps']} ${attrs['use_global_stats'] === true ? 'use_global_stats: true' : ''} }`
  }
  if (type === 'Reshape') return `reshape_param { shape { ${(attrs['dim'] as number[]).map((dim) => `dim: ${dim}`).join(' ')} } }`
  if (type === 'SoftmaxWithLoss' || type === 'SigmoidCrossEntropyLoss') {
    const ignore = attrs['ignore_label'] as number | null
    return `loss_param { normalization: ${String(attrs['normalization']).toUpperCase()} ${
      ignore === null ? '' : `ignore_label: ${ignore}`
    } }`
  }
  const param = PARAMS[type]
  return param === undefined ? '' : `${param} { ${Object.entries(attrs).map(([name, value]) => fieldText(name, value)).join(' ')} }`
}

function fieldText(name: string, value: unknown): string {
  if (value === null) return ''
  if (name === 'coeff' && Array.isArray(value) && value.every((v) => v === 1)) return ''
  if (name === 'kernel' || name === 'stride' || name === 'pad' || name === 'dilation') {
    const [h, w] = value as [number, number]
    const long = name === 'kernel' ? 'kernel_size' : name
    if (h === 0 && name === 'kernel') return ''
    if (h === w || name === 'dilation') return h === w ? `${long}: ${h}` : `${long}: ${h} ${long}: ${w}`
    return `${name}_h: ${h} ${name}_w: ${w}`
  }
  if (Array.isArray(value)) return `${name}: [${value.join(', ')}]`
  return typeof value === 'string' ? `${name}: ${value.toUpperCase()}` : `${name}: ${String(value)}`
}

/** The blobs of a layer in Caffe's order; statistics that a training starts with are zero. */
function blobsOf({ type, attrs, param }: GoldenLayer, golden: GoldenCase): TestBlob[] {
  const blob = (t: GoldenTensor): TestBlob => ({ shape: t.shape, data: t.data })
  const given = (role: string): TestBlob[] => (param[role] === undefined ? [] : [blob(golden.tensors.get(`param.${param[role]}`)!)])
  if (type !== 'BatchNorm') return Object.keys(param).flatMap(given)
  const learned = attrs['affine'] === true ? ['gamma', 'beta'].flatMap(given) : []
  const stored = ['mean', 'var', 'scale_factor'].flatMap(given)
  if (stored.length === 2 && learned.length === 0) stored.push({ shape: [1], data: [1] })
  // Without weights Caffe's own statistics start with 0; Dragon's layer has one list of blobs for all.
  const channels = learned[0]?.shape ?? []
  const zero = { shape: channels, data: new Float32Array(channels[0] ?? 0) }
  return stored.length === 0 && learned.length > 0 ? [...learned, zero, zero] : [...learned, ...stored]
}

function solverText(solver: Readonly<Record<string, any>>, steps: number): string {
  const fields = Object.entries({ max_iter: steps, ...solver }).flatMap(([name, value]) => {
    if (Array.isArray(value)) return value.map((each) => `${name}: ${each}`)
    return typeof value === 'string' ? `${name}: "${value}"` : `${name}: ${value}`
  })
  return `net: "net.prototxt"\n${fields.join('\n')}\n`
}

/** What the net gives that nobody reads: what an import makes its outputs. */
export function finalBlobs(golden: GoldenCase): string[] {
  const read = new Set(golden.layers.flatMap(({ bottom }) => bottom))
  return golden.layers.flatMap(({ top }) => top).filter((name) => !read.has(name))
}

export const inputsOf = (golden: GoldenCase): Map<string, GoldenTensor> => tensorsBelow(golden, 'in.')
