import type { ModelLayer, ModelNet } from '../model-net.ts'
import type { Item } from './item.ts'
import { LayerNames, ownsParameters, pathOf } from './layer-names.ts'

/** A block as it will be defined. */
export interface BlockPlan {
  readonly name: string
  /** The values that it works on, by their names in its body. */
  readonly values: readonly string[]
  readonly parameters: readonly BlockParameter[]
  /** The calls of one instance, with formulas where instances differ. */
  readonly items: readonly Item[]
  /** Values of that instance: what comes in, what goes out. */
  readonly inputs: readonly string[]
  readonly output: string
}

export interface BlockParameter {
  readonly name: string
  /** The default. Absent: every call gives the parameter, by position. */
  readonly default?: string
}

/** What the text will hold. */
export interface Plan {
  readonly items: readonly Item[]
  /** Each after those that it calls. */
  readonly blocks: readonly BlockPlan[]
  /** Full names of the layers that own parameters: `layer1_0.conv1`. */
  readonly layerNames: ReadonlyMap<ModelLayer, string>
  /** The arguments of a call of a block. */
  readonly instance: (item: Item) => string[]
}

/** Whether layers share their parameters with this one, or it uses another one's: such layers stay in the net itself, where names are plain. */
export function sharers(net: ModelNet): ReadonlySet<ModelLayer> {
  const owners = new Set(net.layers.flatMap(({ sharesWith }) => (sharesWith === undefined ? [] : [sharesWith])))
  return new Set(net.layers.filter((layer) => layer.sharesWith !== undefined || owners.has(layer.output)))
}

/** Every layer a call of the net itself, without blocks. */
export function flatPlan(net: ModelNet): Plan {
  const names = new LayerNames()
  const layerNames = new Map<ModelLayer, string>()
  const items = net.layers.map((layer): Item => {
    const name = ownsParameters(layer) ? names.give(layer.op, pathOf(layer.name ?? '')) : undefined
    if (name !== undefined) layerNames.set(layer, name)
    return { call: layer.op, name, inputs: layer.inputs, output: layer.output, arguments: layer.arguments, layer }
  })
  return { items: shared(items, net, layerNames), blocks: [], layerNames, instance: () => [] }
}

/** Says whose parameters a layer uses, where they are another one's. */
export function shared(items: readonly Item[], net: ModelNet, layerNames: ReadonlyMap<ModelLayer, string>): Item[] {
  const makers = new Map(net.layers.map((layer) => [layer.output, layer]))
  return items.map((item) => {
    const owner = item.layer?.sharesWith === undefined ? undefined : makers.get(item.layer.sharesWith)
    return owner ? { ...item, arguments: { ...item.arguments, weights: layerNames.get(owner)! } } : item
  })
}
