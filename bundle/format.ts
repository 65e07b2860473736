/**
 * The bundle: what the compiler writes and the runtime reads. `docs/bundle.md` explains each field for
 * writers of other hosts; `validate.ts` refuses what does not agree.
 */

export const FORMAT = 'fusenet-bundle'
/** 2: kernels and plans in few files, weights and every file known by size and hash. */
export const FORMAT_VERSION = 3

/** A dimension: a number, or `n`, the batch chosen when the bundle is opened; only axis 0 may be `n`. */
export type Dim = number | 'n'
export type Shape = readonly Dim[]
export type DataType = 'f32' | 'i32'
/** The type of a plan's tensors. f16 is for what neither the host nor another program but `prepare` reads or writes. */
export type ElementType = DataType | 'f16'
export type Style = 'merged' | 'split'
/** `small`: training computes again what it would otherwise keep from the forward pass for the backward pass. */
export type Memory = 'fast' | 'small'
/** The number format in which a plan for inference stores weights and values between layers. Arithmetic is float32 either way. */
export type Storage = 'f32' | 'f16'
/** The programs that a plan with f16 storage holds. */
export const HALF_PROGRAMS: readonly string[] = ['prepare', 'infer', 'eval']

/** Programs that are fetched together: those for stored statistics, which a page that only infers wants, and all others. */
export const GROUPS = ['infer', 'train'] as const
export type Group = (typeof GROUPS)[number]
export const groupOf = (program: string): Group => (HALF_PROGRAMS.includes(program) ? 'infer' : 'train')

export interface Manifest {
  readonly format: typeof FORMAT
  readonly version: number
  readonly name: string
  readonly style: Style
  /** The memory option of the compilation. Absent: `fast`. */
  readonly memory?: Memory
  /** Compiled without Winograd's algorithm. Absent: with it, on the CPU. */
  readonly precise?: boolean
  /** Patterns of the parameters that were compiled not to learn. Absent: all that the text lets learn. */
  readonly freeze?: readonly string[]
  /** The schedules by which kernels are computed because they were measured, by target and by what a kernel computes. Absent: the compiler chose all. */
  readonly schedules?: Readonly<Record<string, Readonly<Record<string, object>>>>
  /** The programs that were asked for, where there is no plan that has them. Absent: the plans say it, or all that the net has are meant. */
  readonly programs?: readonly string[]
  /** The text it was compiled from, the main file first, so that a person can read and a compiler can repeat it. */
  readonly source: { readonly files: readonly { readonly name: string; readonly text: string }[]; readonly sha256: string }
  readonly inputs: readonly InputEntry[]
  readonly outputs: readonly OutputEntry[]
  readonly parameters: readonly ParameterEntry[]
  /** Every batch_norm, in the order of the file. Absent: not known. */
  readonly normalizations?: readonly NormalizationEntry[]
  /** The training that the file describes. Absent when the net has no loss. */
  readonly train?: TrainEntry
  /** The test by which a training chose these weights as its best. Absent: they are the last ones, or nobody said. */
  readonly best?: BestEntry
  /** One plan a target: `webgpu`, `wasm`; `webgpu-f16` and `webgpu-software` where they were asked for. */
  readonly plans: Readonly<Record<string, Plan>>
}

/** The update at which weights were the best, and the measure. */
export interface BestEntry {
  /** A loss or metric, of a part of the data. */
  readonly metric: string
  readonly part: 'validation' | 'test'
  /** The number of training samples that were kept back for it. Absent where the data have a part for it. */
  readonly keptBack?: number
  readonly value: number
  /** The number of updates before the test, and the epoch, from 1, in which it was made. */
  readonly step: number
  readonly epoch: number
}

export interface InputEntry {
  readonly name: string
  readonly type: DataType
  readonly shape: Shape
  /** Labels: integers in 0..classes-1 (or the net's ignored label). */
  readonly classes?: number
  /** The names of the classes, label 0 first: from the text, or from the data that the net was trained with. */
  readonly classNames?: readonly string[]
  /** The names of the columns of the table that the net was trained with, one a number of a sample. Absent: it was trained with no table. */
  readonly columns?: readonly string[]
  /** Further integers that a label may be: what all losses and metrics ignore that read it. Default [-1]. */
  readonly ignore?: readonly number[]
}

