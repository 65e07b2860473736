import type { ImportProblem } from '../import-error.ts'
import { type FieldValue, Message } from './message.ts'

/*
 * Definitions of Caffe's first years in today's words, as its upgrade_proto.cpp does: `layers { layer { type: "conv" } }` (V0),
 * `layers { type: CONVOLUTION }` (V1), `input: "data" input_dim: 1`.
 */

/** V1's types whose new name is not made of the same words. */
const V1_TYPES: Readonly<Record<string, string>> = {
  ABSVAL: 'AbsVal',
  ARGMAX: 'ArgMax',
  BNLL: 'BNLL',
  HDF5_DATA: 'HDF5Data',
  HDF5_OUTPUT: 'HDF5Output',
  LRN: 'LRN',
  MVN: 'MVN',
  RELU: 'ReLU',
  SOFTMAX_LOSS: 'SoftmaxWithLoss',
  TANH: 'TanH',
}

const V0_TYPES: Readonly<Record<string, string>> = {
  accuracy: 'Accuracy',
  bnll: 'BNLL',
  concat: 'Concat',
  conv: 'Convolution',
  data: 'Data',
  dropout: 'Dropout',
  euclidean_loss: 'EuclideanLoss',
  flatten: 'Flatten',
  hdf5_data: 'HDF5Data',
  hdf5_output: 'HDF5Output',
  im2col: 'Im2col',
  images: 'ImageData',
  infogain_loss: 'InfogainLoss',
  innerproduct: 'InnerProduct',
  lrn: 'LRN',
  multinomial_logistic_loss: 'MultinomialLogisticLoss',
  pool: 'Pooling',
  relu: 'ReLU',
  sigmoid: 'Sigmoid',
  softmax: 'Softmax',
  softmax_loss: 'SoftmaxWithLoss',
  split: 'Split',
  tanh: 'TanH',
  window_data: 'WindowData',
}

/** The message that holds the parameters of a V0 type, and what its fields are called there. */
const V0_PARAMS: Readonly<Record<string, readonly [param: string, message: string, fields: Readonly<Record<string, string>>]>> = {
  conv: ['convolution_param', 'ConvolutionParameter', {
    num_output: 'num_output',
    biasterm: 'bias_term',
    weight_filler: 'weight_filler',
    bias_filler: 'bias_filler',
    pad: 'pad',
    kernelsize: 'kernel_size',
    group: 'group',
    stride: 'stride',
  }],
  innerproduct: ['inner_product_param', 'InnerProductParameter', {
    num_output: 'num_output',
    biasterm: 'bias_term',
    weight_filler: 'weight_filler',
    bias_filler: 'bias_filler',
  }],
  pool: ['pooling_param', 'PoolingParameter', { pad: 'pad', kernelsize: 'kernel_size', stride: 'stride', pool: 'pool' }],
  dropout: ['dropout_param', 'DropoutParameter', { dropout_ratio: 'dropout_ratio' }],
  lrn: ['lrn_param', 'LRNParameter', { local_size: 'local_size', alpha: 'alpha', beta: 'beta', k: 'k' }],
  concat: ['concat_param', 'ConcatParameter', { concat_dim: 'concat_dim' }],
  infogain_loss: ['infogain_loss_param', 'InfogainLossParameter', { source: 'source' }],
  data: ['data_param', 'DataParameter', { source: 'source', batchsize: 'batch_size', rand_skip: 'rand_skip' }],
  hdf5_data: ['hdf5_data_param', 'HDF5DataParameter', { source: 'source', batchsize: 'batch_size' }],
  images: ['image_data_param', 'ImageDataParameter', {
    source: 'source',
    batchsize: 'batch_size',
    rand_skip: 'rand_skip',
    shuffle_images: 'shuffle',
    new_height: 'new_height',
    new_width: 'new_width',
  }],
  window_data: ['window_data_param', 'WindowDataParameter', {
    source: 'source',
    batchsize: 'batch_size',
    det_fg_threshold: 'fg_threshold',
    det_bg_threshold: 'bg_threshold',
    det_fg_fraction: 'fg_fraction',
    det_context_pad: 'context_pad',
    det_crop_mode: 'crop_mode',
  }],
}

const V0_TRANSFORM: Readonly<Record<string, string>> = { scale: 'scale', meanfile: 'mean_file', cropsize: 'crop_size', mirror: 'mirror' }
const OLD_TRANSFORM = ['scale', 'mean_file', 'crop_size', 'mirror']
const EMPTY = new Message('', 0, new Map())

/** A net in today's definition: `layer` alone, inputs as layers of type Input. */
export function upgradeNet(file: string, net: Message, problems: ImportProblem[]): Message {
  const old = net.messages('layers')
  if (old.length > 0 && net.has('layer')) {
    problems.push({
      where: `${file}:${old[0]!.line}`,
      what: 'the net has layers of the old form (`layers`) and of the new (`layer`)',
      mend: 'write all of them in one form; Caffe refuses the mixture too',
    })
  }
  const v1 = withoutPadding(file, old, problems).map((layer) => (layer.has('layer') ? fromV0(file, layer, problems) : layer))
  const layers = [...inputLayers(net), ...v1.map(fromV1), ...net.messages('layer')].map(withTransform)
  return net.with('NetParameter', { layers: undefined, layer: layers, input: undefined, input_dim: undefined, input_shape: undefined })
}

