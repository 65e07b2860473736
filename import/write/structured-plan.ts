import { UniqueNames } from '../../compiler/unique-names.ts'
import type { Argument, ModelLayer, ModelNet } from '../model-net.ts'
import { argumentKey, argumentText } from './argument-text.ts'
import { abstracted, type Abstracted } from './block-parameters.ts'
import { blockName } from './block-names.ts'
import { chooseBlocks } from './choose-blocks.ts'
import type { Item, ItemArgument } from './item.ts'
import { ownsParameters } from './layer-names.ts'
import { moduleParts, placedParts } from './modules.ts'
import type { Part } from './parts.ts'
import { repeatedParts } from './repeats.ts'
import { type BlockPlan, type Plan, shared, sharers } from './plan.ts'
import { Kinds, namesWithin, plainArguments } from './sameness.ts'

/** A block takes at most so many values. */
const MOST_VALUES = 3
const VALUES = ['x', 'y', 'z'] as const

/** Equal parts of a net as blocks, wherever its names tell of modules or its layers repeat. */
export function structuredPlan(net: ModelNet): Plan {
  const wanted = new Set(net.results.map(({ value }) => value))
  const kept = sharers(net)
  const mayHold = (part: Part): boolean =>
    part.layer ? !kept.has(part.layer) : part.inputs.length > 0 && part.inputs.length <= MOST_VALUES && part.parts!.every(mayHold)
  const parts = chooseBlocks(repeatedParts(moduleParts(placedParts(net.layers), wanted), wanted, mayHold), mayHold)
  return new Planner(net, parts).plan()
}

interface Call {
  readonly block: string
  readonly arguments: Readonly<Record<string, ItemArgument>>
}

class Planner {
  private readonly net: ModelNet
  private readonly parts: readonly Part[]
  private readonly kinds = new Kinds()
  private readonly calls = new Map<Part, Call>()
  private readonly blocks = new Map<string, BlockPlan>()
  private readonly parametersOf = new Map<string, Abstracted['parameters']>()

  constructor(net: ModelNet, parts: readonly Part[]) {
    this.net = net
    this.parts = parts
  }

  plan(): Plan {
    const unique = new UniqueNames(['x', 'y', 'z', 'logits', this.net.name])
    for (const instances of this.groups()) this.define(blockName(instances, unique), instances)
    const layerNames = new Map<ModelLayer, string>()
    this.nameLayers(this.parts, '', layerNames)
    const items = shared(this.items(this.parts), this.net, layerNames)
    return { items, blocks: [...this.blocks.values()], layerNames, instance: (item) => this.instanceTexts(item) }
  }

  /** Regions that are calls of one block, those that are in others first. */
  private groups(): Part[][] {
    const groups = new Map<string, Part[]>()
    const visit = (parts: readonly Part[]): void => {
      for (const part of parts) {
        if (!part.parts) continue
        visit(part.parts)
        const key = this.kinds.key(part)
        groups.set(key, [...groups.get(key) ?? [], part])
      }
    }
    visit(this.parts)
    return [...groups.values()].sort((a, b) => depth(a[0]!) - depth(b[0]!))
  }

  private define(name: string, instances: readonly Part[]): void {
    const first = instances[0]!
    const values = VALUES.slice(0, first.inputs.length)
    const usual = (item: Item, argument: string): Argument | undefined =>
      item.layer ? usualOf(item, argument) : this.parametersOf.get(item.call)?.find((one) => one.name === argument)?.usual
    const { items, parameters, given } = abstracted(instances.map(({ parts }) => this.items(parts!)), usual, values)
    this.blocks.set(name, { name, values, parameters, items, inputs: first.inputs as string[], output: first.output })
    this.parametersOf.set(name, parameters)
    instances.forEach((part, i) => this.calls.set(part, { block: name, arguments: given[i]! }))
  }

  private items(parts: readonly Part[]): Item[] {
    const names = namesWithin(parts)
    return parts.map((part, i): Item => {
      const { inputs, output, layer } = part
      if (layer)
        return { call: layer.op, name: names[i], inputs, output, arguments: { ...layer.arguments, ...plainArguments(part) }, layer }
      const { block, arguments: given } = this.calls.get(part)!
      return { call: block, name: names[i], inputs, output, arguments: given }
    })
  }

  private nameLayers(parts: readonly Part[], prefix: string, found: Map<ModelLayer, string>): void {
    const names = namesWithin(parts)
    parts.forEach((part, i) => {
      if (part.parts) this.nameLayers(part.parts, `${prefix}${names[i]!}.`, found)
      else if (ownsParameters(part.layer!)) found.set(part.layer!, `${prefix}${names[i]!}`)
    })
  }

  private instanceTexts(item: Item): string[] {
    return this.parametersOf.get(item.call)!.flatMap(({ name, usual }) => {
      const value = item.arguments[name]!
      const text = argumentText({ kind: 'numbers' }, value, name)
      if (usual === undefined) return [text]
      return argumentKey(value) === argumentKey(usual) ? [] : [`${name}: ${text}`]
    })
  }
}

/** The default of a layer's argument, as arguments are compared. */
function usualOf({ layer }: Item, argument: string): Argument | undefined {
  return plainArguments({ path: [], inputs: [], output: '', layer: { ...layer!, arguments: {} } })[argument]
}

const depth = ({ parts }: Part): number => (parts ? 1 + Math.max(0, ...parts.map(depth)) : 0)
