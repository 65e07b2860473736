import type { Arrays, Dataset, Draw } from './data/dataset.ts'
import type { InputEntry } from '../bundle/format.ts'
import type { Inputs } from './net-api.ts'
import { elementCount } from '../bundle/sizes.ts'

/**
 * Reads batches of a dataset into arrays that are allocated once. Two sets in turn: one is read (images may be decoded
 * on the way) while the other is written to the device.
 */
export class BatchReader {
  readonly #dataset: Dataset
  readonly #sets: { readonly fields: Arrays; readonly inputs: Inputs }[]
  #turn = 0

  constructor(dataset: Dataset, fields: ReadonlyMap<string, string>, inputs: readonly InputEntry[], batch: number, sets = 2) {
    this.#dataset = dataset
    this.#sets = Array.from({ length: sets }, () => {
      const arrays: Record<string, Float32Array | Int32Array> = {}
      const byInput: Record<string, Float32Array | Int32Array> = {}
      for (const input of inputs) {
        const field = fields.get(input.name)
        if (field === undefined) continue
        const count = elementCount(input.shape, batch)
        byInput[input.name] = arrays[field] ??= input.type === 'i32' ? new Int32Array(count) : new Float32Array(count)
      }
      return { fields: arrays, inputs: byInput }
    })
  }

  async read(indices: ArrayLike<number>, draw?: Draw): Promise<Inputs> {
    const set = this.#sets[this.#turn++ % this.#sets.length]!
    await this.#dataset.read(indices, set.fields, draw)
    return set.inputs
  }
}
