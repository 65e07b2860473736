import type { Source } from '../dsl/source.ts'
import { InputError } from '../bundle/errors.ts'
import type { Memory, Storage, Style } from '../bundle/format.ts'
import { batchRule, call, checkOptions, flag, list, oneOf, type Rule, text } from '../bundle/options.ts'
import { isNamed, say } from '../bundle/plain.ts'
import { TARGET_NAMES } from '../bundle/plans.ts'
import type { Watch } from './steps.ts'
import type { Schedules, ScheduleUse } from './targets/target.ts'

export interface CompileOptions {
  /** The name under which errors speak of a text. Default `<text>`. */
  readonly file?: string
  /** Overrides what the file says. */
  readonly style?: Style
  /**
   * `small` trades time for memory: training computes again, kernel by kernel, what it would keep for the backward pass where that lowers
   * the peak. The same results, to rounding. Default `fast`.
   */
  readonly memory?: Memory
  /**
   * `true`: every output of a convolution is the sum of its own products, on the CPU too. By default 3x3 and 5x5 convolutions of some size
   * are computed there by Winograd's algorithm, in tiles of 4x4 or 2x2 outputs: faster, but the rounding of an output is then that of the
   * largest input of its tile (docs/numbers.md). Tuned schedules do not bring it back. Default false.
   */
  readonly precise?: boolean
  /**
   * `true`: beside each WebAssembly module one more, with kernels for hosts that run WebAssembly with vectors of twice the width (Node from
   * 24 on, on x86-64 with AVX2: see `wasm`). Others do not read it. The same numbers to the bit. Refused where `targets` leave `wasm` out. Default false.
   */
  readonly wide?: boolean
  /** Gives the text of `import "./other.net"`; absent: imports are errors. */
  readonly readImport?: (path: string, from: Source) => Source | undefined
  /**
   * The programs that are compiled (and what they need prepared). Default: all that the net has, but for training with stored statistics, which
   * is asked for by name: `['default', 'step/global', 'train/global']`, where `default` stands for all others.
   */
  readonly programs?: readonly string[]
  /** The targets that are compiled for: `webgpu`, `wasm`, `webgpu-f16`, `webgpu-software`. Default: the first two, and what `storage` and `software` add; where targets are named these add none. */
  readonly targets?: readonly string[]
  /**
   * `f16`: one plan more, `webgpu-f16`, that infers with values between layers and weights stored as f16, for adapters that
   * have `shader-f16`. Arithmetic stays float32. Default `f32`.
   */
  readonly storage?: Storage
  /** One plan more, `webgpu-software`, for adapters that a CPU pretends to be. Default false: they run `webgpu`, slowly. */
  readonly software?: boolean
  /**
   * Parameters that do not learn, by patterns: `['conv*', 'stage1', '!stage1.conv2']` (`*` any letters, `?` one; a layer or block stands for all of
   * its parameters; `!` takes out again). Neither their gradients nor what only these need is computed, and the backward pass ends where nothing
   * below learns. A batch_norm whose running statistics are among them normalizes with those in training too, and keeps them to the bit.
   */
  readonly freeze?: readonly string[]
  /** Passes to leave out, to find out which one makes a number wrong. */
  readonly without?: readonly string[]
  /** Ways to compute kernels that are known to be fast, of each target by its name: what `fusenet tune` found. */
  readonly schedules?: Readonly<Record<string, Schedules>>
  /**
   * Called for each target of `schedules` with what became of them: by how many kernels are computed, which do not fit and why, and how many are for
   * kernels of other nets. Those that do not fit change nothing.
   */
  readonly onSchedules?: (use: ScheduleUse) => void
  /** Remarks say of every fusion on a CPU what was estimated, not only where that decided. Default false: it takes time. */
  readonly estimates?: boolean
  /** `false`: another net, the same without its normalizations (`drop-normalization`), to compare with. It carries no text. */
  readonly normalize?: boolean
  /**
   * Samples at a time in training, where that is not what the file says: kernels are chosen and memory is packed for it, the bundle trains with it unless
   * `open` names another one, and what would not be learned at it is refused. A bundle runs with any other batch, too.
   */
  readonly batch?: number
  /** Lets the file train with a batch at which a `batch_norm` sees one value a channel: see `open`, which wants the same. Default false. */
  readonly allowOneValue?: boolean
  /** Called after every step of the compiler with what the step left. */
  readonly watch?: Watch
}

export interface InspectOptions extends CompileOptions {
  /** Samples that the numbers are for. Default 1. */
  readonly batch?: number
  /** The target whose kernels are shown: `webgpu` (the default), `wasm`, `webgpu-f16` or `webgpu-software`. */
  readonly target?: string
}

const areSchedules = (given: unknown): boolean =>
  isNamed(given) &&
  Object.entries(given).every(([target, of]) => TARGET_NAMES.includes(target) && isNamed(of) && Object.values(of).every(isNamed))

const RULES: Readonly<Record<keyof CompileOptions, Rule>> = {
  file: text,
  style: oneOf('merged', 'split'),
  memory: oneOf('fast', 'small'),
  precise: flag,
  wide: flag,
  readImport: call,
  programs: list,
  targets: list,
  storage: oneOf('f32', 'f16'),
  software: flag,
  freeze: list,
  without: list,
  schedules: [
    areSchedules,
    `an object { TARGET: { KERNEL: schedule } }, as fusenet tune found them, of the targets ${TARGET_NAMES.join(', ')},`,
  ],
  onSchedules: call,
  normalize: flag,
  batch: batchRule,
  allowOneValue: flag,
  estimates: flag,
  watch: call,
}

/** Throws InputError for options that there are not, for values that mean nothing, and for what is no text. `of`: whose they are. */
export function checkCompile(of: string, source: string | Source, options: CompileOptions | undefined): void {
  const { file, text } = (typeof source === 'string' ? { file: '', text: source } : source ?? {}) as Partial<Source>
  if (typeof text !== 'string' || typeof file !== 'string')
    throw new InputError(`${of} takes the text of a net, or { file, text }; here is ${say(source)}`)
  if (/^[^\s{}]+\.net$/i.test(text))
    throw new InputError(`${of} takes the text of a net, not the name of its file: ${of}(await readFile(${say(text)}, 'utf8'))`)
  checkOptions(of, options, RULES)
}

/** The same of `inspect`. */
export function checkInspect(source: string | Source, options: InspectOptions | undefined): void {
  const { target: _, ...rest } = checkOptions('inspect', options, { ...RULES, target: text })
  checkCompile('inspect', source, rest)
}
