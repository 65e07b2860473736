import type { InputEntry } from '../../bundle/format.ts'
import { InputError } from '../../bundle/errors.ts'
import { matchClasses, relabel } from './classes.ts'
import type { Dataset } from './dataset.ts'

/** The names of the classes of a net's labels: from its text, or from the data that it was trained with; and of the columns of a table that it was trained with. */
export class NetClasses {
  readonly #inputs: readonly InputEntry[]
  readonly #names = new Map<string, readonly string[]>()
  readonly #columns = new Map<string, readonly string[]>()

  constructor(inputs: readonly InputEntry[]) {
    this.#inputs = inputs
    for (const { name, classNames, columns } of inputs) {
      if (classNames) this.#names.set(name, classNames)
      if (columns) this.#columns.set(name, columns)
    }
  }

  of(label: string): readonly string[] | undefined {
    return this.#names.get(label)
  }

  /** The net's inputs with the names of now. */
  get inputs(): readonly InputEntry[] {
    return this.#inputs.map((input) => {
      const [classNames, columns] = [this.#names.get(input.name), this.#columns.get(input.name)]
      return classNames || columns ? { ...input, ...(classNames && { classNames }), ...(columns && { columns }) } : input
    })
  }

  /**
   * The dataset with labels as the net has them: classes are matched by name. `learn`: where the net has no names, those of the data are
   * its own from now on. Throws InputError where they cannot be matched, and where columns of a table are not those of the training.
   */
  apply(fields: ReadonlyMap<string, string>, dataset: Dataset, learn: boolean): Dataset {
    const changes = new Map<string, readonly number[]>()
    for (const input of this.inputs) {
      const field = fields.get(input.name)
      if (field === undefined) continue
      const { columns } = dataset.fields[field]!
      if (columns && input.columns && columns.join('\n') !== input.columns.join('\n'))
        throw otherColumns(input.name, columns, input.columns)
      if (columns && learn) this.#columns.set(input.name, columns)
      const { labels, names, learned } = matchClasses(input, dataset.fields[field]!)
      if (labels) changes.set(field, labels)
      if (learned && learn && names) this.#names.set(input.name, names)
    }
    return relabel(dataset, changes)
  }
}

function otherColumns(name: string, given: readonly string[], trained: readonly string[]): InputError {
  const at = given.findIndex((column, i) => column !== trained[i])
  return new InputError(
    `the table has other columns for input ${name} than the one that the net was trained with, or in another order: ${name}[${at}] is ${
      given[at]
    } and was ${trained[at]}. Read it with the inputs of the trained bundle, which match columns by name: loadDataset(file, { inputs })`,
  )
}
