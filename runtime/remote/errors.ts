/** Errors on their way between a page and a worker: of their class and with their fields, and the very object where one comes back to where it was thrown. */
import { DeviceError } from '../../bundle/device.ts'
import { BundleError, InputError, NonFiniteError } from '../../bundle/errors.ts'
import { OtherTrainingError } from '../identity.ts'
import { NothingLeftError } from '../train-options.ts'

/** The narrower first. */
const CLASSES = {
  OtherTrainingError,
  NothingLeftError,
  NonFiniteError,
  InputError,
  BundleError,
  DeviceError,
  TypeError,
  RangeError,
  SyntaxError,
} as const

/** An error as data that a message takes. */
export interface SentError {
  readonly kind?: string
  readonly name: string
  readonly message: string
  readonly stack?: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly cause?: SentError
  /** The sender's number of it. */
  readonly own: number
  /** The receiver's number of it, where the receiver threw it. */
  readonly back?: number
}

/** Errors of this side that may come back; older ones come back as copies. */
const MOST_KEPT = 100

/** The errors that crossed a channel, as one side of it knows them. */
export class Errors {
  readonly #thrown = new Map<number, unknown>()
  /** Numbers of what the other side threw. */
  readonly #theirs = new WeakMap<object, number>()
  #next = 1

  send(error: unknown): SentError {
    const own = this.#next++
    this.#thrown.set(own, error)
    this.#thrown.delete(own - MOST_KEPT)
    const back = typeof error === 'object' && error !== null ? this.#theirs.get(error) : undefined
    const known = { own, ...(back !== undefined && { back }) }
    if (!(error instanceof Error)) return { name: 'Error', message: String(error), fields: { thrown: cloneable(error) }, ...known }
    const kind = Object.entries(CLASSES).find(([, Class]) => error instanceof Class)?.[0]
    const fields = Object.fromEntries(
      Object.entries(error).filter(([name]) => name !== 'name').map(([name, value]) => [name, cloneable(value)]),
    )
    return {
      ...(kind && { kind }),
      name: error.name,
      message: error.message,
      stack: error.stack,
      fields,
      ...(error.cause !== undefined && { cause: this.send(error.cause) }),
      ...known,
    }
  }

  receive(sent: SentError): unknown {
    if (sent.back !== undefined && this.#thrown.has(sent.back)) return this.#thrown.get(sent.back)
    const error = this.#made(sent)
    if (typeof error === 'object' && error !== null) this.#theirs.set(error, sent.own)
    return error
  }

  #made({ kind, name, message, stack, fields, cause }: SentError): unknown {
    if ('thrown' in fields) return fields['thrown']
    const Class = kind !== undefined && Object.hasOwn(CLASSES, kind) ? CLASSES[kind as keyof typeof CLASSES] : Error
    if (Class === Error && DOM_ERRORS.includes(name) && typeof DOMException !== 'undefined') return new DOMException(message, name)
    const error = Object.create(Class.prototype) as Error
    const hidden = (value: unknown): PropertyDescriptor => ({ value, writable: true, configurable: true, enumerable: false })
    Object.defineProperties(error, { message: hidden(message), stack: hidden(stack), ...(cause && { cause: hidden(this.receive(cause)) }) })
    return Object.assign(error, { name, ...fields })
  }
}

const DOM_ERRORS = ['AbortError', 'TimeoutError', 'NetworkError', 'QuotaExceededError', 'SecurityError', 'DataCloneError']

/** Replaces a value that a message cannot hold by its text. */
function cloneable(value: unknown): unknown {
  try {
    return structuredClone(value)
  } catch {
    return String(value)
  }
}
