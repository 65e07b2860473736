import { mkdir, mkdtemp, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { InputError } from '../../bundle/errors.ts'
import type { Evaluation } from '../../runtime/evaluate-options.ts'
import { withFile } from '../../runtime/loading/file-error.ts'
import type { LocalNet } from '../../runtime/net.ts'
import type { TensorData } from '../../bundle/format.ts'
import { readSnapshot, writeSnapshot } from '../../runtime/node.ts'
import { removeLeftOvers } from '../../runtime/loading/node/files.ts'
import { type Lock, sayHolder, takeLock } from '../../runtime/loading/node/lock.ts'
import { HISTORY, type Snapshot } from '../../runtime/snapshot.ts'
import type { TrainChoices } from './choices.ts'
import type { Watch } from './watch.ts'
import { fileOfStep, fileOfStopped, isBetter, parseScore, readAbout, type Score, stepsOf } from './snapshots.ts'

/** Snapshots of one run that are kept besides the best: `--keep`. */
export const KEPT = 3
const LOCK = '.lock'

export interface Keeping {
  /** The number of snapshots that are kept besides the best. 0: one while it trains, none once it has ended well. */
  readonly keep: number
  /** Whether the training goes on with numbers that are none. */
  readonly keepGoing: boolean
  /** Chooses the best weights: its snapshot stays, and each one tells how far it is. */
  readonly watch?: Watch
}

/** Keeps one training: its snapshots, in a folder that nobody else writes to meanwhile. */
export class Keeper {
  readonly folder: string
  #lock: Lock
  #choices: TrainChoices
  #settings: Keeping
  #scores = new Map<string, Score>()
  #last: string | undefined

  private constructor(folder: string, lock: Lock, choices: TrainChoices, settings: Keeping) {
    this.folder = folder
    this.#lock = lock
    this.#choices = choices
    this.#settings = settings
  }

  /** A folder for a new run, named after when it began, its seed and what it is. Throws InputError. */
  static async begin(place: string, seed: number, identity: string, choices: TrainChoices, settings: Keeping): Promise<Keeper> {
    const name = `${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}-seed${seed}-${identity.slice(0, 8)}`
    return withFile(place, 'written', async () => {
      await mkdir(place, { recursive: true })
      for (let i = 1;; i++) {
        const folder = join(place, i === 1 ? name : `${name}-${i}`)
        if (
          await mkdir(folder).then(() => true, (error: NodeJS.ErrnoException) => {
            if (error.code !== 'EEXIST') throw error
          })
        ) return Keeper.#of(folder, choices, settings)
      }
    })
  }

  /** The folder of a run that goes on. */
  static async resume(folder: string, from: string, choices: TrainChoices, settings: Keeping): Promise<Keeper> {
    const keeper = await Keeper.#of(folder, choices, settings)
    keeper.#last = from
    for (const name of await stepsOf(folder)) {
      const score = parseScore((await readAbout(join(folder, name)))['score'])
      if (score) keeper.#scores.set(name, score)
    }
    return keeper
  }

  static async #of(folder: string, choices: TrainChoices, settings: Keeping): Promise<Keeper> {
    const lock = await takeLock(join(folder, LOCK))
    if (!('release' in lock)) throw new InputError(`${folder} is the training of ${sayHolder(lock)}, which is still under way`)
    await removeLeftOvers(`${folder}/`)
    return new Keeper(folder, lock, choices, settings)
  }

  /** The newest snapshot that was written, or that the training goes on from. */
  get last(): string | undefined {
    return this.#last
  }

  /** The best of those that were written right after a test. */
  get best(): { readonly path: string; readonly score: Score } | undefined {
    let best: [string, Score] | undefined
    for (const entry of this.#scores) if (isBetter(entry[1], best?.[1])) best = entry
    return best && { path: join(this.folder, best[0]), score: best[1] }
  }

  /** The snapshot with the weights that `--best` chose. */
  get #chosen(): string | undefined {
    const best = this.#settings.watch?.best
    return best && join(this.folder, fileOfStep(best.step))
  }

  /** Parameters and statistics of the best test. Throws InputError where that snapshot cannot be read. */
  async bestWeights(): Promise<ReadonlyMap<string, TensorData>> {
    const { tensors } = await readSnapshot(this.#chosen!).catch((error: Error) => {
      throw new InputError(`the best weights, of step ${this.#settings.watch!.best!.step}, cannot be read: ${error.message}`)
    })
    return new Map([...tensors].filter(([name]) => !name.startsWith(HISTORY)))
  }

  /** The best weights so far lie in the folder that a training goes on from: where it has another one now they come along. */
  async bring(from: string): Promise<void> {
    const here = this.#chosen
    if (here === undefined || resolve(from) === resolve(this.folder)) return
    // What is gone was taken for a better one, which comes again.
    const best = await readSnapshot(join(from, basename(here))).catch(() => undefined)
    if (best) await writeSnapshot(best, here)
  }

  /** Writes a snapshot of now and removes old ones. Throws FileError; InputError for weights that are no numbers any more. */
  async write(net: LocalNet, test?: Evaluation): Promise<string> {
    const snapshot = await net.snapshot()
    this.#check(snapshot)
    const score = test && scoreOf(test, this.#settings.watch)
    const name = fileOfStep(snapshot.step)
    const path = join(this.folder, name)
    await writeSnapshot(this.#about(snapshot, score), path)
    if (score) this.#scores.set(name, score)
    this.#last = path
    await this.#prune()
    return path
  }

  /**
   * Writes a snapshot as `write` does, or, where that fails, to the folder for temporary files: no result is lost for want of a place.
   */
  async rescue(net: LocalNet): Promise<string> {
    try {
      return await this.write(net)
    } catch (error) {
      const snapshot = await net.snapshot()
      this.#check(snapshot)
      const folder = await mkdtemp(join(tmpdir(), 'fusenet-rescued-')).catch(() => {
        throw error
      })
      const path = join(folder, fileOfStep(snapshot.step))
      await writeSnapshot(this.#about(snapshot, undefined), path).catch(async () => {
        await rm(folder, { recursive: true, force: true }).catch(() => {})
        throw error
      })
      return this.#last = path
    }
  }

  /**
   * The net as it was when numbers stopped to be some: worth keeping, but not the state to go on from by itself, for the last updates were made
   * in part. So `--resume` of the folder does not take it.
   */
  async leave(net: LocalNet): Promise<string> {
    const snapshot = await net.snapshot()
    refuseNonFinite(snapshot)
    const path = join(this.folder, fileOfStopped(snapshot.step))
    await writeSnapshot(this.#about(snapshot, undefined), path)
    return path
  }

  #check(snapshot: Snapshot): void {
    if (!this.#settings.keepGoing) refuseNonFinite(snapshot)
  }

  #about(snapshot: Snapshot, score: Score | undefined): Snapshot {
    const { watch } = this.#settings
    return {
      ...snapshot,
      about: {
        options: JSON.stringify(this.#choices),
        at: String(Date.now()),
        ...(score && { score: JSON.stringify(score) }),
        ...(watch && { watch: watch.text }),
      },
    }
  }

  /** All but the newest ones and the best. What cannot be removed stays. */
  async #prune(): Promise<void> {
    const best = this.#chosen ?? this.best?.path
    const old = (await stepsOf(this.folder)).slice(Math.max(1, this.#settings.keep)).filter((name) => join(this.folder, name) !== best)
    for (const name of old) {
      await rm(join(this.folder, name), { force: true }).catch(() => {})
      this.#scores.delete(name)
    }
  }

  /** The training has ended well: where none are to be kept, all of them go. */
  async finish(): Promise<void> {
    if (this.#settings.keep > 0) return
    for (const name of await stepsOf(this.folder)) await rm(join(this.folder, name), { force: true }).catch(() => {})
  }

  /** Others may go on with it. A folder without snapshots goes. */
  async close(): Promise<void> {
    await this.#lock.release()
    for (const folder of [this.folder, dirname(this.folder)]) await rmdir(folder).catch(() => {})
  }
}

function refuseNonFinite({ step, tensors }: Snapshot): void {
  for (const [name, { data }] of tensors) {
    for (const value of data) {
      if (typeof value === 'number' && !Number.isFinite(value))
        throw new InputError(`${name} holds ${value} after step ${step}: no snapshot is made of that`)
    }
  }
}

/** An accuracy if there is one, else the loss. */
function scoreOf(test: Evaluation, watch?: Watch): Score | undefined {
  const { loss, metrics } = test
  const name = Object.keys(metrics).find((metric) => /^(accuracy|top)/i.test(metric))
  const score: Score = watch ? watch.scoreOf(test)
    : name === undefined ? { name: 'loss', value: loss ?? NaN, better: 'lower' } : { name, value: metrics[name]!, better: 'higher' }
  return Number.isFinite(score.value) ? score : undefined
}
