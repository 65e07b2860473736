/** A net as its user sees it, on whichever thread it runs: what `open` gives. There are only types here. */
import type { Dataset } from './data/dataset.ts'
import type { Device, Precision } from '../bundle/device.ts'
import type { EvaluateOptions, Evaluation } from './evaluate-options.ts'
import type { Bundle, Manifest, Storage, TensorData } from '../bundle/format.ts'
import type { Host } from './host-types.ts'
import type { TrainingIdentity } from '../bundle/training-identity.ts'
import type { FloatValues, LabelValues } from './inputs.ts'
import type { AnyNet, NetSpec } from './net-spec.ts'
import type { TrainStats } from '../bundle/programs.ts'
import type { Snapshot } from './snapshot.ts'
import type { TensorLike } from './tensors.ts'
import type { TrainEvent, TrainOptions } from './train-options.ts'

type Values<Of> = Of extends 'f32' ? FloatValues : Of extends 'i32' ? LabelValues : never
/** The type of array that a device of this precision gives for numbers of a kind. */
type ArrayOf<Of, P extends Precision> = P extends 'f64' ? Float64Array<ArrayBuffer>
  : Of extends 'i32' ? Int32Array<ArrayBuffer>
  : Float32Array<ArrayBuffer>
type Given<Fields, P extends Precision> = { readonly [Name in keyof Fields]: ArrayOf<Fields[Name], P> }

/** The inputs of `run`. */
export type Inputs<S extends NetSpec = AnyNet> = { readonly [Name in keyof S['inputs']]: Values<S['inputs'][Name]> }
/** The inputs of `step` and `trainStep`. */
export type TrainInputs<S extends NetSpec = AnyNet> = { readonly [Name in keyof S['trainInputs']]: Values<S['trainInputs'][Name]> }
/** The outputs of `run`. */
export type Outputs<S extends NetSpec = AnyNet, P extends Precision = 'f32'> = Given<S['outputs'], P>
/** The results of `step` beside gradients: outputs, losses, metrics. */
export type TrainOutputs<S extends NetSpec = AnyNet, P extends Precision = 'f32'> = Given<S['outputs'] & S['losses'] & S['metrics'], P>
/** Gradients by the names of parameters and inputs. */
export type Gradients<S extends NetSpec = AnyNet, P extends Precision = 'f32'> = Given<S['gradients'], P>
/** Parameters and statistics by name, as they are handed in: in a Map or a plain object. */
export type Parameters<S extends NetSpec = AnyNet> =
  | ReadonlyMap<string, TensorLike>
  | { readonly [Name in keyof S['parameters']]?: TensorLike }

export interface StepResult<S extends NetSpec = AnyNet, P extends Precision = 'f32'> {
  /** The sum of all losses. */
  readonly loss: number
  readonly outputs: TrainOutputs<S, P>
  readonly grads: Gradients<S, P>
  /** The number of elements of the parameters whose gradient or new value was not finite: those kept what they had. 0 without an update. */
  readonly nonFinite: number
}

export interface TrainStep {
  /** Updates done with this one. */
  readonly step: number
  readonly rate: number
  /** Its reading is under way; steps that follow do not change it, and need not wait for it. Rejects with NonFiniteError: see `trainStep`. */
  readonly loss: Promise<number>
}

/** A bundle that is loaded on a device at a batch size. `S`: its names, from `bundle.d.ts`; `P`: in what the device computes. */
export interface Net<S extends NetSpec = AnyNet, P extends Precision = 'f32'> {
  readonly manifest: Manifest
  readonly device: Device
  readonly batch: number
  /** The number format in which weights and values between layers are stored. */
  readonly storage: Storage
  /** Each difference from what was asked for, with its reason: for instance WebGPU failed, so that the CPU runs. */
  readonly notes: readonly string[]
  /** Updates done so far: the t of schedules and of Adam. */
  readonly steps: number
  readonly seed: number
  /**
   * The names of the classes, label 0 first: from the net's text, or from the data that it was trained with. Undefined where neither
   * names them. They are those of the first input that has classes; `classesOf` gives those of another input.
   */
  readonly classes: S['classes']
  /** The identity of this training; it contains the data once `train` was called. */
  readonly identity: TrainingIdentity

