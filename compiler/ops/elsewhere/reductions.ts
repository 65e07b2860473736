import type { Synonym } from '../../../dsl/signature.ts'
import { lower, type Synonyms } from './synonyms.ts'

/*
 * The names that other frameworks have for layers that move axes or reduce along them.
 */

/** Numbers that are arguments one by one there, `permute(0, 2, 3, 1)`, or a list, as the list that is written here. `chosen`: those of them that are. */
export function listed(
  argument: string,
  chosen: (all: readonly string[]) => readonly string[] = (all) => all,
): Pick<Synonym, 'positions' | 'arguments'> {
  const positions = ['first', 'second', 'third', 'fourth', 'fifth']
  const list = (_: string, given: ReadonlyMap<string, string>): Record<string, string> => {
    const all = positions.flatMap((name) => given.get(name) ?? []).join(', ').replace(/^\[|\]$/g, '')
    return { [argument]: `[${chosen(all.split(/\s*,\s*/)).join(', ')}]` }
  }
  return { positions, arguments: Object.fromEntries(positions.map((name) => [name, list])) }
}

const yesOrNo = (value: string): Record<string, string> => ({ keep: /true|1/i.test(value) ? 'true' : 'false' })

/** Arguments of a reduction along one axis, or a list of them, which goes there unless it is kept. */
const alongDim: Pick<Synonym, 'positions' | 'arguments' | 'defaults'> = {
  positions: ['dim', 'keepdim'],
  arguments: { dim: (value) => ({ axes: value.startsWith('[') ? value : `[${value}]` }), keepdim: yesOrNo },
  defaults: { keep: 'false' },
}

const reductionNames = (kind: string): readonly Synonym[] => [
  { name: `Reduce${kind}`, of: 'ONNX', positions: ['axes'], arguments: { keepdims: yesOrNo } },
]

/** What x by its length is. */
export const UNIT = 'x by its length is div(x, x -> reduce_l2([1])); where that may be 0, -> max(1e-12) stands behind it'

export const reductionsElsewhere: Synonyms = {
  transpose: [
    ...([['ChannelShuffle', 'PyTorch'], ['ShuffleChannel', 'Caffe'], ['channel_shuffle', 'others']] as const).map(([name, of]) => ({
      name,
      of,
      none: 'of g groups of k channels it is reshape([g, k, h, w]) -> transpose([0, 2, 1, 3, 4]) -> reshape([g * k, h, w])',
    })),
    { name: 'permute', of: 'PyTorch', ...listed('order') },
    {
      name: 'Permute',
      of: 'Keras',
      positions: ['dims'],
      arguments: {
        dims: (value) => ({ order: value.replace(/^\[/, '[0, ') }),
        // SSD's layer for Caffe counts the batch.
        order: 'order',
      },
    },
    { name: 'Transpose', of: 'ONNX', positions: ['perm'], arguments: { perm: 'order' } },
    ...['swapaxes', 'swapdims', 'moveaxis', 'movedim'].map((name) => ({
      name,
      of: 'PyTorch',
      positions: ['dim0', 'dim1'],
      write: 'transpose([0, 2, 1, 3])',
      note: 'this exchanges axes 1 and 2: every axis is named, 0, the batch, first',
    })),
  ],
  reduce_mean: [
    ...reductionNames('Mean'),
    {
      name: 'Reduction',
      of: 'Caffe',
      arguments: { axis: (value) => ({ axes: `[${value}]`, keep: 'false' }), operation: () => ({}) },
      as: (
        given,
      ) => ({ mean: 'reduce_mean', '4': 'reduce_mean', asum: 'reduce_l1', '2': 'reduce_l1' }[lower(given.get('operation') ?? 'sum')] ??
        'reduce_sum'),
      note: 'Caffe reduces axis and all behind it: name them all',
    },
  ],
  reduce_sum: [...reductionNames('Sum'), { name: 'ReduceSumSquare', of: 'ONNX', write: 'mul(x, x) -> reduce_sum(axes)' }],
  reduce_max: [...reductionNames('Max'), { name: 'amax', of: 'PyTorch', ...alongDim }],
  reduce_min: [...reductionNames('Min'), { name: 'amin', of: 'PyTorch', ...alongDim }],
  reduce_l1: reductionNames('L1'),
  reduce_l2: [
    ...reductionNames('L2'),
    ...['l2_normalize', 'L2Norm', 'UnitNormalization'].map((name) => ({ name, of: 'others', none: UNIT })),
    {
      name: 'norm',
      of: 'PyTorch',
      positions: ['p', 'dim'],
      arguments: { p: () => ({}), ...alongDim.arguments },
    },
  ],
  arg_max: [
    {
      name: 'ArgMax',
      of: 'ONNX',
      arguments: {
        keepdims: yesOrNo,
        select_last_index: (value) => ({ last: value === '1' ? 'true' : 'false' }),
        top_k: () => ({}),
        out_max_val: () => ({}),
      },
    },
    {
      name: 'argmax',
      of: 'PyTorch',
      positions: ['dim', 'keepdim'],
      arguments: { keepdim: yesOrNo, keepdims: yesOrNo },
      defaults: { keep: 'false' },
    },
    { name: 'argmin', of: 'PyTorch', none: 'the position of the smallest is arg_max of the same with the other sign' },
    { name: 'topk', of: 'PyTorch', none: 'the largest is reduce_max(axes), its position arg_max(axis); there is no order of several' },
  ],
}
