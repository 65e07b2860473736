import type { Manifest } from '../../bundle/format.ts'
import type { Graph, Value } from '../../compiler/graph/graph.ts'
import { producers } from '../../compiler/graph/query.ts'
import { countedLosses } from '../../compiler/ops/loss/normalization.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { leavesOf } from '../../compiler/ops/totals.ts'
import { identityOf, type TrainingIdentity } from '../../bundle/training-identity.ts'
import { cancelledBiases } from './cancelled-biases.ts'

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
  /** Losses that are means over the labels that are not ignored: what is counted before an update of several batches. */
  readonly counted: readonly { readonly layer: string; readonly input: string; readonly ignore: number }[]
  /** In tests a last sample joins the batch before it, since a layer normalizes with the statistics of the batch there, too. */
  readonly joins_last: boolean
  /** What snapshots of a training say of the net; the rest of it follows from `train`. */
  readonly identity: Pick<TrainingIdentity, 'text' | 'words' | 'style' | 'frozen'>
}

/** An output, loss or metric. */
export interface TorchOutput {
  readonly name: string
  readonly role: 'output' | 'loss' | 'metric'
  readonly shape: readonly (number | 'n')[]
  /** The factor of a loss in what is trained. */
  readonly weight?: number
  /**
   * The modules whose totals make a loss or metric, each times its factor. null: it is made of values of whole batches (a product
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
  /** Its gradient is 0, whatever rounding makes of it: a bias that a batch normalization takes away with the mean of the batch. */
  readonly cancelled?: true
}

export function settingsOf(
  manifest: Manifest,
  graph: Graph,
  inputNames: ReadonlyMap<string, string>,
  { version, trained }: { readonly version: string; readonly trained: boolean },
): TorchSettings {
  const values = new Map<string, Value>(graph.outputs.map(({ name, value }) => [name, value]))
  const makers = producers(graph)
  const cancelled = cancelledBiases(graph)
  return {
    writer: 'fusenet',
    version,
    name: manifest.name,
    trained,
    // In front, since it is what a person changes.
    ...(manifest.train && { train: manifest.train }),
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
      ...(entry.trainable && cancelled.has(entry.name) && { cancelled: true }),
    })),
    counted: countedLosses(graph.nodes).filter(({ labels }) => labels.storage?.role === 'input')
      .map(({ node, labels, ignore }) => ({ layer: node.layer, input: labels.name, ignore })),
    joins_last: (manifest.normalizations ?? []).some(({ stats, values }) => stats === 'batch' && values.fixed + values.perSample <= 1),
    identity: identityParts(manifest),
  }
}

function identityParts(manifest: Manifest): TorchSettings['identity'] {
  const { text, words, style, frozen } = identityOf(manifest, 1)
  return { text, ...(words !== undefined && { words }), style, ...(frozen !== undefined && { frozen }) }
}

/** Prints the settings as a file that a person reads and changes: each setting a line, and so each input, output and parameter. */
export function printSettings(settings: TorchSettings): string {
  const pairs = (value: object): string =>
    Object.entries(value).filter(([, each]) => each !== undefined)
      .map(([key, each]) =>
        `  ${JSON.stringify(key)}: ${key === 'train' ? `{\n${pairs(each as object).replaceAll(/^/gm, '  ')}\n  }` : printed(each)}`
      ).join(',\n')
  return `{\n${pairs(settings)}\n}\n`
}

/** A list of objects is a line each, anything else one line. */
function printed(value: unknown): string {
  const line = (each: unknown): string =>
    JSON.stringify(each).replaceAll(/("(?:[^"\\]|\\.)*")|([:,])/g, (_, text?: string, mark?: string) => text ?? `${mark} `)
  const isTable = Array.isArray(value) && value.length > 1 && value.every((each) => typeof each === 'object')
  return isTable ? `[\n${value.map((each) => `    ${line(each)}`).join(',\n')}\n  ]` : line(value)
}
