import { copyOf } from '../../bundle/copy.ts'
import { Errors, type SentError } from './errors.ts'

/** A MessagePort, of a page or of Node. */
export interface Port {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void
  onmessage: ((event: { readonly data: unknown }) => void) | null
  close(): void
}

type Message =
  | { readonly call: number; readonly name: string; readonly args: readonly unknown[] }
  | { readonly done: number; readonly result: unknown }
  | { readonly failed: number; readonly error: SentError }
  | { readonly tell: string; readonly args: readonly unknown[] }

/** The functions that one side offers to the other, by name. */
export type Offers = Readonly<Record<string, (...args: never[]) => unknown>>

interface Waiting {
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** Calls in both directions over one port. Typed arrays within `moved` values change hands; everything else is copied. */
export class Channel {
  readonly #port: Port
  readonly #errors = new Errors()
  readonly #waiting = new Map<number, Waiting>()
  #next = 1
  #ended: { readonly why: unknown } | undefined

  constructor(port: Port, offers: Offers) {
    this.#port = port
    port.onmessage = ({ data }) => {
      void this.#hear(data as Message, offers)
    }
  }

  /** Calls what the other side offers. Rejects with what it throws. Throws at once where the arguments cannot be sent. */
  call(name: string, ...args: readonly unknown[]): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#ended.why)
    const call = this.#next++
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject })
    })
    try {
      this.#post({ call, name, args })
    } catch (error) {
      this.#waiting.delete(call)
      return Promise.reject(error)
    }
    return answer
  }

  /** Says something that is not answered. */
  tell(name: string, ...args: readonly unknown[]): void {
    if (!this.#ended) this.#post({ tell: name, args })
  }

  async #hear(message: Message, offers: Offers): Promise<void> {
    if ('done' in message) return this.#take(message.done)?.resolve(message.result)
    if ('failed' in message) return this.#take(message.failed)?.reject(this.#errors.receive(message.error))
    const name = 'call' in message ? message.name : message.tell
    try {
      const offer = offers[name]
      if (!offer) throw new Error(`nothing is called ${name} here: page and worker are of different versions of fusenet`)
      const result = await offer(...message.args as never[])
      if ('call' in message) this.#answer({ done: message.call, result })
    } catch (error) {
      if ('call' in message) this.#answer({ failed: message.call, error: this.#errors.send(error) })
    }
  }

  #answer(message: Message): void {
    if (this.#ended) return
    try {
      this.#post(message)
    } catch (error) {
      // What was to be given back cannot be sent.
      if ('done' in message) this.#post({ failed: message.done, error: this.#errors.send(error) })
    }
  }

  #take(call: number): Waiting | undefined {
    const waiting = this.#waiting.get(call)
    this.#waiting.delete(call)
    return waiting
  }

  #post(message: Message): void {
    const buffers = new Set<ArrayBuffer>()
    const body = unpack(message, buffers)
    this.#port.postMessage(body, [...buffers])
  }

  /** Ends the channel: from now on nothing is sent, and what waits is refused. */
  end(why: unknown): void {
    if (this.#ended) return
    this.#ended = { why }
    for (const { reject } of this.#waiting.values()) reject(why)
    this.#waiting.clear()
    this.#port.close()
  }
}

/** A value whose typed arrays belong to the message: they change hands and are not copied. */
class Moved {
  readonly value: unknown
  constructor(value: unknown) {
    this.value = value
  }
}
export const moved = (value: unknown): unknown => new Moved(value)

/** The message as it is sent; `buffers` gets what changes hands. */
function unpack(message: Message, buffers: Set<ArrayBuffer>): unknown {
  const open = (value: unknown): unknown => (value instanceof Moved ? (collect(value.value, buffers), value.value) : value)
  if ('args' in message) return { ...message, args: message.args.map(open) }
  return 'result' in message ? { ...message, result: open(message.result) } : message
}

function collect(value: unknown, buffers: Set<ArrayBuffer>): void {
  if (ArrayBuffer.isView(value)) {
    if (value.buffer instanceof ArrayBuffer) buffers.add(value.buffer)
  } else if (value instanceof Map) { for (const each of value.values()) collect(each, buffers) }
  else if (Array.isArray(value)) {
    if (typeof value[0] !== 'number') { for (const each of value) collect(each, buffers) }
  } else if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    for (const each of Object.values(value))
      collect(each, buffers)
  }
}

/** Copies of all typed arrays in it, each with a buffer of its own: what may change hands. */
export function detached<T>(value: T): T {
  if (ArrayBuffer.isView(value)) return copyOf(value) as T
  if (value instanceof Map) return new Map([...value].map(([key, each]) => [key, detached(each)])) as T
  if (Array.isArray(value)) return (typeof value[0] === 'number' ? value : value.map(detached)) as T
  if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype)
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, detached(each)])) as T
  return value
}
