import type { GoldenLayer } from './golden-file.ts'

/** How Conv + BN + Scale of a case is written: as the case has it, or in the other spelling. */
export type Spelling = 'as given' | 'other'

/** The name under which a case keeps this layer's statistics: a merged layer made of a pair keeps its first half's. */
export const statisticsName = (layer: GoldenLayer): string => (layer.attrs['statistics_of'] as string | undefined) ?? layer.name

/** Names that no case has. */
const inner = (name: string, what: string): string => `${name} (${what})`

/** BatchNorm that owns gamma and beta -> BatchNorm without, and Scale behind it. */
function split(layer: GoldenLayer): GoldenLayer[] {
  const { gamma, beta, ...statistics } = layer.param
  const normalized = inner(layer.top[0]!, 'normalized')
  return [
    {
      ...layer,
      name: inner(layer.name, 'normalized'),
      top: [normalized],
      param: statistics,
      attrs: { ...layer.attrs, affine: false, statistics_of: layer.name },
    },
    {
      name: layer.name,
      type: 'Scale',
      bottom: [normalized],
      top: layer.top,
      param: { scale: gamma!, bias: beta! },
      attrs: { bias_term: true },
    },
  ]
}

/** BatchNorm that owns gamma and beta <-> BatchNorm without, and Scale behind it. */
export function respell(layers: readonly GoldenLayer[]): GoldenLayer[] {
  const result: GoldenLayer[] = []
  for (let i = 0; i < layers.length; i++) {
    const layer = layers[i]!
    const next = layers[i + 1]
    if (layer.type === 'BatchNorm' && layer.attrs['affine']) result.push(...split(layer))
    else if (
      layer.type === 'BatchNorm' && next?.type === 'Scale' && next.bottom[0] === layer.top[0] && next.attrs['bias_term'] &&
      readsOf(layers, i, layer.top[0]!) === 1
    ) {
      result.push({
        ...layer,
        name: next.name,
        top: next.top,
        param: { ...layer.param, gamma: next.param['scale']!, beta: next.param['bias']! },
        attrs: { ...layer.attrs, affine: true, statistics_of: layer.name },
      })
      i++
    } else result.push(layer)
  }
  return result
}

/** Normalizations that share gamma and beta, but keep statistics of their own: only a scale can share those alone. */
export function splitShared(layers: readonly GoldenLayer[]): GoldenLayer[] {
  const users = (name: string | undefined): number =>
    layers.filter((layer) => name !== undefined && Object.values(layer.param).includes(name)).length
  return layers.flatMap((
    layer,
  ) => (layer.type === 'BatchNorm' && layer.attrs['affine'] && users(layer.param['gamma']) > 1 ? split(layer) : [layer]))
}

/** How many layers read what layer `i` makes under a name, before another layer makes that name anew. */
function readsOf(layers: readonly GoldenLayer[], i: number, blob: string): number {
  let reads = 0
  for (const layer of layers.slice(i + 1)) {
    reads += layer.bottom.filter((b) => b === blob).length
    if (layer.top.includes(blob)) break
  }
  return reads
}
