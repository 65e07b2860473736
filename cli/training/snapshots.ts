import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { InputError } from '../../runtime/errors.ts'
import type { Net } from '../../runtime/net.ts'
import type { TrainStats } from '../../runtime/programs.ts'
import { decodeSnapshot, encodeSnapshot, type Snapshot } from '../../runtime/snapshot.ts'
import { replaceFile } from '../../runtime/node-files.ts'
import { mustExist, readBytes, readText } from '../files.ts'

/** What a training was started with: resumed, it goes on with the same unless the command line says otherwise. */
export interface TrainChoices {
  readonly data?: string
  readonly testData?: string
  readonly skipBroken?: boolean
  readonly batch?: number
  readonly limit?: number
  readonly epochs?: number
  readonly steps?: number
  readonly style?: 'merged' | 'split'
  readonly memory?: 'fast' | 'small'
  /** Statistics that batch_norm normalizes with. Default `batch`. */
  readonly stats?: TrainStats
}

/** A snapshot and what its training was started with. */
export interface Found {
  readonly snapshot: Snapshot
  readonly choices: TrainChoices
}

const CHOICES = 'train.json'
const fileOf = (step: number): string => `step-${String(step).padStart(8, '0')}.safetensors`

export async function writeSnapshot(folder: string, net: Net, choices: TrainChoices): Promise<string> {
  await mkdir(folder, { recursive: true })
  const snapshot = await net.snapshot()
  const path = join(folder, fileOf(snapshot.step))
  await replaceFile(join(folder, CHOICES), `${JSON.stringify(choices, null, 2)}\n`)
  await replaceFile(path, encodeSnapshot(snapshot))
  return path
}

/** The newest snapshot of a folder, or the one that is named. */
export async function readSnapshot(path: string): Promise<Found> {
  if (await mustExist(path) === 'file') return { snapshot: decodeSnapshot(await readBytes(path), path), choices: {} }
  const newest = (await readdir(path)).filter((name) => /^step-\d+\.safetensors$/.test(name)).sort().at(-1)
  if (!newest) throw new InputError(`${path} holds no snapshots (step-00000100.safetensors, ...)`)
  const text = await readText(join(path, CHOICES)).catch(() => '{}')
  let choices: TrainChoices
  try {
    choices = JSON.parse(text) as TrainChoices
  } catch {
    throw new InputError(`${join(path, CHOICES)} is not JSON`)
  }
  const file = join(path, newest)
  return { snapshot: decodeSnapshot(await readBytes(file), file), choices }
}
