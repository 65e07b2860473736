import { type Bundle, type BufferEntry, type DispatchFacts, type Group, groupOf, GROUPS, type KernelEntry, type Manifest, type ModuleEntry,
  type Plan, type ProgramEntry, type TensorEntry } from './format.ts'

/** `bundle.json`: the manifest, but for what only those who run a plan need, which lies in files of its own. */
export interface StoredManifest extends Omit<Manifest, 'plans'> {
  readonly plans: Readonly<Record<string, StoredPlan>>
  /** Every other file of the bundle, the weights too. */
  readonly files: Readonly<Record<string, FileEntry>>
  /** Names of the tensors in `weights.safetensors`. Absent: the bundle was written without weights, its net is untrained. */
  readonly weights?: readonly string[]
  /** The hash of the rest, written as compact JSON: `seal.ts`. */
  readonly sha256: string
}

/** What a file of a bundle must be. */
export interface FileEntry {
  /** The name under which it lies for the moment, while one bundle takes the place of another in a folder. Absent: its own. */
  readonly at?: string
  readonly bytes: number
  readonly sha256: string
}

/** The files of a plan. It lies in parts, so that whoever only infers fetches no more than that takes. */
export interface StoredPlan {
  /** The parts in the order of GROUPS. The lists of one go on with those of the one before. */
  readonly parts: readonly StoredPart[]
  /** A JSON file with what is for reading alone: `PackedFacts`. Absent: there are none. */
  readonly facts?: string
}

export interface StoredPart {
  readonly group: Group
  readonly programs: readonly string[]
  /** A JSON file: `PackedPart`. */
  readonly plan: string
  /** WGSL: the files with the kernels of this part. */
  readonly kernels?: readonly string[]
  /** WebAssembly: the module of this group. Absent: that of a later one has its kernels. */
  readonly module?: ModuleEntry
}

/** A part of a plan: what it adds to the lists of those before it. Indices count through the lists of the whole plan. Its file: `PackedPart`. */
export interface PlanPart {
  readonly buffers: readonly BufferEntry[]
  readonly tensors: readonly TensorEntry[]
  readonly kernels: readonly KernelEntry[]
  readonly programs: Readonly<Record<string, ProgramEntry>>
}

/** A plan as it is stored: its parts, and the facts of its dispatches by their programs. */
export interface SplitPlan {
  readonly parts: readonly { readonly group: Group; readonly part: PlanPart }[]
  readonly facts: Readonly<Record<string, readonly (DispatchFacts | null)[]>>
}

export function splitPlan(plan: Plan): SplitPlan {
  const names = Object.keys(plan.programs)
  const groups = GROUPS.filter((group) => names.some((name) => groupOf(name) === group))
  let from = { buffers: 0, tensors: 0, kernels: 0 }
  const parts = groups.map((group, i) => {
    const mine = names.filter((name) => groupOf(name) === group)
    const reach = i === groups.length - 1 ? all(plan) : reachOf(plan, mine)
    const part: PlanPart = {
      buffers: plan.buffers.slice(from.buffers, reach.buffers),
      tensors: plan.tensors.slice(from.tensors, reach.tensors),
      kernels: plan.kernels.slice(from.kernels, reach.kernels),
      programs: Object.fromEntries(mine.map((name) => [name, bare(plan.programs[name]!)])),
    }
    from = reach
    return { group, part }
  })
  const known = names.filter((name) => plan.programs[name]!.dispatches.some((d) => d.facts))
  return { parts, facts: Object.fromEntries(known.map((name) => [name, plan.programs[name]!.dispatches.map((d) => d.facts ?? null)])) }
}

const all = ({ buffers, tensors, kernels }: Plan): Reach => ({ buffers: buffers.length, tensors: tensors.length, kernels: kernels.length })

interface Reach {
  readonly buffers: number
  readonly tensors: number
  readonly kernels: number
}

/** Says how far into each list programs go. What a tensor lies behind stands before it. */
function reachOf(plan: Plan, programs: readonly string[]): Reach {
  const most = (indices: Iterable<number>): number => {
    let end = 0
    for (const i of indices) end = Math.max(end, i + 1)
    return end
  }
  const entries = programs.map((name) => plan.programs[name]!)
  const dispatches = entries.flatMap((entry) => entry.dispatches)
  const tensors = most([...dispatches.flatMap((d) => d.tensors), ...entries.flatMap((entry) => Object.values(entry.results))])
  return { tensors, kernels: most(dispatches.map((d) => d.kernel)), buffers: most(plan.tensors.slice(0, tensors).map((t) => t.buffer)) }
}

const bare = ({ dispatches, ...program }: ProgramEntry): ProgramEntry => ({
  dispatches: dispatches.map(({ facts: _, ...dispatch }) => dispatch),
  ...program,
})

/** The bundle without what is for reading alone. */
export function withoutFacts({ manifest, ...rest }: Bundle): Bundle {
  const plans = Object.entries(manifest.plans).map((
    [target, plan],
  ) => [target, { ...plan, programs: Object.fromEntries(Object.entries(plan.programs).map(([name, program]) => [name, bare(program)])) }])
  return { ...rest, manifest: { ...manifest, plans: Object.fromEntries(plans) } }
}