/** A layer that normalizes each channel over the batch. */
export interface NormalizationEntry {
  readonly layer: string
  /** The statistics that it keeps for test time. `batch`: none. `global`: those that it was given, in training too. */
  readonly stats: 'moving' | 'cumulative' | 'caffe' | 'batch' | 'global'
  /** The number of values of a channel that its batch statistics are computed from. */
  readonly values: Size
}

export interface OutputEntry {
  readonly name: string
  readonly role: 'output' | 'loss' | 'metric'
  readonly shape: Shape
  /** The factor of a loss in the sum that is trained. Default 1. */
  readonly weight?: number
  /**
   * The terms of a loss or metric: their sum is its value over several batches. Absent: the mean of its values by samples. None: it is
   * made of values of whole batches, so that there is no such number.
   */
  readonly total?: readonly TotalTerm[]
  /** Which values of a metric are the better ones, where that is known. */
  readonly better?: 'higher' | 'lower'
  /** The name of the label input whose classes the channels of this output score. Absent: they score none. */
  readonly scores?: string
}

/** A number of each batch and how these are put together: their mean by samples or by `count`, or their sum; times `factor` (default 1). */
export interface TotalTerm {
  /** The result that holds it. */
  readonly result: string
  readonly over: 'samples' | 'sum' | 'count'
  /** The result that holds by what it counts. */
  readonly count?: string
  readonly factor?: number
}

/**
 * A divisor that an update of several batches needs before it runs: the number of labels of an input that are not the ignored one, at
 * least 1, in all of its batches, over the number of these. It stands in a buffer of `constants`.
 */
export interface DivisorEntry {
  readonly input: string
  readonly ignore: number
  readonly buffer: string
}

export type Initializer =
  | { readonly kind: 'constant'; readonly value: number }
  /** Values lie in [low, high). */
  | { readonly kind: 'uniform'; readonly low: number; readonly high: number }
  | { readonly kind: 'gaussian'; readonly mean: number; readonly deviation: number }
  /** Caffe's filler for up-sampling deconvolutions: square kernels only. */
  | { readonly kind: 'bilinear' }

export interface ParameterEntry {
  /** `conv1.weight`, `bn1.running_mean`: the name in `weights.safetensors`. */
  readonly name: string
  readonly shape: readonly number[]
  /** The place in elements, in the buffer `parameters` if trainable (its gradient and histories lie at the same offset), else `states`. */
  readonly offset: number
  readonly trainable: boolean
  /** It was compiled not to learn, so that it is not `trainable`; running statistics among them are not updated. */
  readonly frozen?: true
  readonly initializer: Initializer
  /** The layer (of all that share it) that owns it: starts random numbers. */
  readonly layer: string
}

/** Names and numbers as in the language: `{ call: 'sgd', args: { lr: 0.05, momentum: 0.9 } }`. */
export interface CallEntry {
  readonly call: string
  readonly args: Readonly<Record<string, unknown>>
}

export interface DurationEntry {
  readonly count: number
  readonly unit: 'steps' | 'epochs'
}

export interface TrainEntry {
  readonly data?: CallEntry
  readonly augment: readonly CallEntry[]
  readonly solver: CallEntry
  /** `warmup` may stand before the schedule proper. */
  readonly schedule: readonly CallEntry[]
  /** The batch that kernels were chosen for: that of the file, or the one that was named where it was compiled. */
  readonly batch: number
  readonly epochs?: number
  readonly steps?: number
  readonly seed: number
  /** Batches whose gradients are added up before one update. */
  readonly accumulate: number
  readonly snapshot?: DurationEntry
  readonly test?: DurationEntry
  /** What divides the gradients of several batches. Only with `accumulate` above 1. */
  readonly divisors?: readonly DivisorEntry[]
}

