import { elementCount } from '../../../bundle/sizes.ts'
import type { Argument } from '../../model-net.ts'
import type { LayerView } from '../layer-view.ts'
import type { Blob } from '../net-builder.ts'
import type { Message } from '../message.ts'
import { type Converter, innerAxis } from './converter.ts'

interface Scores {
  readonly scores: Blob
  readonly classes: number
  /** The axes beside that of the classes. */
  readonly positions: readonly number[]
}

/** Scores with their classes at axis 1, and without further axes where each sample has one label. */
function scoresOf(view: LayerView, axisParam: number): Scores {
  const x = view.x()
  const axis = innerAxis(view, x, axisParam)
  const classes = x.dims[axis - 1]!
  const positions = x.dims.filter((_, i) => i !== axis - 1)
  if (elementCount(positions) === 1) {
    const scores = x.dims.length === 1 ? x : view.emit('flatten', [x], [classes], {}, { named: false })
    return { scores, classes, positions: [] }
  }
  if (axis === 1) return { scores: x, classes, positions }
  const order = [0, axis, ...x.dims.map((_, i) => i + 1).filter((i) => i !== axis)]
  return { scores: view.emit('transpose', [x], [classes, ...positions], { order }, { named: false }), classes, positions }
}

/** What Caffe divides by: `normalization`, or the older `normalize`. */
function normalizationOf(param: Message, otherwise: string): string {
  const given = param.text('normalization')
  if (given !== undefined) return given.toLowerCase()
  return param.has('normalize') ? (param.flag('normalize') ? 'valid' : 'batch_size') : otherwise
}

const ignored = (param: Message): Record<string, Argument> => (param.has('ignore_label') ? { ignore: param.number('ignore_label')! } : {})

function twoBottoms(view: LayerView): void {
  if (view.bottoms.length !== 2)
    view.refuse(`it reads ${view.bottoms.length} blobs; scores and targets are two`, 'weights a sample have no equal')
}

const softmaxLoss: Converter = (view) => {
  twoBottoms(view)
  const param = view.param('loss_param')
  const { scores, classes, positions } = scoresOf(view, view.param('softmax_param').number('axis', 1))
  const labels = view.labels(1, classes, positions)
  const loss = view.loss('softmax_loss', [scores, labels], { normalization: normalizationOf(param, 'valid'), ...ignored(param) })
  if (view.layer.tops.length < 2) return [loss]
  return [loss, view.emit('softmax', [scores], [classes, ...positions], {}, { named: false, top: 1 })]
}

/** Its bottom has probabilities; where a Softmax makes them, the loss takes the scores in front. */
const multinomialLoss: Converter = (view) => {
  twoBottoms(view)
  const x = view.x()
  const maker = view.net.makers.get(x.value)
  const scores = maker?.op === 'softmax' && maker.arguments['axis'] === undefined ? maker.inputs[0] : undefined
  if (typeof scores !== 'string') {
    return view.refuse('it takes probabilities, and losses here take scores', 'put SoftmaxWithLoss in its place, in front of the softmax')
  }
  const classes = elementCount(x.dims)
  if (x.dims.length > 1) view.refuse('its probabilities are no list of classes')
  view.note('changed', 'with the Softmax in front of it: softmax_loss of the scores')
  return [view.loss('softmax_loss', [{ value: scores, dims: x.dims }, view.labels(1, classes, [])], { normalization: 'batch_size' })]
}

/** Both bottoms as numbers of one shape; an input whose shape nothing says gets that of the other. */
function pairOf(view: LayerView): readonly [Blob, Blob] {
  twoBottoms(view)
  const [a, b] = view.bottoms as readonly [Blob, Blob]
  for (const [one, other] of [[a, b], [b, a]] as const) {
    const { source } = one
    if (
      source && (source.dims === undefined || (source.dims.length === 0 && elementCount(other.dims) === 1)) &&
      (!other.source || other.source.dims)
    ) {
      source.dims = other.dims.length === 0 ? [1] : other.dims
    }
  }
  const [x, target] = [view.x(0), view.x(1)]
  const [many, wanted] = [elementCount(x.dims), elementCount(target.dims)]
  if (many !== wanted) view.refuse(`its bottoms have ${many} and ${wanted} numbers a sample`)
  if (x.dims.join() === target.dims.join()) return [x, target]
  return [x, view.emit('reshape', [target], x.dims, { dims: x.dims.length === 0 ? [1] : x.dims }, { named: false })]
}

const euclideanLoss: Converter = (view) => {
  const pair = pairOf(view)
  // What the net says may stand on either side.
  const heads = pair.filter(({ source }) => !source).slice(0, 1)
  return [view.loss('squared_loss', pair, {}, { heads })]
}

