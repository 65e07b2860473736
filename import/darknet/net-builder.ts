import { elementCount } from '../../bundle/sizes.ts'
import type { Argument, ModelInput, ModelLayer, ModelResult, ModelTensor } from '../model-net.ts'
import type { Findings, Options } from './options.ts'
import type { WeightPlan } from './weights.ts'

/**
 * What a section gives to those behind it. `map` is [C, H, W] where Darknet has an image; where it has only numbers (behind `[softmax]`, a
 * `[route]` of maps of unequal sizes) there is none. `shape` is the shape of the value in the language: [C, H, W], or [N] behind `fc`.
 */
export interface Made {
  readonly value: string
  readonly shape: readonly number[]
  readonly map: readonly [c: number, h: number, w: number] | undefined
  /** Why no section can read it, where none can. */
  readonly closed?: string
}

/** The largest number of elements of a value: Darknet counts them in an int. */
const MOST = 2 ** 31 - 1

/** The net while it is put together, and what sections read of each other. */
export class NetBuilder {
  readonly findings: Findings
  readonly weights: WeightPlan
  readonly inputs: ModelInput[] = []
  readonly layers: ModelLayer[] = []
  readonly results: ModelResult[] = []
  /** What each section gave, by its number in Darknet's counting (the first behind `[net]` is 0). */
  readonly made: Made[] = []
  /** Whether weights are to decay: then biases and normalizations say that they do not. */
  readonly decays: boolean
  /** Samples of a forward pass: batch / subdivisions. */
  readonly batch: number
  /** Adds 1e-5 to the variance, as Darknets of a GPU and of others do, instead of 1e-6 to the deviation. */
  readonly laterBatchNorm: boolean
  /** Whether some normalization would have one value a channel in training. */
  hasOneValue = false
  /** The last section that is not trained: the last with `stopbackward`. */
  readonly #frozen: number
  #inner = 0
  /** The first layer of the section that is read. */
  #opened = 0

  constructor(findings: Findings, weights: WeightPlan, training: { decays: boolean; batch: number; frozen: number }) {
    this.findings = findings
    this.weights = weights
    this.decays = training.decays
    this.batch = training.batch
    this.#frozen = training.frozen
    this.laterBatchNorm = weights.header?.revision === 5
  }

  /** The number of the section that is read. */
  get index(): number {
    return this.made.length
  }

  /** Adds a layer of the language. Gives its value. */
  layer(
    options: Options,
    op: string,
    inputs: readonly (string | number)[],
    args: Readonly<Record<string, Argument | undefined>> = {},
    parameters?: Readonly<Record<string, ModelTensor>>,
  ): string {
    const output = `layer${this.index}_${++this.#inner}`
    this.layers.push({
      op,
      inputs,
      arguments: Object.fromEntries(Object.entries(args).filter((entry): entry is [string, Argument] => entry[1] !== undefined)),
      ...(parameters && { parameters }),
      output,
      from: [`${this.index} [${options.section.kind}]`],
    })
    return output
  }

  /** Ends a section: its output is called after it, `layer12`. */
  close(made: Made): Made {
    const [value, name] = [made.value, `layer${this.index}`]
    this.#inner = 0
    if (!value.startsWith(`${name}_`)) {
      this.made.push(made)
      return made
    }
    for (let i = this.#opened; i < this.layers.length; i++) {
      const layer = this.layers[i]!
      if (layer.output !== value && !layer.inputs.includes(value)) continue
      const inputs = layer.inputs.map((input) => input === value ? name : input)
      this.layers[i] = { ...layer, inputs, output: layer.output === value ? name : layer.output }
    }
    this.#opened = this.layers.length
    const renamed = { ...made, value: name }
    this.made.push(renamed)
    return renamed
  }

  /** The argument `lr_mult` of a layer with so many parameters: what the section says of its rate, 0 up to `stopbackward`. */
  rateOf(options: Options, parameters: number): { lr_mult?: readonly number[] } {
    const rate = this.index <= this.#frozen ? 0 : options.float('learning_rate', 1)
    options.take('learning_rate')
    return rate === 1 ? {} : { lr_mult: Array.from({ length: parameters }, () => rate) }
  }

  /** A map [C, H, W] that is there as numbers becomes a map of the language. A problem where Darknet has no image either. */
  asMap(options: Options, x: Made): { value: string; map: readonly [number, number, number] } | undefined {
    if (!x.map) {
      options.problem('reads a map, and what stands in front of it gives numbers without height and width')
      return undefined
    }
    if (x.shape.length === 3) return { value: x.value, map: x.map }
    return { value: this.layer(options, 'reshape', [x.value], { dims: x.map }), map: x.map }
  }

  /** The numbers of a value as one row [N]. */
  asRow(options: Options, x: Made): string {
    return x.shape.length === 1 ? x.value : this.layer(options, 'flatten', [x.value])
  }

  /** Says what a section gives, after looking at its size. */
  give(options: Options, made: Made): Made {
    const size = elementCount(made.shape)
    if (made.shape.some((d) => !(d >= 1)))
      options.problem(`its output would be ${showShape(made.shape)}`, 'a window does not fit into its map')
    else if (size > MOST) options.problem(`its output ${showShape(made.shape)} has ${size} numbers, more than Darknet can count`)
    return made
  }
}

/** Channels, height, width as Darknet's users read them: 13 x 13 x 75 is w x h x c there; here [75, 13, 13]. */
export const showShape = (shape: readonly number[]): string => `[${shape.join(', ')}]`

/** A value that stands for one that could not be made, so that the rest of the file is looked at too. */
export const instead = (x: Made, map: readonly [number, number, number] | undefined = x.map): Made => ({
  value: x.value,
  shape: map ?? x.shape,
  map,
})
