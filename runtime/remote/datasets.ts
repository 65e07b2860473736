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

/** The page's side: sends arrays once, and reads samples of everything else when they are asked for. */
export class SentDatasets {
  readonly #channel: () => Channel
  readonly #sent = new Map<number, Dataset>()
  #next = 1

  constructor(channel: () => Channel) {
    this.#channel = channel
  }

  /** Has a dataset at hand for the other side while work is done with it. */
  async with<T>(dataset: Dataset, work: (sent: SentDataset) => Promise<T>): Promise<T> {
    const id = this.#next++
    this.#sent.set(id, dataset)
    try {
      return await work(await this.#send(id, dataset))
    } finally {
      this.#sent.delete(id)
      this.#channel().tell('forget', id)
    }
  }

  async #send(id: number, dataset: Dataset): Promise<SentDataset> {
    const columns = columnsOf(dataset)
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
    const sent: SentDataset = { id, length: dataset.length, fields, marked: dataset.mark !== undefined }
    if (!columns) return sent
    const shared = (data: Column['data']): boolean => typeof SharedArrayBuffer !== 'undefined' && data.buffer instanceof SharedArrayBuffer
    const described = Object.fromEntries(
      Object.entries(columns).map((
        [name, { data, scale }],
      ) => [name, {
        kind: kindOf(data),
        length: data.length,
        ...(scale !== undefined && { scale }),
        ...(shared(data) && { shared: data }),
      }]),
    )
    for (const [name, { data }] of Object.entries(columns)) {
      if (shared(data)) continue
      const step = COPIED_AT_ONCE / data.BYTES_PER_ELEMENT
      for (let from = 0; from < data.length; from += step) {
        this.#channel().tell('column', id, name, kindOf(data), data.length, from, moved(data.slice(from, from + step)))
        await nextTask()
      }
    }
    return { ...sent, columns: described }
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

/** The worker's side. */
export class ReceivedDatasets {
  readonly #channel: () => Channel
  readonly #columns = new Map<number, Map<string, Column['data']>>()

  constructor(channel: () => Channel) {
    this.#channel = channel
  }

  column(id: number, name: string, kind: ColumnKind, length: number, from: number, data: Column['data']): void {
    const columns = this.#columns.get(id) ?? new Map<string, Column['data']>()
    this.#columns.set(id, columns)
    const whole = columns.get(name) ?? new KINDS[kind](length)
    columns.set(name, whole)
    whole.set(data, from)
  }

  forget(id: number): void {
    this.#columns.delete(id)
  }

  dataset({ id, length, fields, marked, columns }: SentDataset): Dataset {
    if (columns) {
      return arrays(Object.fromEntries(
        Object.entries(columns).map(([name, { kind, scale, shared }]): [string, Column] => {
          const data = (shared ?? this.#columns.get(id)?.get(name) ?? new KINDS[kind]()) as Column['data']
          return [name, { ...fields[name]!, data, ...(scale !== undefined && { scale }) }]
        }),
      ))
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
}
