import type { Argument } from '../../model-net.ts'
import type { LayerView } from '../layer-view.ts'
import type { Message } from '../message.ts'
import type { Blob } from '../net-builder.ts'
import type { Converter } from './converter.ts'

/*
 * Batch normalization in the spellings that Caffes have, told apart by fields and by how many blobs the weights have:
 *   BVLC's    BatchNorm: sums of means and variances and their factor; a Scale follows            -> batch_norm(affine: false) -> scale
 *   Dragon's  BatchNorm with `decay`: gamma, beta, mean, variance in one layer                     -> batch_norm
 *   BN of later Dragons (`batch_norm_param`): mean, variance, gamma, beta                          -> batch_norm
 */

const batchNorm: Converter = (view) => {
  const param = view.param('batch_norm_param')
  const count = view.fileBlobs()?.length
  const merged = count === undefined ? param.has('decay') : count === 4
  if (count !== undefined && count !== 3 && count !== 4) {
    view.refuse(
      `its weights have ${count} blobs; Caffe's BatchNorm has 3 (mean, variance, factor), Dragon's 4 (gamma, beta, mean, variance)`,
      'this is the BatchNorm of another Caffe: convert the weights to one of the two',
    )
  }
  if (param.has('decay') && param.has('moving_average_fraction'))
    view.refuse('it has decay and moving_average_fraction', 'leave one of them')
  if (param.has('decay') && count === 3) {
    view.refuse(
      "it has decay, as Dragon's merged layer, and its weights 3 blobs, as Caffe's",
      'say moving_average_fraction: f in place of decay: 1 - f',
    )
  }
  if (param.has('moving_average_fraction') && merged) {
    view.refuse(
      "it has moving_average_fraction, as Caffe's, and its weights 4 blobs, as Dragon's merged layer",
      'say decay: 1 - f in place of moving_average_fraction: f',
    )
  }
  return [merged ? mergedNorm(view, param) : splitNorm(view, param)]
}

/** `use_global_stats` of both phases: undefined where it is what each phase does by itself. */
function globalStats(view: LayerView, param: Message): boolean | undefined {
  const given = param.flag('use_global_stats')
  if (given === undefined || !view.layer.twin) return given
  // A layer for each phase: statistics of the batch in one, the stored ones in the other, is what a layer does by itself.
  const test = view.layer.twin.sub('batch_norm_param').flag('use_global_stats') ?? true
  return given === test ? given : undefined
}

const channelsOf = ({ dims }: Blob): number => dims[0] ?? 1

function splitNorm(view: LayerView, param: Message): Blob {
  const x = view.x()
  view.net.styles.add('split')
  const stored = globalStats(view, param)
  const stats: Argument = stored === true ? { call: 'global', arguments: { scale_factor: true } }
    : stored === false ? 'batch'
    : { call: 'caffe', arguments: { fraction: param.number('moving_average_fraction', 0.999) } }
  const channels = channelsOf(x)
  const tensors = view.tensors([['running_mean', [channels]], ['running_var', [channels]], ['scale_factor', [1]]])
  if (stored === false)
    view.note(
      'changed',
      'use_global_stats: false in both phases: every batch is normalized with its own statistics, the stored ones are left out',
    )
  return view.emit('batch_norm', [x], x.dims, {
    eps: param.number('eps', 1e-5),
    stats,
    affine: false,
    ...(stored === undefined && { unbiased: true }),
  }, { top: 0, parameters: { arguments: {}, ...(tensors && stored !== false && { parameters: tensors }) } })
}

/** Nothing in a file says what its blobs are: who knows another order can tell by this. */
const BLOBS = 'the four blobs of each merged BatchNorm are read as gamma, beta, mean, variance'

