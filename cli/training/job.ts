import type { Evaluation } from '../../runtime/evaluate-options.ts'
import type { BestEntry, Bundle } from '../../bundle/format.ts'
import type { NetData } from '../datasets.ts'
import type { TrainChoices } from './choices.ts'
import type { Found } from './snapshots.ts'
import type { Measure } from './watch.ts'

/** All that a training needs to know before it starts. */
export interface Job {
  /** The net as the command line names it. */
  readonly file: string
  readonly bundle: Bundle
  readonly data: NetData
  readonly choices: TrainChoices
  /** Chose the samples of `limit`. */
  readonly dataSeed: number
  readonly resumed?: Found
  readonly output: string
  readonly mostSeconds: number
  /** The folder of the run that goes on, or where a new one gets its own. */
  readonly run?: string
  readonly place: string
  /** The measure that chooses the best weights; absent: the last ones count. */
  readonly measure?: Measure
  /** Trains on where numbers stop being finite. */
  readonly keepGoing: boolean
  /** The number of snapshots that are kept besides the best. */
  readonly keep: number
  /** Options that a command line for resuming must repeat, such as the device: the snapshot does not contain them. */
  readonly again: readonly string[]
}

export interface Result {
  readonly seed: number
  readonly steps: number
  readonly seconds: number
  /** Loss of the last update; absent where there was none to do. */
  readonly loss?: number
  /** The weights that were tested and written, if they are not the last ones. */
  readonly best?: BestEntry
  readonly test: Evaluation
}

/** It ended before it was complete. */
export interface Ended {
  readonly exitCode: number
}