/** An amount that is linear in the batch: fixed + perSample * n. */
export interface Size {
  readonly fixed: number
  readonly perSample: number
}

export interface Plan {
  readonly target: string
  readonly buffers: readonly BufferEntry[]
  readonly tensors: readonly TensorEntry[]
  readonly kernels: readonly KernelEntry[]
  /** `prepare`, `infer`, `train`, ...: see PROGRAMS. */
  readonly programs: Readonly<Record<string, ProgramEntry>>
  /** The modules of target `wasm`, by groups of programs: each has the kernels that no group before it has. */
  readonly modules?: Readonly<Partial<Record<Group, ModuleEntry>>>
}

/** The modules with the kernels that programs may need, in their order: those of their groups and of the groups before. */
export function modulesFor({ modules = {} }: Plan, programs: readonly string[]): readonly ModuleEntry[] {
  const last = Math.max(0, ...programs.map((name) => GROUPS.indexOf(groupOf(name))))
  return GROUPS.slice(0, last + 1).flatMap((group) => modules[group] ?? [])
}

/**
 * The name of a module's custom section that says what an engine with relaxed SIMD may do: LEB128 numbers, each the distance to the next
 * instruction, from the end of the section on. There `f32x4.mul` becomes three `nop`, `f32x4.add` becomes `f32x4.relaxed_madd`, and `v128.bitselect` (fd d2 00)
 * becomes `i32x4.relaxed_laneselect`. It was `relaxed` in bundles that have no selections among these places.
 */
export const RELAXED_SECTION = 'relaxable'

/** A WebAssembly module: kernel i of the plan is element i of its function table. */
export interface ModuleEntry {
  /** `wasm/infer.wasm`: SIMD and atomic operations, nothing newer; see RELAXED_SECTION. */
  readonly file: string
  /** It and the modules before it have so many kernels of the plan, the first ones. */
  readonly kernels: number
  /** Memory that each thread needs for itself, in bytes. */
  readonly threadBytes: number
  /** A module that puts other forms of some of its kernels in their place, for hosts that run them with vectors of twice the width. */
  readonly wide?: string
}

export interface BufferEntry {
  readonly name: string
  readonly role: 'parameters' | 'gradients' | 'history' | 'states' | 'constants' | 'input' | 'prepared' | 'scratch'
  /** The size. That of scratch says nothing: it is as large as its tensors reach, see `placesAt` in `layout.ts`. */
  readonly elements: Size
  /** Initial contents of `constants`, from the beginning: numbers, and how often they follow each other. */
  readonly data?: readonly { readonly times: number; readonly values: readonly number[] }[]
}

export interface TensorEntry {
  readonly name: string
  readonly shape: Shape
  readonly type: ElementType
  /** Index into `buffers`, and where it starts there, in elements of 4 bytes. */
  readonly buffer: number
  readonly offset: number
  /** A tensor in scratch starts where the last of these tensors ends, all before it in the list; absent: at the start of its buffer. */
  readonly behind?: readonly number[]
}

export interface KernelEntry {
  /** The name tells the layers that use the kernel first; others of the same shape share it. */
  readonly name: string
  /** WGSL: the file with its text, e.g. `webgpu/infer.wgsl`, and the section of that file. Entry point `main`. */
  readonly file?: string
  readonly section?: string
  /**
   * WGSL: a section of the same file that does the same with the same bindings and workgroup, for devices with the feature `subgroups`
   * whose subgroups count through a workgroup in the order of `local_invocation_index`. Absent where they would not pay.
   */
  readonly subgroups?: string
  /** The tensors that it reads and writes, in order. WGSL: binding i + 1 of group 0; binding 0 is the uniform `Step`. */
  readonly bindings: readonly { readonly name: string; readonly access: 'read' | 'read_write'; readonly type: ElementType }[]
  readonly workgroup: number
}

