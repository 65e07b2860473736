/** The messages between a page and the worker of a net. */
import type { Field } from '../data/dataset.ts'
import type { Manifest, Storage } from '../../bundle/format.ts'
import type { TrainingIdentity } from '../../bundle/training-identity.ts'
import type { Horizon } from '../../bundle/learning-rate.ts'

/** The greeting of a page to a worker; a port for one net comes with it. */
export const GREETING = 'fusenet'
/** The answer of a worker that has the lock named in the greeting, by which its end is known. */
export const HOLDS = 'holds'

/** The part of the Web Locks API that is used. */
interface Locks {
  request(name: string, work: () => unknown): Promise<unknown>
  request(name: string, options: { readonly signal: AbortSignal }, work: () => unknown): Promise<unknown>
}

/** Undefined where there is none: in pages that are not secure. */
export const lockManager = (): Locks | undefined => (globalThis as { navigator?: { locks?: Locks } }).navigator?.locks

/** The state of a net that is readable without waiting: the page holds a copy. */
export interface NetState {
  readonly steps: number
  readonly seed: number
  readonly horizon: Horizon
  readonly notes: readonly string[]
  readonly frozen: readonly string[]
  /** The identity, sent where it may have changed. */
  readonly identity?: TrainingIdentity
  readonly classes?: Readonly<Record<string, readonly string[]>>
}

export interface DeviceFacts {
  readonly name: string
  readonly description: string
  readonly identity?: Readonly<Record<string, string>>
  readonly software: boolean
  readonly half?: boolean
}

/** A net that was opened. Its plans stay where it runs: they are large, and a page does nothing with them. */
export interface OpenedNet {
  readonly manifest: Omit<Manifest, 'plans'>
  readonly device: DeviceFacts
  readonly batch: number
  readonly storage: Storage
  readonly state: NetState
  /** Names of the inputs that must be there: for `run`, and for a training step. */
  readonly needs: { readonly run: readonly string[]; readonly step: readonly string[] }
}

/** A dataset as its user's side describes it: read from there, or, once `columns` are there, at hand. */
export interface SentDataset {
  readonly id: number
  readonly length: number
  readonly fields: Readonly<Record<string, Field>>
  readonly marked: boolean
  readonly columns?: Readonly<
    Record<string, { readonly kind: ColumnKind; readonly length: number; readonly scale?: number; readonly shared?: unknown }>
  >
}
export type ColumnKind = 'f32' | 'i32' | 'u8'

/** The answer of the page's own `fetch`. */
export interface FetchAnswer {
  readonly status: number
  readonly statusText: string
  readonly url: string
  readonly redirected: boolean
  readonly type: string | null
  readonly body: Uint8Array<ArrayBuffer>
}
