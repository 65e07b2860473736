import { axisRange } from '../../../compiler/ops/axes.ts'
import { epsOf, policyOf, statsOf } from '../../../compiler/ops/batch-norm/statistics-policy.ts'
import { called, channelsOf, numberOf, type Row, SELF } from '../layer.ts'
import { type Code, code, literal, option } from '../python-code.ts'

const batchNorm: Row = (layer) => {
  const { attributes } = layer
  const policy = policyOf(attributes)
  const { args } = statsOf(attributes)
  const isAffine = layer.has('gamma')
  const module = code`BatchNorm(${literal(channelsOf(layer), 'channels')}${option('eps', epsOf(attributes), 1e-10)}${
    option('affine', isAffine, true)
  }${option('gamma', isAffine ? numberOf(layer, 'gamma', 1.0000001) : 1.0000001, 1.0000001)}${
    option('beta', isAffine ? numberOf(layer, 'beta', 1e-7) : 1e-7, 1e-7)
  }${option('stats', policy, 'moving')}${option('newest', policy === 'moving' ? number(args['newest'], 0.95) : 0.95, 0.95)}${
    option('fraction', policy === 'caffe' ? number(args['fraction'], 0.999) : 0.999, 0.999)
  }${option('scale_factor', policy === 'global' && args['scale_factor'] === true, false)}${
    option('unbiased', attributes['unbiased'] === true, false)
  })`
  // Split style: two layers of one module, since the parameters keep their names.
  return attributes['style'] === 'split' && isAffine ? { module, value: code`${SELF}.scale(${SELF}.normalize(${0}))` }
    : called(layer, module)
}

const number = (value: unknown, otherwise: number): number => (typeof value === 'number' ? value : otherwise)

const sampleOptions = (affine: boolean, eps: number): Code => [option('eps', eps, 1e-5), option('affine', affine, true)]

const groupNorm: Row = (layer) =>
  called(
    layer,
    code`GroupNorm(${literal(layer.node.op === 'instance_norm' ? channelsOf(layer) : numberOf(layer, 'groups', 1), 'groups')}, ${
      literal(channelsOf(layer), 'channels')
    }${sampleOptions(layer.has('gamma'), numberOf(layer, 'eps', 1e-5))})`,
  )

const layerNorm: Row = (layer) => {
  const axes = axisRange({ axis: 1, end: -1, ...layer.attributes }, layer.shape.length)
  return called(
    layer,
    code`LayerNorm(${literal(axes.map((axis) => layer.shape[axis] as number), 'shape')}, ${literal(axes[0], 'axis')}${
      sampleOptions(layer.has('gamma'), numberOf(layer, 'eps', 1e-5))
    })`,
  )
}

const list = (value: unknown): readonly number[] => value as readonly number[]

const normalize: Row = (layer) =>
  called(
    layer,
    code`Normalize(mean=${literal(list(layer.attributes['mean']), 'mean')}, std=${literal(list(layer.attributes['std']), 'std')})`,
  )

export const normalizationRows: ReadonlyMap<string, Row> = new Map([
  ['batch_norm', batchNorm],
  ['group_norm', groupNorm],
  ['instance_norm', groupNorm],
  ['layer_norm', layerNorm],
  ['normalize', normalize],
  ['scale', (layer) => called(layer, code`Scale(${literal(channelsOf(layer), 'channels')}${option('bias', layer.has('bias'), true)})`)],
  ['bias', (layer) => called(layer, code`Bias(${literal(channelsOf(layer), 'channels')})`)],
])
