import { elementCount } from '../../../bundle/sizes.ts'
import { instead, type Made, type NetBuilder } from '../net-builder.ts'
import type { Options } from '../options.ts'

/** A loss of the net: what `softmax`, `logistic` and `cost` leave for the end. */
export interface Loss {
  /** What the loss reads: scores in front of `softmax` or `logistic`, else the output itself. */
  readonly kind: 'softmax' | 'logistic' | 'cost'
  readonly scores: string
  readonly shape: readonly number[]
  /** How often its gradient counts: `[cost]` behind `[softmax]` adds the same once more. */
  readonly weight: number
  /** The distance that `[cost]` takes. */
  readonly distance?: 'sse' | 'L1'
}

/** `[softmax]` over all numbers of a sample, or over each of `groups` equal parts. */
export function softmax(net: NetBuilder, options: Options, x: Made): { made: Made; loss: Loss | undefined } {
  const groups = options.count('groups', 1)
  const temperature = options.float('temperature', 1)
  const size = elementCount(x.shape)
  options.take('spatial')
  const quiet = options.int('noloss', 0) !== 0
  if (options.text('tree') !== undefined) {
    options.differs('tree=: its output is the scores in front of it; Darknet takes a softmax of each group of the tree')
    return { made: { ...x, map: undefined }, loss: undefined }
  }
  if (size % groups !== 0 || !(temperature > 0)) {
    options.problem(size % groups === 0 ? `temperature=${temperature} must be above 0` : `groups=${groups} do not divide ${size} numbers`)
    return { made: instead(x), loss: undefined }
  }
  const row = net.asRow(options, x)
  const scores = temperature === 1 ? row : net.layer(options, 'mul', [row, 1 / temperature])
  const shape = [size]
  if (groups === 1) {
    // Darknet's gradient, p - t, is not divided by the temperature.
    const loss: Loss = { kind: 'softmax', scores, shape, weight: temperature }
    return { made: { value: net.layer(options, 'softmax', [scores]), shape, map: undefined }, loss: quiet ? undefined : loss }
  }
  const parts = net.layer(options, 'softmax', [net.layer(options, 'reshape', [scores], { dims: [groups, size / groups] })], { axis: 2 })
  return { made: { value: net.layer(options, 'reshape', [parts], { dims: shape }), shape, map: undefined }, loss: undefined }
}

/** `[logistic]`: a sigmoid, with the cross entropy of each number. */
export function logistic(net: NetBuilder, options: Options, x: Made): { made: Made; loss: Loss } {
  const value = net.layer(options, 'sigmoid', [x.value])
  return { made: { ...x, value }, loss: { kind: 'logistic', scores: x.value, shape: x.shape, weight: 1 } }
}

/** `[cost]`: a distance to the truth. Behind `[softmax]` or `[logistic]` its gradient, truth - output times scale, is handed to the scores as it is. */
export function cost(options: Options, x: Made, before: Loss | undefined): { made: Made; loss: Loss | undefined } {
  const type = options.text('type') ?? 'sse'
  const scale = options.float('scale', 1)
  options.take('ratio', 'noobj', 'thresh')
  const made = { ...x, closed: '[cost] gives errors, no values' }
  const loss = ((): Loss | undefined => {
    if (type === 'L1' && !before) return { kind: 'cost', scores: x.value, shape: x.shape, weight: scale, distance: 'L1' }
    if (['smooth', 'masked', 'L1'].includes(type)) {
      options.leaveOut(
        {
          smooth: 'type=smooth: no loss here; on a CPU Darknet of 2018 has the sign of its gradient wrong beyond a distance of 1',
          masked: 'type=masked: no loss here leaves out targets of -1234',
          L1: 'type=L1 behind a loss of its own',
        }[type]!,
      )
      return undefined
    }
    if (type !== 'sse') options.differs(`type=${type} is computed as sse, as Darknet does on a CPU`, 'changed')
    if (before) {
      options.differs(
        `adds truth - output to the gradient of the section in front: weight ${before.weight + scale} of its loss says the same`,
        'changed',
      )
      return { ...before, weight: before.weight + scale }
    }
    return { kind: 'cost', scores: x.value, shape: x.shape, weight: scale, distance: 'sse' }
  })()
  return { made, loss }
}

/** Inputs, loss and metric of a net that can be trained. */
export function addLoss(net: NetBuilder, options: Options, loss: Loss): void {
  const { shape, scores, weight } = loss
  const add = (name: string, value: string): void => {
    net.results.push({ kind: 'loss', name, value, ...(weight !== 1 && { weight }) })
  }
  if (loss.kind === 'softmax') {
    net.inputs.push({ value: 'label', shape: [], classes: shape[0]! })
    add('loss', net.layer(options, 'softmax_loss', [scores, 'label']))
    net.results.push({ kind: 'metric', name: 'accuracy', value: net.layer(options, 'accuracy', [scores, 'label']) })
    return
  }
  net.inputs.push({ value: 'truth', shape })
  if (loss.kind === 'logistic') add('loss', net.layer(options, 'sigmoid_loss', [scores, 'truth']))
  else if (loss.distance === 'sse') add('loss', net.layer(options, 'squared_loss', [scores, 'truth']))
  else {
    const distances = net.layer(options, 'abs', [net.layer(options, 'sub', [scores, 'truth'])])
    net.results.push({ kind: 'loss', name: 'loss', value: net.layer(options, 'sum', [distances]), weight: weight / net.batch })
  }
}