function mergedNorm(view: LayerView, param: Message): Blob {
  const x = view.x()
  view.net.styles.add('merged')
  const stored = globalStats(view, param)
  const stats: Argument = stored === true ? 'global' : stored === false ? 'batch'
    : { call: 'moving', arguments: { newest: param.number('decay', 0.95) } }
  const channels = channelsOf(x)
  const specs = view.message.messages('param')
  const rates = (name: string): Record<string, Argument> => {
    const both = [0, 1].map((i) => specs[i]?.number(name, 1) ?? 1)
    return both.some((rate) => rate !== 1) ? { [name]: both } : {}
  }
  const tensors = view.tensors([['gamma', [channels]], ['beta', [channels]], ['running_mean', [channels]], ['running_var', [channels]]])
  if (tensors) {
    checkVariance(view, tensors['running_var']!.values())
    if (!view.net.notes.some(({ text }) => text === BLOBS))
      view.net.note('', 'changed', BLOBS)
  }
  const { running_mean: _mean, running_var: _variance, ...learned } = tensors ?? {}
  return view.emit('batch_norm', [x], x.dims, { eps: param.number('eps', 1e-10), stats, ...rates('lr_mult'), ...rates('decay_mult') }, {
    top: 0,
    parameters: { arguments: {}, ...(tensors && { parameters: stored === false ? learned : tensors }) },
  })
}

/** No variance is negative: where one is, the four blobs lie in another order. */
function checkVariance(view: LayerView, variance: Float32Array): void {
  const below = variance.findIndex((v) => v < 0)
  if (below < 0) return
  view.refuse(
    `its fourth blob should be the variance, and its element ${below} is ${variance[below]}`,
    "the blobs of Dragon's merged BatchNorm lie as gamma, beta, mean, variance",
  )
}

/** `BN` with `bn_param`: PSPNet's has slope, bias, mean, variance; SegNet's scale and shift, which in mode INFERENCE is all that it does. */
const forkedNorm: Converter = (view) => {
  const param = view.param('bn_param')
  const x = view.x()
  const channels = channelsOf(x)
  const count = view.fileBlobs()?.length
  if (count === 2 || param.has('bn_mode') || param.has('scale_filler') || param.has('shift_filler')) {
    if (param.text('bn_mode', 'LEARN') === 'LEARN') {
      view.refuse(
        'its bn_mode is LEARN: it normalizes with the batch, and its scale and shift are not those of INFERENCE',
        'take the deploy.prototxt and the weights with bn_mode: INFERENCE',
      )
    }
    return [view.emit('scale', [x], x.dims, {}, { top: 0, parameters: view.parameters([['weight', [channels]], ['bias', [channels]]]) })]
  }
  view.net.styles.add('merged')
  const stats: Argument = param.flag('frozen', false) ? 'global'
    : { call: 'moving', arguments: { newest: Number((1 - param.number('momentum', 0.9)).toPrecision(12)) } }
  const tensors = view.tensors([['gamma', [channels]], ['beta', [channels]], ['running_mean', [channels]], ['running_var', [channels]]])
  if (tensors) checkVariance(view, tensors['running_var']!.values())
  return [
    view.emit('batch_norm', [x], x.dims, { eps: param.number('eps', 1e-5), stats }, {
      top: 0,
      parameters: { arguments: {}, ...(tensors && { parameters: tensors }) },
    }),
  ]
}

/** `BN` of later Dragons, or with `bn_param` of other forks. */
const fusedNorm: Converter = (view) => {
  const param = view.param('batch_norm_param')
  if (view.message.has('bn_param')) return forkedNorm(view)
  const x = view.x()
  view.net.styles.add('merged')
  const channels = channelsOf(x)
  const stored = globalStats(view, param)
  const stats: Argument = stored === true ? 'global' : stored === false ? 'batch'
    : { call: 'moving', arguments: { newest: Number((1 - param.number('moving_average_fraction', 0.9)).toPrecision(12)) } }
  const tensors = view.tensors([['running_mean', [channels]], ['running_var', [channels]], ['gamma', [channels]], ['beta', [channels]]])
  const scale = view.param('scale_param')
  const start = (name: string, otherwise: number): number => scale.message(name)?.number('value', 0) ?? otherwise
  const { running_mean: _mean, running_var: _variance, ...learned } = tensors ?? {}
  return [
    view.emit('batch_norm', [x], x.dims, {
      eps: param.number('eps', 1e-3),
      stats,
      ...(!tensors && { gamma: start('filler', 1), beta: start('bias_filler', 0) }),
    }, { top: 0, parameters: { arguments: {}, ...(tensors && { parameters: stored === false ? learned : tensors }) } }),
  ]
}

export const batchNormConverters: Readonly<Record<string, Converter>> = { BatchNorm: batchNorm, BN: fusedNorm }
