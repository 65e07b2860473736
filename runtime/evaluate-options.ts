import type { AnyNet, NetSpec } from './net-spec.ts'
import type { ClassEvaluation } from './per-class.ts'

export interface EvaluateOptions {
  /** `batch`: normalize each batch with its own statistics, whatever was stored. Default `global`. */
  readonly stats?: 'global' | 'batch'
  /** `false`: pictures stay as they are. Default true: those that the file's `augment` crops are cropped, to their middle; nothing is left to chance. */
  readonly augment?: boolean
  /** Predictions are counted by class, too: see `Evaluation.perClass`. Runs `infer` beside `eval`, so both must be loaded. Default false. */
  readonly perClass?: boolean
  /** Is called after each batch with the number of samples done. */
  readonly onProgress?: (done: number, of: number) => void
}

export interface Evaluation<S extends NetSpec = AnyNet> {
  readonly count: number
  /** The sum of all losses with their weights. Undefined where the net has none. */
  readonly loss: S['loss']
  /** Every loss and metric by name. */
  readonly metrics: { readonly [Name in keyof (S['losses'] & S['metrics'])]: number }
  /** Precision, recall and confusions of each label that an output scores. Only with `perClass`. */
  readonly perClass?: readonly ClassEvaluation[]
  /** Each difference from what was asked for, with its reason. Absent where there is none. */
  readonly notes?: readonly string[]
}
