import { InputError } from '../bundle/errors.ts'
import type { TrainStats } from '../bundle/programs.ts'

export interface TrainOptions {
  /**
   * The number of epochs from here on: `epochs: 1` is one epoch more, whatever was trained before. Without `epochs` and `steps` the net
   * trains up to the length that the file gives the whole training, of which what is done is a part; without such a length, one epoch
   * more.
   */
  readonly epochs?: number
  /** Updates from here on, in place of `epochs`. */
  readonly steps?: number
  /** `epochs` and `steps` are the length of the whole training, with what was done before. Default false. */
  readonly total?: boolean
  /** Updates that may be under way before the oldest is reported: hides the way to the GPU and back. Default 4. */
  readonly ahead?: number
  /** `global`: normalizes with the stored statistics, which stay as they are. The bundle must hold `train/global`. Default `batch`. */
  readonly stats?: TrainStats
  /** Parameters that stay as they are meanwhile, by patterns as for `net.freeze`, beside those that it named. Afterwards they learn again. */
  readonly freeze?: readonly string[]
  /** Trains on where the loss, a gradient or a new weight is not finite, instead of throwing NonFiniteError. Default false. */
  readonly keepGoing?: boolean
  /** `false`: pictures stay as they are, whatever the file's `augment` says. Default true: changed by chance, as `fusenet train` does. */
  readonly augment?: boolean
}

/** All updates that a training was to have are done. */
export class NothingLeftError extends InputError {}

export interface TrainEvent {
  /** Updates done, and to be done in all. */
  readonly step: number
  readonly steps: number
  /** The epoch that this update belongs to, from 0. */
  readonly epoch: number
  readonly stepsPerEpoch: number
  readonly epochEnd: boolean
  /** The loss of this update's batches, before it. */
  readonly loss: number
  readonly rate: number
  /**
   * Whether the file wants a test or a snapshot now. Then, and at the end of an epoch, nothing is under way: parameters
   * are those after this update.
   */
  readonly testDue: boolean
  readonly snapshotDue: boolean
}
