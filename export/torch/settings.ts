import type { Manifest } from '../../bundle/format.ts'
import type { Graph, Value } from '../../compiler/graph/graph.ts'
import { producers } from '../../compiler/graph/query.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { leavesOf } from '../../compiler/ops/totals.ts'

/**
 * What training must know of a net beside what it computes: settings.json of the exported folder. Inputs, outputs and `train` are as a
 * bundle's manifest has them (docs/bundle.md).
 */
export interface TorchSettings {
  readonly writer: 'fusenet'
  readonly version: string
  readonly name: string
  /** Whether weights.safetensors holds what a training gave; else the values that fillers give for `train.seed`, or 1 where the text has no train block. */
  readonly trained: boolean
  /** `argument`: what `Net.forward` calls it. */
  readonly inputs: readonly (Manifest['inputs'][number] & { readonly argument: string })[]
  readonly outputs: readonly TorchOutput[]
  readonly parameters: readonly TorchParameter[]
  readonly train?: Manifest['train']
}

/** An output, loss or metric. */
export interface TorchOutput {
  readonly name: string
  readonly role: 'output' | 'loss' | 'metric'
  readonly shape: readonly (number | 'n')[]
  /** Of a loss: its factor in what is trained. */
  readonly weight?: number
  /**
   * Of a loss or metric: the modules whose totals make it, each times its factor. null: it is made of values of whole batches (a product
   * of two sums), so that batches and processes cannot be put together.
   */
  readonly terms?: readonly { readonly layer: string; readonly factor: number }[] | null
  readonly better?: 'higher' | 'lower'
  readonly scores?: string
}

/** A parameter, or what is kept: names are those of the state_dict. */
export interface TorchParameter {
  readonly name: string
  readonly shape: readonly number[]
  /** Whether the solver changes it; running statistics and what was frozen are not. */
  readonly trainable: boolean
  readonly initializer: Manifest['parameters'][number]['initializer']
  /** Factors of the learning rate and of the weight decay. */
  readonly lr_mult: number
  readonly decay_mult: number
}

export function settingsOf(
  manifest: Manifest,
  graph: Graph,
  inputNames: ReadonlyMap<string, string>,
  { version, trained }: { readonly version: string; readonly trained: boolean },
): TorchSettings {
  const values = new Map<string, Value>(graph.outputs.map(({ name, value }) => [name, value]))
  const makers = producers(graph)
  return {
    writer: 'fusenet',
    version,
    name: manifest.name,
    trained,
    inputs: manifest.inputs.map((input) => ({ ...input, argument: inputNames.get(input.name)! })),
    outputs: graph.outputs.flatMap(({ name, role, value, weight }): TorchOutput[] => {
      if (role !== 'output' && role !== 'loss' && role !== 'metric') return []
      const known = manifest.outputs.find((output) => output.name === name)
      const leaves = role === 'output' ? undefined : leavesOf(values.get(name)!, makers, operators)
      return [{
        name,
        role,
        shape: value.shape,
        ...(role === 'loss' && { weight: weight ?? 1 }),
        ...(role !== 'output' && { terms: leaves ? leaves.map(({ node, factor }) => ({ layer: node.layer, factor })) : null }),
        ...(known?.better && { better: known.better }),
        ...(known?.scores !== undefined && { scores: known.scores }),
      }]
    }),
    parameters: graph.parameters.map((entry) => ({
      name: entry.name,
      shape: entry.value.shape as readonly number[],
      trainable: entry.trainable,
      initializer: entry.initializer,
      lr_mult: entry.rateMultiplier,
      decay_mult: entry.decayMultiplier,
    })),
    ...(manifest.train && { train: manifest.train }),
  }
}
