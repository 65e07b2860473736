import type { Synonym } from '../../../dsl/signature.ts'
import type { Synonyms } from './synonyms.ts'

/*
 * The names that other frameworks have for layers that move axes or reduce along them.
 */

/** Axes that are arguments one by one there, `permute(0, 2, 3, 1)`, as the list that is written here. */
function listed(argument: string): Pick<Synonym, 'positions' | 'arguments'> {
  const positions = ['first', 'second', 'third', 'fourth', 'fifth']
  const list = (_: string, given: ReadonlyMap<string, string>): Record<string, string> => {
    const all = positions.flatMap((name) => given.get(name) ?? [])
    return { [argument]: all.length === 1 && all[0]!.startsWith('[') ? all[0]! : `[${all.join(', ')}]` }
  }
  return { positions, arguments: Object.fromEntries(positions.map((name) => [name, list])) }
}

export const reductionsElsewhere: Synonyms = {
  transpose: [
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
      write: 'transpose([0, 2, 1, 3])',
      note: 'this exchanges axes 1 and 2: every axis is named, 0, the batch, first',
    })),
  ],
}
