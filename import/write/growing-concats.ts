import type { ModelLayer } from '../model-net.ts'
import { pathOf } from './layer-names.ts'

/**
 * Dense nets join all maps so far before each layer: concat(a, b), concat(a, b, c), ... Each is written as the one before and one map more,
 * which copies no more than it must and lets equal layers be equal. A joined map belongs to the layer that made its newest part.
 */
export function growingConcats(layers: readonly ModelLayer[]): ModelLayer[] {
  const known = new Map<string, string>()
  const growing = new Set<string>()
  const keyOf = (inputs: readonly (string | number)[], { arguments: given }: ModelLayer): string => JSON.stringify([inputs, given])
  const grown = layers.map((layer) => {
    if (layer.op !== 'concat' || layer.inputs.length < 2) return layer
    known.set(keyOf(layer.inputs, layer), layer.output)
    for (let count = layer.inputs.length - 1; count >= 2; count--) {
      const before = known.get(keyOf(layer.inputs.slice(0, count), layer))
      if (before === undefined) continue
      growing.add(before).add(layer.output)
      return { ...layer, inputs: [before, ...layer.inputs.slice(count)] }
    }
    return layer
  })
  if (growing.size === 0) return grown
  const makers = new Map(layers.map((layer) => [layer.output, layer]))
  return grown.map((layer) => {
    const newest = makers.get(String(layer.inputs.at(-1)))
    if (!growing.has(layer.output) || newest?.name === undefined) return layer
    const scope = pathOf(newest.name).slice(0, -1)
    return scope.length === 0 ? layer : { ...layer, name: [...scope, 'joined'].join('.') }
  })
}
