import type { Numbers } from '../bundle/device.ts'
import { InputError } from '../bundle/errors.ts'
import type { InputEntry, Manifest, OutputEntry } from '../bundle/format.ts'

/** The scores of one class against all others. */
export interface ClassScore {
  readonly label: number
  readonly name?: string
  /** Labels of this class, and how often it was predicted. */
  readonly support: number
  readonly predicted: number
  /** The share of its predictions that are right. Of all three: 0 where it divides by nothing, undefined for a class that is neither labelled nor predicted. */
  readonly precision?: number
  /** The share of its labels that were found. */
  readonly recall?: number
  /** 2 precision recall / (precision + recall); 0 where nothing is right. */
  readonly f1?: number
}

/** The evaluation of an output against the labels that it is scored by. */
export interface ClassEvaluation {
  /** Names of the input with the labels and of the output with the scores. */
  readonly label: string
  readonly output: string
  readonly classes: readonly ClassScore[]
  /** The confusion matrix: row i, column j counts samples of class i that were classified as j. */
  readonly confusion: readonly (readonly number[])[]
  /** Labels that are no class, which losses ignore. */
  readonly ignored: number
  /** Labels whose scores hold NaN: no class is predicted, and they count as wrong. */
  readonly unscored: number
}

/** Counts predictions by class, batch by batch: the best score is the prediction, and of equal ones one that is wrong, as `accuracy` counts. */
export class ConfusionCounter {
  readonly label: InputEntry
  readonly output: OutputEntry
  readonly #classes: number
  readonly #counts: number[][]
  #ignored = 0
  readonly #unscored: number[]

  constructor(label: InputEntry, output: OutputEntry) {
    this.label = label
    this.output = output
    this.#classes = label.classes!
    this.#counts = Array.from({ length: this.#classes }, () => new Array<number>(this.#classes).fill(0))
    this.#unscored = new Array<number>(this.#classes).fill(0)
  }

  /** One for each output of a net that scores a label. Throws InputError where there is none. */
  static of({ inputs, outputs }: Pick<Manifest, 'inputs' | 'outputs'>): ConfusionCounter[] {
    const found = outputs.flatMap((output) => {
      const label = output.scores === undefined ? undefined : inputs.find(({ name }) => name === output.scores)
      // Several outputs that score a label, as logits and their softmax, would all say the same.
      return label?.classes !== undefined && output.shape[1] === label.classes &&
          outputs.find(({ scores }) => scores === output.scores) === output ? [new ConfusionCounter(label, output)] : []
    })
    if (found.length === 0)
      throw new InputError(
        'perClass: the net has no output that scores the classes of a label: give out what goes into the loss, or its softmax (output prob = softmax(logits))',
      )
    return found
  }

  add(scores: Numbers, labels: ArrayLike<number>, samples: number): void {
    const classes = this.#classes
    const places = labels.length / samples
    for (let i = 0; i < labels.length; i++) {
      const label = labels[i]!
      if (!(label >= 0 && label < classes)) {
        this.#ignored++
        continue
      }
      const at = (k: number): number => scores[(Math.floor(i / places) * classes + k) * places + (i % places)]!
      let best = label
      for (let k = 0; k < classes && best >= 0; k++) {
        const score = at(k)
        if (Number.isNaN(score)) best = -1
        else if (score > at(best) || (score === at(best) && best === label && k !== label)) best = k
      }
      if (best < 0) this.#unscored[label]!++
      else this.#counts[label]![best]!++
    }
  }

  result(names: readonly string[] | undefined): ClassEvaluation {
    const confusion = this.#counts
    const classes = confusion.map((row, label): ClassScore => {
      const right = row[label]!
      const support = row.reduce((sum, n) => sum + n, this.#unscored[label]!)
      const predicted = confusion.reduce((sum, other) => sum + other[label]!, 0)
      return {
        label,
        ...(names?.[label] !== undefined && { name: names[label]! }),
        support,
        predicted,
        // A class without samples that is never predicted has no numbers, as in scikit-learn, so that all means are over the same classes.
        ...(support + predicted > 0 && {
          precision: right / Math.max(1, predicted),
          recall: right / Math.max(1, support),
          f1: (2 * right) / (support + predicted),
        }),
      }
    })
    return {
      label: this.label.name,
      output: this.output.name,
      classes,
      confusion,
      ignored: this.#ignored,
      unscored: this.#unscored.reduce((sum, n) => sum + n, 0),
    }
  }
}