const sigmoidLoss: Converter = (view) => {
  const param = view.param('loss_param')
  return [view.loss('sigmoid_loss', pairOf(view), { normalization: normalizationOf(param, 'batch_size'), ...ignored(param) })]
}

const hingeLoss: Converter = (view) => {
  twoBottoms(view)
  const x = view.x()
  const classes = elementCount(x.dims)
  const scores = x.dims.length === 1 ? x : view.emit('flatten', [x], [classes], {}, { named: false })
  const norm = view.param('hinge_loss_param').text('norm', 'L1') === 'L2' ? 2 : 1
  return [view.loss('hinge_loss', [scores, view.labels(1, classes, [])], { norm })]
}

/**
 * Converts the loss of pairs of features a and b that belong together or not, y = 1 or 0 (Hadsell et al. 2006, as Caffe has it):
 *   (y d^2 + (1 - y) max(margin - d, 0)^2) / 2, d = |a - b|, a mean over the batch
 * Since y is 0 or 1 that is the sum of two squared losses: y a with y b, and (1 - y) margin with (1 - y) min(d, margin).
 */
const contrastiveLoss: Converter = (view) => {
  const param = view.param('contrastive_loss_param')
  if (param.flag('legacy_version', false))
    view.refuse('its legacy_version has no equal', 'leave legacy_version out: then it is the loss of the paper')
  const { source } = view.bottoms[2] ?? {}
  if (source && (source.dims === undefined || source.dims.length === 0)) source.dims = [1]
  const [a, b, same] = [view.x(0), view.x(1), view.x(2)]
  if (a.dims.length !== 1 || a.dims.join() !== b.dims.join() || elementCount(same.dims) !== 1)
    view.refuse('it compares two features [n, channels] and takes a number a pair')
  const y = same.dims.length === 1 ? same : view.emit('reshape', [same], [1], { dims: [1] }, { named: false })
  const margin = param.number('margin', 1)
  const inner = (op: string, inputs: readonly (Blob | number)[], dims: readonly number[], args = {}): Blob =>
    view.emit(op, inputs, dims, args, { named: false })
  const difference = inner('sub', [a, b], a.dims)
  const squares = inner('reduce_sum', [inner('mul', [difference, difference], a.dims)], [1], { axes: [1], keep: true })
  // The root's gradient at 0 has no end: 1e-8 keeps it finite, as Caffe's 1e-4 beside the distance does.
  const distance = inner('sqrt', [inner('add', [squares, 1e-8], [1])], [1])
  const apart = inner('sub', [1, y], [1])
  const near = view.loss('squared_loss', [inner('mul', [y, a], a.dims), inner('mul', [y, b], a.dims)], {}, { heads: [a, b] })
  const weight = view.message.numbers('loss_weight')[0] ?? 1
  const far = inner(
    'squared_loss',
    [margin === 1 ? apart : inner('mul', [apart, margin], [1]), inner('mul', [apart, inner('min', [distance, margin], [1])], [1])],
    [],
  )
  const kind = view.layer.train && weight !== 0 ? 'loss' : 'metric'
  view.net.results.push({
    kind,
    name: `${view.layer.tops[0] ?? view.layer.name}_apart`,
    value: far.value,
    ...(kind === 'loss' && weight !== 1 && { weight }),
  })
  view.note('differs', 'two losses, of pairs that belong together and of those that do not; distances below 1e-3 differ by up to 1e-4')
  return [near]
}

const accuracy: Converter = (view) => {
  twoBottoms(view)
  const param = view.param('accuracy_param')
  if (view.layer.tops.length > 1) view.refuse('its second top, the accuracy a class, has no equal', 'leave the top away')
  const { scores, classes, positions } = scoresOf(view, param.number('axis', 1))
  const labels = view.labels(1, classes, positions)
  const blob = view.emit('accuracy', [scores, labels], [], { top: param.number('top_k', 1), ...ignored(param) }, { top: 0 })
  view.net.results.push({ kind: 'metric', name: view.layer.tops[0] ?? view.layer.name, value: blob.value })
  return [{ ...blob, scalar: true }]
}

export const lossConverters: Readonly<Record<string, Converter>> = {
  SoftmaxWithLoss: softmaxLoss,
  MultinomialLogisticLoss: multinomialLoss,
  EuclideanLoss: euclideanLoss,
  SigmoidCrossEntropyLoss: sigmoidLoss,
  HingeLoss: hingeLoss,
  ContrastiveLoss: contrastiveLoss,
  Accuracy: accuracy,
}
