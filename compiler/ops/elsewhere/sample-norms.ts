import type { Synonyms } from './synonyms.ts'

/*
 * The names that other frameworks have for normalizations of each sample by itself.
 */

/** How many axes `normalized_shape` names, from the last: `64` one, `[64, 8, 8]` three. */
const lastAxes = (value: string): Record<string, string> => ({ axis: String(-(value.startsWith('[') ? value.split(',').length : 1)) })
const nothing = (): Record<string, string> => ({})

export const sampleNormsElsewhere: Synonyms = {
  group_norm: [
    {
      name: 'GroupNorm',
      of: 'PyTorch',
      positions: ['num_groups', 'num_channels', 'eps', 'affine'],
      arguments: { num_groups: 'groups', num_channels: nothing },
    },
    {
      name: 'GroupNormalization',
      of: 'Keras',
      positions: ['groups', 'axis', 'epsilon'],
      defaults: { eps: '1e-3' },
      arguments: { num_groups: (value) => ({ groups: value, eps: '1e-5' }), axis: nothing, center: nothing, scale: nothing },
    },
  ],
  instance_norm: [
    ...['InstanceNorm2d', 'InstanceNorm1d', 'InstanceNorm3d'].map((name) => ({
      name,
      of: 'PyTorch',
      positions: ['num_features', 'eps', 'momentum', 'affine'],
      defaults: { affine: 'false' },
      arguments: { momentum: nothing },
    })),
    { name: 'InstanceNormalization', of: 'ONNX', positions: [] },
    {
      name: 'MVN',
      of: 'Caffe',
      positions: [],
      defaults: { affine: 'false' },
      arguments: { across_channels: nothing, normalize_variance: nothing },
      as: (given) => (/true|1/.test(given.get('across_channels') ?? '') ? 'layer_norm' : 'instance_norm'),
      note: 'Caffe adds its eps to the deviation, not to the variance',
    },
  ],
  layer_norm: [
    {
      name: 'LayerNorm',
      of: 'PyTorch',
      positions: ['normalized_shape', 'eps', 'elementwise_affine'],
      defaults: { axis: '-1' },
      arguments: { normalized_shape: lastAxes, elementwise_affine: 'affine' },
    },
    {
      name: 'LayerNorm2d',
      of: 'torchvision',
      positions: ['num_channels', 'eps'],
      defaults: { axis: '1', end: '1', eps: '1e-6' },
      arguments: { num_channels: nothing },
    },
    {
      name: 'LayerNormalization',
      of: 'ONNX',
      positions: ['axis', 'epsilon'],
      defaults: { axis: '-1' },
      arguments: { stash_type: nothing, center: nothing, scale: nothing },
      note: "Keras' eps is 1e-3, and its channels are axis 1 here",
    },
  ],
}
