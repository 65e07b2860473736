import { type Budget, MOST_LAYERS } from './budget.ts'
import type { Names, NameSpace } from './naming.ts'
import type { LayerCall } from './program.ts'
import type { Evaluated } from './values.ts'

/** `weights: NAME` as it is written: which layer that is shows when all are known. */
export interface SharedWeights {
  readonly parameter: string
  readonly place: NameSpace
  /** The value NAME, if there is one. */
  readonly from: Evaluated | undefined
}

/** The layers that a net was expanded to so far, and whose weights they share. */
export class MadeLayers {
  private readonly names: Names
  private readonly budget: Budget
  private readonly layers: LayerCall[] = []
  private readonly sharing: { readonly at: number; readonly parameter: string; readonly place: NameSpace; readonly maker?: string }[] = []

  constructor(names: Names, budget: Budget) {
    this.names = names
    this.budget = budget
  }

  /** The index of the layer, which is the last from now on. */
  add(layer: LayerCall, shares: readonly SharedWeights[]): number {
    const at = this.layers.length
    if (at >= MOST_LAYERS) this.budget.exceeded(`this net has more than ${MOST_LAYERS} layers`, layer.span)
    for (const { parameter, place, from } of shares) {
      const maker = from?.kind === 'tensor' && from.ref.kind === 'layer' ? this.layers[from.ref.index]!.name : undefined
      this.sharing.push({ at, parameter, place, ...(maker !== undefined && { maker }) })
    }
    this.layers.push(layer)
    return at
  }

  /**
   * All layers, each with the full name of the one whose weights it shares: a layer of that name in the same block, or the layer that made the
   * value of that name, else what was written.
   */
  all(): readonly LayerCall[] {
    const layers = [...this.layers]
    for (const { at, parameter, place, maker } of this.sharing) {
      const layer = layers[at]!
      const name = layer.attributes[parameter] as string
      const full = this.names.has(place.prefix + name) ? place.prefix + name : maker ?? name
      layers[at] = { ...layer, attributes: { ...layer.attributes, [parameter]: full } }
    }
    return layers
  }
}
