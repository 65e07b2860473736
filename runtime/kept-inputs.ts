import type { Numbers } from '../bundle/device.ts'
import type { InputEntry } from '../bundle/format.ts'
import type { ReadyInput } from './inputs.ts'

/** Copies of one input that are held for calls to come; more at a time are left to the collector. */
const MOST_HELD = 4

/**
 * Inputs of calls that wait for their turn. The caller's arrays are the caller's again when the call returns, so what waits is copied,
 * into arrays that are used again and again.
 */
export class KeptInputs {
  readonly #free = new Map<InputEntry, Numbers[]>()

  /** The inputs with nothing of the caller's in them. */
  keep(inputs: ReadonlyMap<InputEntry, ReadyInput>): Map<InputEntry, ReadyInput> {
    return new Map(
      [...inputs].map(([input, ready]) => [input, ready.borrowed ? { data: this.#copy(input, ready.data), borrowed: false } : ready]),
    )
  }

  #copy(input: InputEntry, data: Numbers): Numbers {
    const free = this.#free.get(input) ?? []
    const at = free.findIndex((array) => array.length === data.length && array.constructor === data.constructor)
    if (at < 0) return data.slice()
    const [array] = free.splice(at, 1)
    array!.set(data)
    return array!
  }

  /** Takes them back when they were written to the device. */
  release(inputs: ReadonlyMap<InputEntry, ReadyInput>): void {
    for (const [input, { data }] of inputs) {
      const free = this.#free.get(input) ?? []
      if (input.type === 'f32' && free.length < MOST_HELD) this.#free.set(input, [...free, data])
    }
  }
}
