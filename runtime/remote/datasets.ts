/** Datasets of a page, for a net in a worker. */
import { type Arrays, arrays, type Column, columnsOf, type Dataset, type Draw, type Field } from '../data/dataset.ts'
import { elementCount } from '../../bundle/sizes.ts'
import { type Channel, moved } from './channel.ts'
import type { ColumnKind, SentDataset } from './messages.ts'
import { nextTask, turns } from '../next-task.ts'

/** Bytes of a column that are copied at once, and numbers of samples that are read at once: a millisecond or so. */
const COPIED_AT_ONCE = 2 ** 21
const READ_AT_ONCE = 2 ** 15

const KINDS = { f32: Float32Array, i32: Int32Array, u8: Uint8Array } as const
const kindOf = (data: Column['data']): ColumnKind => (data instanceof Float32Array ? 'f32' : data instanceof Int32Array ? 'i32' : 'u8')

const isShared = (data: Column['data']): boolean => typeof SharedArrayBuffer !== 'undefined' && data.buffer instanceof SharedArrayBuffer

function describe(id: number, dataset: Dataset, columns: Readonly<Record<string, Column>> | undefined): SentDataset {
  const fields = Object.fromEntries(
    Object.entries(dataset.fields).map((
      [name, { shape, type, classes, classNames, columns: named }],
    ): [string, Field] => [name, {
      shape: [...shape],
      type,
      ...(classes !== undefined && { classes }),
      ...(classNames && { classNames: [...classNames] }),
      ...(named && { columns: [...named] }),
    }]),
  )
  const described = columns && Object.fromEntries(
    Object.entries(columns).map((
      [name, { data, scale }],
    ) => [name, {
      kind: kindOf(data),
      length: data.length,
      ...(scale !== undefined && { scale }),
      ...(isShared(data) && { shared: data }),
    }]),
  )
  return { id, length: dataset.length, fields, marked: dataset.mark !== undefined, ...(described && { columns: described }) }
}

/** The page's side: sends arrays once, and reads samples of everything else when they are asked for. */
export class SentDatasets {
  readonly #channel: () => Channel
  readonly #sent = new Map<number, Dataset>()
  #next = 1

  constructor(channel: () => Channel) {
    this.#channel = channel
  }

  /**
   * Has a dataset at hand for the other side while work is done with it. The work begins at once, so that it keeps its place among other calls; what
   * arrays hold follows it, piece by piece.
   */
  async with<T>(dataset: Dataset, work: (sent: SentDataset) => Promise<T>): Promise<T> {
    const id = this.#next++
    const columns = columnsOf(dataset)
    this.#sent.set(id, dataset)
    let isOver = false
    const done = work(describe(id, dataset, columns)).finally(() => {
      isOver = true
    })
    done.catch(() => {})
    try {
      if (columns) await this.#sendColumns(id, columns, () => isOver)
      return await done
    } finally {
      this.#sent.delete(id)
      this.#channel().tell('forget', id)
    }
  }

  async #sendColumns(id: number, columns: Readonly<Record<string, Column>>, isOver: () => boolean): Promise<void> {
    for (const [name, { data }] of Object.entries(columns)) {
      if (isShared(data)) continue
      const step = COPIED_AT_ONCE / data.BYTES_PER_ELEMENT
      for (let from = 0; from < data.length && !isOver(); from += step) {
        this.#channel().tell('column', id, name, from, moved(data.slice(from, from + step)))
        await nextTask()
      }
    }
    if (!isOver()) this.#channel().tell('arrived', id)
  }

  /** Samples that the other side asks for, as arrays of its own. */
  async read(id: number, indices: ArrayLike<number>, names: readonly string[], draw: Draw | undefined): Promise<unknown> {
    const dataset = this.#sent.get(id)!
    const fields = names.map((name) => ({ name, size: elementCount(dataset.fields[name]!.shape), type: dataset.fields[name]!.type }))
    const all = Object.fromEntries(
      fields.map((
        { name, size, type },
      ) => [name, type === 'i32' ? new Int32Array(size * indices.length) : new Float32Array(size * indices.length)]),
    )
    const step = Math.max(1, Math.floor(READ_AT_ONCE / fields.reduce((sum, { size }) => sum + size, 0)))
    const turn = turns()
    for (let from = 0; from < indices.length; from += step) {
      const some = Array.from({ length: Math.min(step, indices.length - from) }, (_, i) => indices[from + i]!)
      const into: Arrays = Object.fromEntries(
        fields.map(({ name, size }) => [name, all[name]!.subarray(from * size, (from + some.length) * size)]),
      )
      await dataset.read(some, into, draw)
      await turn()
    }
    return moved(all)
  }

  mark(id: number): string | Promise<string> {
    return this.#sent.get(id)!.mark!()
  }
}

/** Arrays that are on their way. */
interface Arriving {
  readonly columns: ReadonlyMap<string, Column['data']>
  readonly whole: Promise<void>
  arrive(): void
}

/** The worker's side. */
export class ReceivedDatasets {
  readonly #channel: () => Channel
  readonly #arriving = new Map<number, Arriving>()

  constructor(channel: () => Channel) {
    this.#channel = channel
  }

  column(id: number, name: string, from: number, data: Column['data']): void {
    this.#arriving.get(id)?.columns.get(name)!.set(data, from)
  }

  arrived(id: number): void {
    this.#arriving.get(id)?.arrive()
  }

  forget(id: number): void {
    this.#arriving.delete(id)
  }

  /** The dataset; who reads arrays waits until they are here. */
  dataset({ id, length, fields, marked, columns }: SentDataset): Dataset {
    if (columns) {
      const { columns: own, whole } = this.#expect(id, columns)
      const dataset = arrays(Object.fromEntries(
        Object.entries(columns).map(([name, { scale }]): [string, Column] => [name, {
          ...fields[name]!,
          data: own.get(name)!,
          ...(scale !== undefined && { scale }),
        }]),
      ))
      return {
        ...dataset,
        read: async (...of) => {
          await whole
          await dataset.read(...of)
        },
        mark: async () => {
          await whole
          return await dataset.mark!()
        },
      }
    }
    return {
      length,
      fields,
      read: async (indices, into, draw) => {
        const found = await this.#channel().call('read', id, Uint32Array.from(indices), Object.keys(into), draw) as Arrays
        for (const [name, data] of Object.entries(found)) into[name]!.set(data)
      },
      ...(marked && { mark: () => this.#channel().call('mark', id) as Promise<string> }),
    }
  }

  #expect(id: number, columns: NonNullable<SentDataset['columns']>): Arriving {
    let arrive = (): void => {}
    const whole = new Promise<void>((resolve) => {
      arrive = resolve
    })
    const own = new Map(
      Object.entries(columns).map(([name, { kind, length, shared }]) => [name, (shared ?? new KINDS[kind](length)) as Column['data']]),
    )
    const arriving = { columns: own, whole, arrive }
    this.#arriving.set(id, arriving)
    return arriving
  }
}
