import type { Evaluation } from '../../runtime/evaluate.ts'
import type { Bundle } from '../../runtime/format.ts'
import type { NetData } from '../datasets.ts'
import type { Found, TrainChoices } from './snapshots.ts'

/** All that a training needs to know before it starts. */
export interface Job {
  /** As the command line names the net. */
  readonly file: string
  readonly bundle: Bundle
  readonly data: NetData
  readonly choices: TrainChoices
  readonly resumed?: Found
  readonly output?: string
  readonly mostSeconds: number
  readonly snapshots: string
}

export interface Result {
  readonly seed: number
  readonly steps: number
  readonly seconds: number
  /** Of the last update. */
  readonly loss: number
  readonly test: Evaluation
}

/** How often Ctrl-C was pressed. */
export interface Interrupt {
  count: number
}