  /** Names of the parameters that do not learn, because the net was compiled so or by `freeze`. */
  readonly frozen: readonly string[]

  classesOf<Label extends keyof S['labels'] & string>(label: Label): S['labels'][Label]

  /** Infers. `stats: 'batch'` normalizes with this batch's statistics, whatever was stored. */
  run(inputs: Inputs<S>, options?: { readonly stats?: 'global' | 'batch' }): Promise<Outputs<S, P>>

  /**
   * One training step with everything it computed. `update: false` leaves parameters and statistics as they are. `rate`
   * overrides the schedule's. `stats: 'global'` normalizes with the stored statistics and leaves them as they are: a step on
   * few samples, or one, that does not unlearn what all the others taught. The bundle must hold that program.
   */
  step(
    inputs: TrainInputs<S>,
    options?: { readonly update?: boolean; readonly rate?: number; readonly stats?: TrainStats },
  ): Promise<StepResult<S, P>>

  /**
   * Trains on one batch, or on `accumulate` of them before one update. Resolves when it is submitted, so that the next
   * can be prepared while it runs. `stats` as for `step`. Its `loss` rejects with NonFiniteError where the loss, a gradient or a new weight is
   * not finite, unless `keepGoing` is set.
   */
  trainStep(
    inputs: TrainInputs<S> | readonly TrainInputs<S>[],
    options?: { readonly rate?: number; readonly stats?: TrainStats; readonly keepGoing?: boolean },
  ): Promise<TrainStep>

  /**
   * Keeps parameters as they are, to the bit, while others learn: those that patterns mean (`['conv*', 'stage1']`, `['*', '!fc2']`; as for
   * `compile`), and none that an earlier call named: `[]` lets all learn again. Weight decay and momentum leave them, too, and gradients of theirs
   * count nothing in `clip_gradients`. A batch_norm whose running statistics are among them normalizes with those: where all are, training takes
   * them of itself (the bundle must hold `train/global`). Gradients are computed all the same; `compile` with `freeze` saves them.
   * Gives the names of all that does not learn now. Throws InputError for patterns that mean nothing.
   */
  freeze(patterns: readonly string[]): Promise<readonly string[]>

  /**
   * Trains over a dataset; each event is an update. Leaving the loop stops after the updates that are under way. One loop at a time: a second
   * one throws InputError.
   */
  train(dataset: Dataset, options?: TrainOptions): AsyncGenerator<TrainEvent, void, undefined>

  /** Loss and metrics over all samples of a dataset, the last partial batch included. */
  evaluate(dataset: Dataset, options?: EvaluateOptions): Promise<Evaluation<S>>

  /** The learning rate of update t; durations in epochs are known once `train` has seen a dataset. */
  rateAt(t: number): number

  /** Parameters and statistics as they are now; float64 where the device computes in it. */
  parameters(): Promise<Map<keyof S['parameters'] & string, TensorData>>

  /**
   * Sets parameters by name, from a Map or a plain object. `strict` (the default) wants all of them and no others; every mismatch is told
   * at once and then nothing is set. The values are copied when the call is made.
   */
  setParameters(values: Parameters<S>, options?: { readonly strict?: boolean }): Promise<void>

  /**
   * The bundle with the parameters of now, as float32. `to`: where it is kept as well: `indexeddb://name` in this browser, which `open` takes again,
   * `download://name` as a file for the user.
   */
  save(to?: string | Host<'URL'>): Promise<Bundle>

  /** All of the training as it is once the steps that were asked for are done. */
  snapshot(): Promise<Snapshot>

  /**
   * Goes on where a snapshot was taken, with its seed. Throws InputError where this net would train otherwise than the snapshot's did (another
   * text, solver, schedule, batch, ...): a new training starts from its parameters by `setParameters`.
   */
  restore(snapshot: Snapshot): Promise<void>

  /** Starts over: initial parameters by the seed, then what the bundle brings, histories zero. */
  reset(seed?: number): Promise<void>

  /** Gives its memory back; what waits, and calls that follow, are refused. Closing it again does nothing. */
  close(): void
}
