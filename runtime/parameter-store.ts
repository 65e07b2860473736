import type { Numbers, Session } from '../bundle/device.ts'
import { InputError } from '../bundle/errors.ts'
import type { Manifest, ParameterEntry, TensorData } from '../bundle/format.ts'
import { initialValues } from './initializers.ts'
import { elementCount, showShape } from '../bundle/sizes.ts'
import { HISTORY } from './snapshot.ts'
import { reaches, readSlices, type BufferSlice, writeSlices } from './buffer-slices.ts'

/** Values that fit, on their way to a session. */
export interface Writes {
  readonly slices: readonly (readonly [BufferSlice, Numbers])[]
  readonly unused: ReadonlyMap<string, TensorData>
  /** Parameters that were set before are discarded, and those that are not set now are initialized with this seed. */
  readonly seed?: number
}

/** Parameters, statistics and solver histories of a session, by name. */
export class ParameterStore {
  readonly #entries: readonly ParameterEntry[]
  readonly #session: Session
  /**
   * Parameters of layers that nothing depends on: no kernel reads them, so they lie nowhere, but they are kept. Those that were never set
   * are made when somebody asks for them.
   */
  readonly #unused = new Map<string, TensorData>()
  #seed = 0

  constructor({ parameters }: Manifest, session: Session) {
    this.#entries = parameters
    this.#session = session
  }

  /**
   * The buffer slice of each parameter that a kernel reads. With `history` also those of the solver's histories, as
   * `history/BUFFER/PARAMETER`.
   */
  slices(history = false): Map<string, BufferSlice> {
    const { plan } = this.#session
    const found = new Map<string, BufferSlice>()
    for (const p of this.#entries) {
      plan.buffers.forEach((b, buffer) => {
        const name = b.role === (p.trainable ? 'parameters' : 'states') ? p.name
          : history && b.role === 'history' && p.trainable ? `${HISTORY}${b.name}/${p.name}` : undefined
        const slice = { buffer, offset: p.offset, length: elementCount(p.shape), shape: p.shape }
        if (name && reaches(plan, slice)) found.set(name, slice)
      })
    }
    return found
  }

  /** All of them as they are now, in the net's order: parameters and statistics, then with `history` the solver's. */
  async read(history = false): Promise<Map<string, TensorData>> {
    const slices = this.slices(history)
    const values = await readSlices(this.#session, [...slices.values()])
    const read = new Map([...slices].map(([name, { shape }], i): [string, TensorData] => {
      const data = values[i]!
      return [name, { shape, type: data instanceof Float64Array ? 'f64' : 'f32', data }]
    }))
    const parameters = this.#entries.map((
      p,
    ): [string, TensorData] => [
      p.name,
      read.get(p.name) ?? this.#unused.get(p.name) ?? { shape: p.shape, type: 'f32', data: initialValues(p, this.#seed) },
    ])
    return new Map([...parameters, ...read])
  }

  /** The values of these parameters as they are now, of those that the programs here have. */
  async values(names: readonly string[]): Promise<Map<string, Numbers>> {
    const slices = this.slices()
    const known = names.filter((name) => slices.has(name))
    const values = await readSlices(this.#session, known.map((name) => slices.get(name)!))
    return new Map(known.map((name, i) => [name, values[i]!]))
  }

  /** The shape of a parameter, or of a history of one. */
  shapeOf(name: string): readonly number[] | undefined {
    const own = name.startsWith(HISTORY) ? name.slice(name.indexOf('/', HISTORY.length) + 1) : name
    return this.#entries.find((p) => p.name === own)?.shape
  }

  /**
   * Sorts values by where they go. `strict` wants all of them and no others; every mismatch is told at once. `what`: they are, in a
   * message.
   */
  fit(values: ReadonlyMap<string, TensorData>, what: string, { strict = true, history = false } = {}): Writes {
    const slices = this.slices(history)
    const shapes = new Map(this.#entries.map((p) => [p.name, p.shape]))
    const wrong: string[] = []
    const writes: (readonly [BufferSlice, Numbers])[] = []
    const unused = new Map<string, TensorData>()
    for (const [name, value] of values) {
      const slice = slices.get(name)
      const shape = slice?.shape ?? shapes.get(name)
      if (!shape) {
        if (strict) wrong.push(`there is no ${what} ${name}`)
      } else if (showShape(value.shape) !== showShape(shape)) wrong.push(`${name} is ${showShape(shape)}, not ${showShape(value.shape)}`)
      else if (value.data.length !== elementCount(shape))
        wrong.push(`${name} ${showShape(shape)} takes ${elementCount(shape)} numbers, here are ${value.data.length}`)
      else if (slice) writes.push([slice, asNumbers(value)])
      else unused.set(name, value)
    }
    if (strict) {
      for (const name of new Set([...slices.keys(), ...shapes.keys()])) if (!values.has(name)) wrong.push(`${name} is missing`)
    }
    if (wrong.length) throw new InputError(`these ${what}s do not fit the net:\n  ${wrong.join('\n  ')}`)
    return { slices: writes, unused }
  }

  async write({ slices, unused, seed }: Writes): Promise<void> {
    await writeSlices(this.#session, slices)
    if (seed !== undefined) {
      this.#seed = seed
      this.#unused.clear()
    }
    for (const [name, value] of unused) this.#unused.set(name, value)
  }

  /** First values by the seed, but for `brought` ones. Throws InputError where these do not fit. */
  first(seed: number, brought: ReadonlyMap<string, TensorData> = new Map()): Writes {
    const lies = this.slices()
    const made = this.#entries.filter(({ name }) => lies.has(name) && !brought.has(name))
      .map((p): [string, TensorData] => [p.name, { shape: p.shape, type: 'f32', data: initialValues(p, seed) }])
    return { ...this.fit(new Map([...made, ...brought]), 'parameter', { strict: false }), seed }
  }
}

function asNumbers({ data }: TensorData): Numbers {
  if (data instanceof BigInt64Array) return Float64Array.from(data, Number)
  return data instanceof Uint8Array ? Float32Array.from(data) : data
}
