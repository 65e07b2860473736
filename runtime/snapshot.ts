import { sha256Of } from '../bundle/digest.ts'
import { InputError } from '../bundle/errors.ts'
import type { TensorData } from '../bundle/format.ts'
import { parseIdentity } from './identity.ts'
import type { TrainingIdentity } from '../bundle/training-identity.ts'
import { say } from '../bundle/plain.ts'
import { readSafetensors, writeSafetensors } from './loading/safetensors.ts'

/**
 * All that a training is made of: a run that is stopped and goes on from here gives the same bits as one that never
 * stopped. Parameters and statistics under their names, solver histories as `history/BUFFER/PARAMETER`.
 */
export interface Snapshot {
  /** Updates done. */
  readonly step: number
  readonly seed: number
  readonly tensors: ReadonlyMap<string, TensorData>
  /** The identity of the training. `net.snapshot()` always contains it. */
  readonly identity?: TrainingIdentity
  /** Texts of whoever writes it down. */
  readonly about?: Readonly<Record<string, string>>
}

export const HISTORY = 'history/'

/** A snapshot as it is handed in. Throws InputError for what is none. */
export function checkSnapshot(snapshot: Snapshot): Snapshot {
  const { step, seed, identity } = snapshot ?? {}
  if (!Number.isSafeInteger(step) || step < 0 || !Number.isSafeInteger(seed))
    throw new InputError(`a snapshot has a step from 0 on, a seed and tensors; here are step ${say(step)}, seed ${say(seed)}`)
  if (identity !== undefined && (typeof identity !== 'object' || identity === null))
    throw new InputError(`the identity of a snapshot is an object, here is ${say(identity)}`)
  return snapshot
}

const FORMAT = 'fusenet-snapshot'
const HASH = /"sha256":"([0-9a-f]{64})"/
type Hash = (bytes: Uint8Array) => string

/**
 * Encodes a snapshot as a safetensors file. The file contains its own SHA-256, computed with zeros in the place of the hash. `hash`: a
 * faster implementation, if there is one.
 */
export function encodeSnapshot({ step, seed, tensors, identity, about }: Snapshot, hash: Hash = sha256Of): Uint8Array {
  const bytes = writeSafetensors(tensors, {
    format: FORMAT,
    sha256: '0'.repeat(64),
    step: String(step),
    seed: String(seed),
    ...(identity && { identity: JSON.stringify(identity) }),
    ...(about && { about: JSON.stringify(about) }),
  })
  const at = placeOfHash(bytes)!
  bytes.set(new TextEncoder().encode(hash(bytes)), at.from)
  return bytes
}

/** The other way. Throws InputError for anything but a whole snapshot: every byte counts. */
export function decodeSnapshot(bytes: Uint8Array, what = 'snapshot', hash: Hash = sha256Of): Snapshot {
  const { tensors, metadata } = readSafetensors(bytes, what)
  const step = Number(metadata['step'])
  const seed = Number(metadata['seed'])
  if (metadata['format'] !== FORMAT || !Number.isSafeInteger(step) || step < 0 || !Number.isSafeInteger(seed))
    throw new InputError(`${what}: not a snapshot of a training`)
  const place = placeOfHash(bytes)
  if (!place && /^[0-9a-f]{64}$/.test(metadata['sha256'] ?? ''))
    throw new InputError(
      `${what}: another program has written it anew (its header is not as fusenet writes it), so that its checksum proves nothing any more: take the file as it was, `
        + 'or, where it was changed on purpose, its parameters without its metadata as weights (--weights)',
    )
  if (!place || place.hash !== metadata['sha256'])
    throw new InputError(`${what}: it carries no checksum, so it is of an earlier fusenet, or damaged`)
  const zeroed = new Uint8Array(bytes)
  zeroed.fill(0x30, place.from, place.from + 64)
  if (hash(zeroed) !== place.hash) throw new InputError(`${what}: it is damaged: its checksum is another`)
  return {
    step,
    seed,
    tensors,
    ...(metadata['identity'] !== undefined && { identity: parseIdentity(metadata['identity'], what) }),
    ...(metadata['about'] !== undefined && { about: parseAbout(metadata['about'], what) }),
  }
}

/** The position of the hash in the header: metadata come first there. */
function placeOfHash(bytes: Uint8Array): { from: number; hash: string } | undefined {
  const header = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  // One character a byte, so that places in the text are places in the file.
  const text = String.fromCharCode(...bytes.subarray(8, 8 + Math.min(header, 400)))
  const match = HASH.exec(text)
  return match ? { from: 8 + match.index + '"sha256":"'.length, hash: match[1]! } : undefined
}

function parseAbout(text: string, what: string): Record<string, string> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every((v) => typeof v === 'string'))
      return value as Record<string, string>
  } catch {
    // Told below, as a value of another form is.
  }
  throw new InputError(`${what}: what it says about itself is not understood`)
}
