import type { InputEntry } from '../../bundle/format.ts'
import { matchClasses, relabel } from './classes.ts'
import type { Dataset } from './dataset.ts'

/** The names of the classes of a net's labels: from its text, or from the data that it was trained with. */
export class NetClasses {
  readonly #inputs: readonly InputEntry[]
  readonly #names = new Map<string, readonly string[]>()

  constructor(inputs: readonly InputEntry[]) {
    this.#inputs = inputs
    for (const { name, classNames } of inputs) if (classNames) this.#names.set(name, classNames)
  }

  of(label: string): readonly string[] | undefined {
    return this.#names.get(label)
  }

  /** The net's inputs with the names of now. */
  get inputs(): readonly InputEntry[] {
    return this.#inputs.map((input) => {
      const classNames = this.#names.get(input.name)
      return classNames ? { ...input, classNames } : input
    })
  }

  /**
   * The dataset with labels as the net has them: classes are matched by name. `learn`: where the net has no names, those of the data are
   * its own from now on. Throws InputError where they cannot be matched.
   */
  apply(fields: ReadonlyMap<string, string>, dataset: Dataset, learn: boolean): Dataset {
    const changes = new Map<string, readonly number[]>()
    for (const input of this.inputs) {
      const field = fields.get(input.name)
      if (field === undefined) continue
      const { labels, names, learned } = matchClasses(input, dataset.fields[field]!)
      if (labels) changes.set(field, labels)
      if (learned && learn && names) this.#names.set(input.name, names)
    }
    return relabel(dataset, changes)
  }
}
