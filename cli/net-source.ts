import type { CompileOptions } from '../compiler/compile-options.ts'
import type { Source } from '../dsl/source.ts'
import type { Bundle, Memory, Storage, Style } from '../bundle/format.ts'

/** Options for compiling a net that override its file and its bundle. */
export interface Lowering {
  readonly style?: Style
  readonly memory?: Memory
  /** Without Winograd's algorithm. */
  readonly precise?: boolean
  /** Patterns of what does not learn; an empty list: all learns. */
  readonly freeze?: readonly string[]
  /** `f16`: with the plan for it. */
  readonly storage?: Storage
  /** Whether there is to be a plan for adapters that a CPU pretends to be. A bundle is not compiled again for its sake. */
  readonly software?: boolean
}

/** The options that a bundle was compiled with. */
export interface Made extends Lowering {
  readonly programs?: readonly string[]
  /** Targets beside those that storage and software add. */
  readonly targets?: readonly string[]
  /** The measured schedules by which kernels are computed. */
  readonly schedules?: NonNullable<CompileOptions['schedules']>
  /** Hears what becomes of these schedules. */
  readonly onSchedules?: NonNullable<CompileOptions['onSchedules']>
  /** The batch of training that kernels were chosen for. */
  readonly batch?: number
}

export type NetCompileOptions = Omit<CompileOptions, 'readImport'>

/** A net to be compiled in several ways: of a .net file, or of the text and the weights that a bundle carries. */
export interface NetSource {
  readonly main: Source
  readonly readImport: (path: string, from: Source) => Source | undefined
  /** The compile options of the bundle that it comes from. */
  readonly lowering: Made
  /** Compiles the net. Options that are absent are those of the file or the bundle. Throws CompileError. */
  compile(options: NetCompileOptions): Promise<Bundle>
}
