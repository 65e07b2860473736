import type { Numbers, Session } from '../bundle/device.ts'
import { InputError } from '../bundle/errors.ts'
import type { Manifest, ParameterEntry, TensorData } from '../bundle/format.ts'
import { initialValues } from './initializers.ts'
import { elementCount, showShape } from '../bundle/sizes.ts'
import { HISTORY } from './snapshot.ts'
import { reaches, readStretches, type Stretch, writeStretches } from './store.ts'

/** Values that fit, on their way to a session. */
export interface Writes {
  readonly stretches: readonly (readonly [Stretch, Numbers])[]
  readonly unread: ReadonlyMap<string, TensorData>
  /** What was set before is forgotten, and what is not set now starts by this seed. */
  readonly seed?: number
}

/** Parameters, statistics and solver histories of a session, by name. */
export class ParameterStore {
  readonly #entries: readonly ParameterEntry[]
  readonly #session: Session
  /**
   * Of layers that nothing depends on no kernel reads the parameters, so they lie nowhere, but they are kept. Those that were never set
   * are made when somebody asks for them.
   */
  readonly #unread = new Map<string, TensorData>()
  #seed = 0

  constructor({ parameters }: Manifest, session: Session) {
    this.#entries = parameters
    this.#session = session
  }

  /** Where each parameter lies that a kernel reads; with `history`, where each solver history of it lies, as `history/BUFFER/PARAMETER`. */
  stretches(history = false): Map<string, Stretch> {
    const { plan } = this.#session
    const found = new Map<string, Stretch>()
    for (const p of this.#entries) {
      plan.buffers.forEach((b, buffer) => {
        const name = b.role === (p.trainable ? 'parameters' : 'states') ? p.name
          : history && b.role === 'history' && p.trainable ? `${HISTORY}${b.name}/${p.name}` : undefined
        const stretch = { buffer, offset: p.offset, length: elementCount(p.shape), shape: p.shape }
        if (name && reaches(plan, stretch)) found.set(name, stretch)
      })
    }
    return found
  }

  /** All of them as they are now, in the net's order: parameters and statistics, then with `history` the solver's. */
  async read(history = false): Promise<Map<string, TensorData>> {
    const stretches = this.stretches(history)
    const values = await readStretches(this.#session, [...stretches.values()])
    const read = new Map([...stretches].map(([name, { shape }], i): [string, TensorData] => {
      const data = values[i]!
      return [name, { shape, type: data instanceof Float64Array ? 'f64' : 'f32', data }]
    }))
    const parameters = this.#entries.map((
      p,
    ): [string, TensorData] => [
      p.name,
      read.get(p.name) ?? this.#unread.get(p.name) ?? { shape: p.shape, type: 'f32', data: initialValues(p, this.#seed) },
    ])
    return new Map([...parameters, ...read])
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
    const stretches = this.stretches(history)
    const shapes = new Map(this.#entries.map((p) => [p.name, p.shape]))
    const wrong: string[] = []
    const writes: (readonly [Stretch, Numbers])[] = []
    const unread = new Map<string, TensorData>()
    for (const [name, value] of values) {
      const stretch = stretches.get(name)
      const shape = stretch?.shape ?? shapes.get(name)
      if (!shape) {
        if (strict) wrong.push(`there is no ${what} ${name}`)
      } else if (showShape(value.shape) !== showShape(shape)) wrong.push(`${name} is ${showShape(shape)}, not ${showShape(value.shape)}`)
      else if (value.data.length !== elementCount(shape))
        wrong.push(`${name} ${showShape(shape)} takes ${elementCount(shape)} numbers, here are ${value.data.length}`)
      else if (stretch) writes.push([stretch, asNumbers(value)])
      else unread.set(name, value)
    }
    if (strict) {
      for (const name of new Set([...stretches.keys(), ...shapes.keys()])) if (!values.has(name)) wrong.push(`${name} is missing`)
    }
    if (wrong.length) throw new InputError(`these ${what}s do not fit the net:\n  ${wrong.join('\n  ')}`)
    return { stretches: writes, unread }
  }

  async write({ stretches, unread, seed }: Writes): Promise<void> {
    await writeStretches(this.#session, stretches)
    if (seed !== undefined) {
      this.#seed = seed
      this.#unread.clear()
    }
    for (const [name, value] of unread) this.#unread.set(name, value)
  }

  /** First values by the seed, but for `brought` ones. Throws InputError where these do not fit. */
  first(seed: number, brought: ReadonlyMap<string, TensorData> = new Map()): Writes {
    const lies = this.stretches()
    const made = this.#entries.filter(({ name }) => lies.has(name) && !brought.has(name))
      .map((p): [string, TensorData] => [p.name, { shape: p.shape, type: 'f32', data: initialValues(p, seed) }])
    return { ...this.fit(new Map([...made, ...brought]), 'parameter', { strict: false }), seed }
  }
}

function asNumbers({ data }: TensorData): Numbers {
  if (data instanceof BigInt64Array) return Float64Array.from(data, Number)
  return data instanceof Uint8Array ? Float32Array.from(data) : data
}
