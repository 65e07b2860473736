import type { ModelLayer, ModelNet, ModelResult } from '../model-net.ts'
import { ownsParameters } from './layer-names.ts'
import { typeText } from './type-text.ts'

/** Comments that show how a net without a loss is trained: lines for the end of the net, and a train block behind it. */
export interface TrainingHint {
  readonly remarks: readonly string[]
  readonly train: readonly string[]
}

/** Layers that turn scores into probabilities: what they read is what a loss compares. */
const PROBABILITIES = new Set(['softmax', 'log_softmax', 'sigmoid'])

/** The output that one trains on, the first that gives probabilities or else the first at all, with the layer that makes it. */
export function learnedOutput(net: ModelNet): { readonly output: ModelResult; readonly last: ModelLayer | undefined } | undefined {
  const outputs = net.results.filter(({ kind }) => kind === 'output')
    .map((output) => ({ output, last: net.layers.find((layer) => layer.output === output.value) }))
  return outputs.find(({ last }) => last && PROBABILITIES.has(last.op)) ?? outputs[0]
}

/**
 * What to add to a net that came for inference alone. `scores` is the name of what is learned in the text and its shape without the batch;
 * `taken` are names that no input may get. Undefined where the net has a loss, or nothing to learn.
 */
export function trainingHint(
  net: ModelNet,
  scores: { readonly name: string; readonly shape: readonly number[] },
  taken: ReadonlySet<string>,
): TrainingHint | undefined {
  if (net.results.some(({ kind }) => kind === 'loss') || !net.layers.some(ownsParameters)) return undefined
  const free = (name: string): string => {
    while (taken.has(name)) name += '_'
    return name
  }
  const { name, shape } = scores
  const { output, last } = learnedOutput(net) ?? {}
  const [classes = 1, ...map] = shape
  const sizes = (dims: readonly number[]): string => `[${dims.join(', ')}]`
  const target = free('target')
  const label = free('label')
  const lines = last?.op === 'sigmoid' ? [`input ${target}: f32${sizes(shape)}`, `loss = sigmoid_loss(${name}, ${target})`]
    : classes > 1 && (shape.length === 1 || shape.length === 3) ? [
      `input ${label}: ${labelType(classes, map, output?.classes)}`,
      `loss            = softmax_loss(${name}, ${label})`,
      `metric ${free('accuracy')} = accuracy(${name}, ${label})`,
    ]
    : [`input ${target}: f32${sizes(shape)}`, `loss = squared_loss(${name}, ${target})`]
  const isPicture = net.inputs.length === 1 && net.inputs[0]!.shape.length === 3 && [1, 3].includes(net.inputs[0]!.shape[0]!)
  return {
    remarks: ['To train on, say what is right and how wrong it is, and how to train:', ...lines.map((line) => `  ${line}`)],
    train: [
      'train {',
      `  data     ${isPicture && shape.length === 1 ? 'images("my-pictures")' : '"my-data"'}`,
      '  batch    32',
      '  epochs   10',
      '  solver   sgd(lr: 0.001, momentum: 0.9, weight_decay: 1e-4)',
      '}',
    ],
  }
}

/** A line of more letters is nothing to read: then classes are counted. */
const LONGEST = 500

/** The type of the labels of so many classes, with their names where the model has them and they can be written. */
function labelType(count: number, map: readonly number[], names: readonly string[] = []): string {
  const counted = typeText({ shape: map, classes: count })
  if (names.length !== count || new Set(names).size !== count || names.some((name) => name.trim() === '')) return counted
  if (names.some((name) => /["\p{C}\u2028\u2029]/u.test(name))) return counted
  const named = typeText({ shape: map, classes: names })
  return named.length <= LONGEST ? named : counted
}
