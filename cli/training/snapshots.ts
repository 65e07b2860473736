import { open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { InputError } from '../../bundle/errors.ts'
import { withFile } from '../../runtime/loading/file-error.ts'
import { readSnapshot } from '../../runtime/node.ts'
import type { Snapshot } from '../../runtime/snapshot.ts'
import { mustExist } from '../files.ts'
import { parseChoices, type TrainChoices } from './choices.ts'
import { quoted } from '../../bundle/quoted.ts'

/** Snapshots of a run lie in a folder of its own, `step-00000100.safetensors`; runs lie in a place, `NAME.snapshots`. */
const STEP = /^step-(\d+)\.safetensors$/
/** What `Keeper.leave` writes. */
const STOPPED = /^stopped-\d+\.safetensors$/
const RUN = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-seed\d+-[0-9a-f]{8}(-\d+)?$/

export const fileOfStep = (step: number): string => `step-${String(step).padStart(8, '0')}.safetensors`
export const fileOfStopped = (step: number): string => `stopped-${String(step).padStart(8, '0')}.safetensors`
export const stepOfFile = (name: string): number => Number(STEP.exec(basename(name))?.[1] ?? NaN)
export const isRunFolder = (path: string): boolean => RUN.test(basename(resolve(path)))

/** A test's number that says which snapshot is the best. */
export interface Score {
  readonly name: string
  readonly value: number
  readonly better: 'higher' | 'lower'
}

export const isBetter = (a: Score, b: Score | undefined): boolean =>
  b === undefined || (a.better === 'higher' ? a.value > b.value : a.value < b.value)

/** The snapshot to resume from. */
export interface Found {
  readonly path: string
  readonly snapshot: Snapshot
  readonly choices: TrainChoices
  /** The run's folder where this is its newest snapshot: the same run goes on in it. */
  readonly run?: string
  /** The folder of all runs, if the snapshot is of one. */
  readonly place?: string
  /** Newer ones that are damaged, and why. */
  readonly damaged: readonly string[]
  /** The number of runs to choose from. */
  readonly runs: number
}

/** A snapshot by its file, by the folder of its run (the newest sound one), or by the place of several runs (of the one that went on last). */
export async function findSnapshot(path: string): Promise<Found> {
  if (await mustExist(path) === 'file') {
    const folder = dirname(path)
    const steps = Number.isNaN(stepOfFile(path)) || !isRunFolder(folder) ? [] : await stepsOf(folder)
    try {
      return {
        ...await read(path),
        damaged: [],
        runs: 1,
        ...(steps.length > 0 && { place: dirname(folder) }),
        ...(steps[0] === basename(path) && { run: folder }),
      }
    } catch (error) {
      const others = steps.filter((name) => name !== basename(path))
      if (!(error instanceof InputError) || others.length === 0) throw error
      throw new InputError(`${error.message}; ${folder} holds others: ${others.slice(0, 3).join(', ')}`)
    }
  }
  if ((await stepsOf(path)).length > 0) return newestSound(path, 1)
  const runs: { folder: string; at: number }[] = []
  for (const name of await withFile(path, 'read', () => readdir(path))) {
    const folder = join(path, name)
    const newest = RUN.test(name) ? (await stepsOf(folder))[0] : undefined
    if (newest) runs.push({ folder, at: await writtenAt(join(folder, newest)) })
  }
  const last = runs.sort((a, b) => a.at - b.at || (a.folder < b.folder ? -1 : 1)).at(-1)
  if (!last) throw await noSnapshots(path)
  return newestSound(last.folder, runs.length)
}

/** The state of a training that met a number that is none is not gone on from by itself: it is named, with what can be done. */
async function noSnapshots(path: string): Promise<InputError> {
  const stopped: string[] = []
  for (const folder of [path, ...(await readdir(path)).filter((name) => RUN.test(name)).map((name) => join(path, name))])
    stopped.push(...(await readdir(folder).catch(() => [])).filter((name) => STOPPED.test(name)).map((name) => join(folder, name)))
  const left = stopped.sort().at(-1)
  return new InputError(
    left === undefined ? `${path} holds no snapshots: neither step-00000100.safetensors nor folders of trainings`
      : `${path} holds no snapshot to go on from, only ${left}: the weights of a training that stopped at a number that is not finite. `
        + `--weights ${quoted(left)} starts a new one from them, with a lower rate or clip_gradients; --resume ${
          quoted(left)
        } goes on as it was`,
  )
}

/** Names of a folder's snapshots, the newest first. */
export async function stepsOf(folder: string): Promise<string[]> {
  const names = await withFile(folder, 'read', () => readdir(folder))
  return names.filter((name) => STEP.test(name)).sort((a, b) => stepOfFile(b) - stepOfFile(a))
}

async function newestSound(folder: string, runs: number): Promise<Found> {
  const damaged: string[] = []
  for (const name of await stepsOf(folder)) {
    try {
      return { ...await read(join(folder, name)), damaged, runs, run: folder, place: dirname(folder) }
    } catch (error) {
      if (!(error instanceof InputError)) throw error
      damaged.push(error.message)
    }
  }
  throw new InputError(`${folder} holds no sound snapshot:\n  ${damaged.join('\n  ')}`)
}

async function read(path: string): Promise<Pick<Found, 'path' | 'snapshot' | 'choices'>> {
  const snapshot = await readSnapshot(path)
  if (!snapshot.identity)
    throw new InputError(`${path} does not say which training it is of: start a new one from its parameters by --weights ${quoted(path)}`)
  return { path, snapshot, choices: parseChoices(snapshot.about?.['options'] ?? '{}', path) }
}

/** The metadata of a snapshot, read without the rest of it; empty where they cannot be understood. */
export async function readAbout(path: string): Promise<Record<string, string>> {
  try {
    const handle = await open(path, 'r')
    try {
      const length = Buffer.alloc(8)
      await handle.read(length, 0, 8, 0)
      const bytes = Buffer.alloc(Math.min(Number(length.readBigUInt64LE()), 64 * 2 ** 20))
      await handle.read(bytes, 0, bytes.length, 8)
      const { __metadata__: metadata } = JSON.parse(bytes.toString('utf8')) as { __metadata__: Record<string, string> }
      return JSON.parse(metadata['about']!) as Record<string, string>
    } finally {
      await handle.close()
    }
  } catch {
    return {}
  }
}

async function writtenAt(path: string): Promise<number> {
  const { at } = await readAbout(path)
  return Number(at) || (await stat(path)).mtimeMs
}

export function parseScore(text: string | undefined): Score | undefined {
  try {
    const { name, value, better } = JSON.parse(text ?? '') as Partial<Score>
    return typeof name === 'string' && Number.isFinite(value) && (better === 'higher' || better === 'lower')
      ? { name, value: value!, better } : undefined
  } catch {
    return undefined
  }
}
