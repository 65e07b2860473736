/**
 * The facts about a net that TypeScript knows: names, and the kind of the numbers under each. `fusenet compile` writes them beside a
 * bundle (`bundle.d.ts`), for `open<Mnist>('/mnist/')`. There are only types here.
 */
import type { ProgramName } from '../bundle/format.ts'

/** Numbers of an input, an output, a parameter: float32, or integers (labels). */
export type Kind = 'f32' | 'i32'

/** Kinds by name. */
export type Kinds = Readonly<Record<string, Kind>>

/** The form of what is known of a net. A bundle without a program has `never` for what that program alone takes or gives. */
export interface NetSpec {
  readonly name: string
  readonly programs: string
  /** The inputs of `run`. What training alone reads is optional. */
  readonly inputs: object
  /** The inputs of `step` and `trainStep`. */
  readonly trainInputs: object
  /** The outputs of `run`. */
  readonly outputs: object
  readonly losses: object
  /** Their sum, of an evaluation. */
  readonly loss: number | undefined
  readonly metrics: object
  readonly gradients: object
  readonly parameters: object
  /** The names of the classes of each label, label 0 first; undefined where only the data could name them. */
  readonly labels: object
  /** The classes of the first label. */
  readonly classes: readonly string[] | undefined
}

/** An output of integers, a label that is given back, is known as one where its name is. */
type Floats = Readonly<Record<string, 'f32'>>

/** A net of which nothing is known: all names are allowed. */
export interface AnyNet extends NetSpec {
  /** Names of the programs that there may be; texts that were put together are checked when it is opened. */
  readonly programs: ProgramName | (string & {})
  readonly inputs: Kinds
  readonly trainInputs: Kinds
  readonly outputs: Floats
  readonly losses: Floats
  readonly metrics: Floats
  readonly gradients: Floats
  readonly parameters: Floats
  readonly labels: Readonly<Record<string, readonly string[] | undefined>>
}