/** A V0 layer of type `padding` is the pad of the convolution or pooling that reads it. */
function withoutPadding(file: string, layers: readonly Message[], problems: ImportProblem[]): readonly Message[] {
  const padding = new Map<string, Message>()
  const kept: Message[] = []
  for (const layer of layers) {
    const v0 = layer.message('layer')
    const own = layer.texts('bottom').map((bottom) => padding.get(bottom))
    for (const top of layer.texts('top')) padding.delete(top)
    if (v0?.text('type') === 'padding') {
      for (const top of layer.texts('top')) padding.set(top, layer)
    } else if (own.some((pad) => pad !== undefined)) {
      const pad = own[0]
      if (!v0 || !['conv', 'pool'].includes(v0.text('type', '')) || own.length > 1 || !pad) {
        problems.push({ where: `${file}:${layer.line}`, what: 'a padding layer is read by what is no convolution and no pooling' })
        continue
      }
      const inner = v0.with('V0LayerParameter', { pad: [pad.sub('layer').number('pad', 0)] })
      kept.push(layer.with('V1LayerParameter', { layer: [inner], bottom: [...pad.texts('bottom')] }))
    } else kept.push(layer)
  }
  return kept
}

function fromV0(file: string, layer: Message, problems: ImportProblem[]): Message {
  const v0 = layer.message('layer')!
  const type = v0.text('type', '')
  const [param, message, fields] = V0_PARAMS[type] ?? ['', '', {}]
  const inner: Record<string, readonly FieldValue[]> = {}
  const transform: Record<string, readonly FieldValue[]> = {}
  for (const name of v0.names()) {
    if (['name', 'type', 'blobs_lr', 'weight_decay', 'hdf5_output_param'].includes(name)) continue
    if (fields[name] !== undefined) inner[fields[name]] = v0.all(name)
    else if (V0_TRANSFORM[name] !== undefined && ['data', 'images', 'window_data'].includes(type))
      transform[V0_TRANSFORM[name]] = v0.all(name)
    else problems.push({ where: `${file}:${v0.line} layer ${v0.text('name', '')}`, what: `a layer of type ${type} has no ${name}` })
  }
  return layer.with('V0', {
    layer: undefined,
    name: v0.all('name'),
    type: V0_TYPES[type] === undefined ? [type] : [V0_TYPES[type]],
    blobs_lr: v0.all('blobs_lr'),
    weight_decay: v0.all('weight_decay'),
    hdf5_output_param: v0.all('hdf5_output_param'),
    ...(param !== '' && { [param]: [EMPTY.with(message, inner)] }),
    ...(Object.keys(transform).length > 0 && { transform_param: [EMPTY.with('TransformationParameter', transform)] }),
  })
}

const typeOfV1 = (type: string): string =>
  V1_TYPES[type] ?? type.toLowerCase().replace(/(^|_)([a-z])/g, (_, _bar, letter: string) => letter.toUpperCase())

function fromV1(layer: Message): Message {
  const list = (name: string): readonly FieldValue[] => layer.all(name)
  const [names, modes, rates, decays] = ['param', 'blob_share_mode', 'blobs_lr', 'weight_decay'].map(list) as [
    readonly FieldValue[],
    readonly FieldValue[],
    readonly FieldValue[],
    readonly FieldValue[],
  ]
  const params = Array.from({ length: Math.max(names.length, modes.length, rates.length, decays.length) }, (_, i) => {
    const given = (values: readonly FieldValue[]): readonly FieldValue[] => values.slice(i, i + 1)
    return EMPTY.with('ParamSpec', { name: given(names), share_mode: given(modes), lr_mult: given(rates), decay_mult: given(decays) })
  })
  const type = layer.text('type', '')
  return layer.with('LayerParameter', {
    type: layer.of === 'V0' || type === '' ? layer.all('type') : [typeOfV1(type)],
    param: params,
    blob_share_mode: undefined,
    blobs_lr: undefined,
    weight_decay: undefined,
  })
}

/** `scale`, `mean_file`, `crop_size` and `mirror` stood in the parameters of data layers before there was transform_param. */
function withTransform(layer: Message): Message {
  const param = ['data_param', 'image_data_param', 'window_data_param'].find((name) => OLD_TRANSFORM.some((f) => layer.sub(name).has(f)))
  if (param === undefined) return layer
  const old = layer.sub(param)
  const moved = Object.fromEntries(OLD_TRANSFORM.filter((name) => old.has(name)).map((name) => [name, old.all(name)]))
  const cleared = Object.fromEntries(OLD_TRANSFORM.map((name) => [name, undefined]))
  return layer.with('LayerParameter', {
    [param]: [old.with(old.of, cleared)],
    transform_param: [layer.sub('transform_param').with('TransformationParameter', moved)],
  })
}

/** `input: "data" input_dim: 1 input_dim: 3 ...`, four a blob, or `input_shape`: a layer of type Input. */
function inputLayers(net: Message): readonly Message[] {
  const names = net.texts('input')
  if (names.length === 0) return []
  const dims = net.numbers('input_dim')
  const shapes = net.has('input_shape') ? net.messages('input_shape')
    : dims.length > 0 ? names.map((_, i) => EMPTY.with('BlobShape', { dim: dims.slice(4 * i, 4 * i + 4) })) : []
  return [
    new Message(
      'LayerParameter',
      net.line,
      new Map<string, readonly FieldValue[]>([
        ['name', ['input']],
        ['type', ['Input']],
        ['top', names],
        ['input_param', [EMPTY.with('ShapesParameter', { shape: shapes })]],
      ]),
    ),
  ]
}