export interface DispatchEntry {
  /** Index into `kernels`. */
  readonly kernel: number
  /** Index into `tensors` for each binding. */
  readonly tensors: readonly number[]
  /**
   * Invocations: `fixed + perSample * n`, rounded down. WGSL: workgroups = ceil(that / workgroup), in rows of ROW_GROUPS; wasm: tasks, in any order. Where
   * neither number is 0, tasks come in blocks of `fixed`, one for each `fixed / perSample` samples that were begun: there are no others to do.
   */
  readonly invocations: Size
  /** The layers whose work it does, for messages and profiles. */
  readonly name: string
  /** What a reader may know of the dispatch. Absent where a bundle was read to be run alone. */
  readonly facts?: DispatchFacts
}

/** What people and profiles read about a dispatch, counted from the plan. */
export interface DispatchFacts {
  readonly layers: readonly string[]
  readonly flops: Size
  /** The part of `flops` that sums of products take: no fusion can save it. */
  readonly products: Size
  readonly bytesRead: Size
  readonly bytesWritten: Size
  /** Why it is not fused with what comes before or after, and what was. */
  readonly why: readonly string[]
  /** The algorithm and schedule, in a few words. */
  readonly how?: string
  /** It computes again what an earlier dispatch of the program computed: memory `small`. */
  readonly again?: true
}

export interface ProgramEntry {
  readonly dispatches: readonly DispatchEntry[]
  /** Tensors that hold the results after it ran: name -> index into `tensors`. Gradients are called `grad/NAME`. */
  readonly results: Readonly<Record<string, number>>
  /** Bytes of all buffers that it touches at the same time, at most; what no plan could go below. */
  readonly peakBytes: Size
  readonly lowerBoundBytes: Size
  /** Whether `prepare` must have run since parameters changed. */
  readonly needsPrepare: boolean
}

/**
 * The programs of a bundle. A `/batch` variant normalizes with each batch's own statistics whatever is stored.
 * `gradients`: forward and backward, nothing is updated; gradients of parameters and inputs are results.
 * `step`: the same and the update. `train`: forward, backward of parameters only, update. `accumulate`: as `train`, but
 * adds to the gradients instead of updating. A `/global` variant trains with the stored statistics, which stay as they are.
 */
export const PROGRAMS = [
  'prepare',
  'infer',
  'infer/batch',
  'eval',
  'eval/batch',
  'gradients',
  'step',
  'train',
  'accumulate',
  'gradients/global',
  'step/global',
  'train/global',
  'accumulate/global',
] as const
export type ProgramName = (typeof PROGRAMS)[number]

/** The programs with a backward pass. */
export const TRAINING_PROGRAMS: readonly ProgramName[] = PROGRAMS.filter((name) => /^(gradients|step|train|accumulate)/.test(name))
/**
 * A result of `step` and `train`, an i32 [1] that the host sets to 0 before: for how many elements of the parameters the gradient,
 * the new value or a new history was not finite, and for how many running means and variances the new value. Those kept what they had.
 */
export const NON_FINITE_RESULT = 'count/non_finite'
/** The task of a program without the statistics that it normalizes with: `train` of `train/global`. */
export const taskOf = (program: string): string => program.split('/')[0]!
/** A line of a WGSL file that starts so begins a section, which the rest of the line names: a kernel's text, complete in itself. */
export const SECTION_MARK = '//// '

/** WebGPU allows 65535 workgroups in a dimension: x counts up to this, the rest goes to y. */
export const ROW_GROUPS = 32768

export interface Bundle {
  readonly manifest: Manifest
  /** Kernel texts and modules by the file names that plans speak of. Of a bundle that was read to be run, those that it needs. */
  readonly files: ReadonlyMap<string, string | Uint8Array>
  /** Trained or imported parameters by name; what is absent starts by its initializer. */
  readonly weights?: ReadonlyMap<string, TensorData>
}

export interface TensorData {
  readonly shape: readonly number[]
  readonly type: 'f32' | 'i32' | 'f64' | 'u8' | 'i64'
  readonly data: Float32Array | Int32Array | Float64Array | Uint8Array | BigInt64Array
}
