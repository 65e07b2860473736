import { InputError } from './errors.ts'
import type { TensorData } from './format.ts'
import { readSafetensors, writeSafetensors } from './safetensors.ts'

/**
 * All that a training is made of: a run that is stopped and goes on from here gives the same bits as one that never
 * stopped. Parameters and statistics under their names, solver histories as `history/BUFFER/PARAMETER`.
 */
export interface Snapshot {
  /** Updates done. */
  readonly step: number
  readonly seed: number
  readonly tensors: ReadonlyMap<string, TensorData>
}

export const HISTORY = 'history/'

export const encodeSnapshot = (snapshot: Snapshot): Uint8Array =>
  writeSafetensors(snapshot.tensors, { format: 'fusenet-snapshot', step: String(snapshot.step), seed: String(snapshot.seed) })

export function decodeSnapshot(bytes: Uint8Array, what = 'snapshot'): Snapshot {
  const { tensors, metadata } = readSafetensors(bytes, what)
  const step = Number(metadata['step'])
  const seed = Number(metadata['seed'])
  if (metadata['format'] !== 'fusenet-snapshot' || !Number.isSafeInteger(step) || step < 0 || !Number.isSafeInteger(seed)) throw new InputError(`${what}: not a snapshot of a training`)
  return { step, seed, tensors }
}
