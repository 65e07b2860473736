import type { LayerSummary } from '../../compiler/summary.ts'
import { showCount } from '../screen.ts'

/** The kind of work that a layer does; it decides the layer's color. */
export type Family = 'weight' | 'normalize' | 'activate' | 'pool' | 'join' | 'shape' | 'result'

export const FAMILIES: ReadonlyMap<string, Family> = new Map(([
  ['weight', 'conv deconv fc parameter'],
  ['normalize', 'batch_norm group_norm instance_norm layer_norm scale bias lrn normalize'],
  [
    'activate',
    'relu leaky_relu prelu elu sigmoid tanh softplus silu gelu mish selu celu softsign erf thresholded_relu hard_sigmoid hard_swish clip softmax log_softmax neg abs exp log sqrt reciprocal floor ceil round pow',
  ],
  [
    'pool',
    'max_pool avg_pool lp_pool global_avg_pool global_max_pool upsample resize reduce_mean reduce_sum reduce_max reduce_min reduce_l1 reduce_l2 arg_max',
  ],
  ['join', 'add sub mul div mean max min where concat'],
  ['shape', 'flatten reshape transpose slice pad depth_to_space space_to_depth dropout'],
  ['result', 'softmax_loss sigmoid_loss squared_loss hinge_loss sum accuracy'],
] as const).flatMap(([family, ops]) => ops.split(' ').map((op): [string, Family] => [op, family])))

export const familyOf = ({ op }: LayerSummary): Family => FAMILIES.get(op) ?? 'shape'

const window = (value: unknown): string => (Array.isArray(value) ? value.join('×') : '')
const isOne = (value: unknown): boolean => value === undefined || (Array.isArray(value) && value.every((v) => v === 1))
const both = (value: unknown): string => (Array.isArray(value) ? (value[0] === value[1] ? String(value[0]) : value.join('×')) : '')

/** `conv 64, 3×3 / 2` */
function workOf({ op, attributes: a }: LayerSummary): string {
  switch (op) {
    case 'conv':
    case 'deconv': {
      const depthwise = a['groups'] === a['out'] && a['groups'] !== 1
      return `${op} ${a['out']}, ${window(a['kernel'])}${isOne(a['stride']) ? '' : ` / ${both(a['stride'])}`}${
        depthwise ? ' depthwise' : a['groups'] === 1 ? '' : `, ${a['groups']} groups`
      }${isOne(a['dilation']) ? '' : `, dilation ${both(a['dilation'])}`}`
    }
    case 'fc':
      return `fc ${a['out']}`
    case 'max_pool':
    case 'avg_pool':
      return `${op} ${window(a['kernel'])}${
        a['stride'] === undefined || both(a['stride']) === both(a['kernel']) ? '' : ` / ${both(a['stride'])}`
      }`
    case 'upsample':
      return `upsample ×${both(a['factor'])}`
    case 'group_norm':
      return `group_norm ${a['groups']}`
    case 'transpose':
      return `transpose ${(a['order'] as readonly number[]).join(' ')}`
    case 'dropout':
      return `dropout ${a['p']}`
    case 'clip':
      return `clip ${a['lo']}..${a['hi']}`
    default:
      return op
  }
}

/** The label of a layer, with the name that the text gives it. */
export function labelOf(layer: LayerSummary): string {
  const own = layer.name.split('.').at(-1)!
  const shared = layer.attributes['weights']
  const work = typeof shared === 'string' ? `${workOf(layer)}, weights of ${shared.split('.').at(-1)}` : workOf(layer)
  return own.replace(/_\d+$/, '') === layer.op ? work : `${own}: ${work}`
}

/** `64 × 32 × 32`, without the batch. */
export const shapeText = (shape: readonly (number | string)[]): string => {
  const own = shape[0] === 'n' ? shape.slice(1) : shape
  return own.length === 0 ? '' : own.join(' × ')
}

export const parametersText = (layers: readonly LayerSummary[], count: number): string => {
  const sum = count * layers.reduce((total, { parameters }) => total + parameters, 0)
  return sum === 0 ? '' : `${showCount(sum).replace(' ', ' ')} parameters`
}
