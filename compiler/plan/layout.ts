import type { LinkedModule, LinkRequest, PrintedKernel } from '../codegen/printed-kernel.ts'
import { type BufferEntry, type DispatchEntry, type Group, groupOf, GROUPS, type ModuleEntry, type Plan, type ProgramEntry, type Size,
  type TensorEntry } from '../../bundle/format.ts'
import type { Constant, Graph } from '../graph/graph.ts'
import { resolved } from '../graph/query.ts'
import { bufferOf, elementBytes, elementsPerSample, isBatched, type Tensor } from '../ir/tensor.ts'
import { invariant } from '../invariant.ts'
import { addLinear, bytesOf, costsOf, linear, type Linear } from '../ir/cost.ts'
import { reads, writes } from '../ir/equation.ts'
import { type LiveRange, type BufferPlacement, planMemory } from './memory-planner.ts'
import { KernelTexts } from './kernel-texts.ts'
import type { KernelLaunch } from './kernel-launch.ts'

/** A program that is ready to be laid out: its kernels in order, and what they were printed as. */
export interface PlannedProgram {
  readonly name: string
  readonly graph: Graph
  readonly viewOf: ReadonlyMap<Tensor, Tensor>
  readonly steps: readonly PlannedStep[]
}

export interface PlannedStep {
  readonly fused: KernelLaunch
  readonly kernel: PrintedKernel
}

export interface LaidOutPlan {
  readonly plan: Plan
  readonly files: ReadonlyMap<string, string | Uint8Array>
}

export interface PlanRequest {
  readonly target: string
  /** Extension of the names of kernel files. */
  readonly extension: string
  readonly programs: readonly PlannedProgram[]
  /** Elements of the packed buffers. */
  readonly packed: { readonly parameters: number; readonly states: number }
  /** Contents of values of role `constants`. */
  readonly constants: ReadonlyMap<string, Constant>
  /** Where stored values start that do not say it themselves (`SharedNodes.share`). */
  readonly offsets?: ReadonlyMap<Tensor, number>
  /** The batch at which memory is packed; any other works too. */
  readonly batch: number
  /** Whether one dispatch may read and write different parts of one buffer. */
  readonly sharesBuffers: boolean
  /** Links kernels to a module. Absent: kernels are texts, a section each of few files. */
  readonly link?: (texts: readonly string[], request: LinkRequest) => LinkedModule
}

/** Places every tensor, names every kernel, lists every dispatch. */
export function buildPlan(request: PlanRequest): LaidOutPlan {
  return new Layout(request).build()
}

class Layout {
  private readonly request: PlanRequest
  private readonly buffers: BufferEntry[] = []
  private readonly bufferIndex = new Map<string, number>()
  private readonly tensors: TensorEntry[] = []
  /** Tensors by their ids: those of the program that is laid out, and those that outlive a program, for each buffer. */
  private scratchIndex = new Map<number, number>()
  private readonly storedIndices: Map<number, number>[] = []
  private readonly texts: KernelTexts

  constructor(request: PlanRequest) {
    this.request = request
    this.texts = new KernelTexts(request.target, request.extension, request.link !== undefined)
  }

  build(): LaidOutPlan {
    const { target, link } = this.request
    const programs: Record<string, ProgramEntry> = {}
    const modules: Partial<Record<Group, ModuleEntry>> = {}
    const files = new Map<string, string | Uint8Array>()
    // A group's part of each list goes on with that of the group before, so that whoever wants the first alone reads no more.
    const ranges: { readonly group: Group; readonly from: number; readonly to: number }[] = []
    for (const group of GROUPS) {
      const mine = this.request.programs.filter(({ name }) => groupOf(name) === group)
      if (mine.length === 0) continue
      const from = this.texts.all.length
      for (const program of mine) programs[program.name] = this.program(program, group)
      ranges.push({ group, from, to: this.texts.all.length })
    }
    const { all } = this.texts
    for (const [i, { group, from, to }] of (link ? ranges : []).entries()) {
      const made = link!(all.slice(from, to), { name: `${target}/${group}`, isFirst: i === 0, first: from, total: all.length })
      modules[group] = made.entry
      for (const [name, data] of made.files) files.set(name, data)
    }
    const plan = { target, buffers: this.buffers, tensors: this.tensors, kernels: this.texts.entries, programs }
    return link ? { plan: { ...plan, modules }, files } : { plan, files: this.texts.files() }
  }

  private program(program: PlannedProgram, group: Group): ProgramEntry {
    this.scratchIndex = new Map()
    const root = (t: Tensor): Tensor => resolved(t, program.viewOf)
    const lives = this.lives(program, root)
    const memory = planMemory({
      ranges: lives.map(({ range }) => range),
      batch: this.request.batch,
      sharesBuffers: this.request.sharesBuffers,
    })
    const scratch = this.scratch(lives.map(({ owner }) => owner), memory.places)
    const place = (t: Tensor): number => this.tensor(t, root(t), scratch)
    const dispatches = program.steps.map((step) => this.dispatch(step, group, place))
    const results: Record<string, number> = {}
    for (const output of program.graph.outputs) results[output.name] = place(output.value)
    const persistent = this.persistentBytes(program, root)
    return {
      dispatches,
      results,
      peakBytes: memory.buffers.reduce(addLinear, persistent),
      lowerBoundBytes: addLinear(persistent, memory.lowerBound),
      needsPrepare: program.steps.some(({ fused }) => reads(fused.equation).some((t) => t.storage?.role === 'prepared')) &&
        program.name !== 'prepare',
    }
  }

  /** The scratch tensors of a program with their live ranges. */
  private lives(program: PlannedProgram, root: (t: Tensor) => Tensor): { readonly owner: Tensor; readonly range: LiveRange }[] {
    const found = new Map<Tensor, { written: number[]; read: number[] }>()
    const touch = (t: Tensor, at: number, how: 'written' | 'read'): void => {
      const owner = root(t)
      if (owner.storage) return
      const known = found.get(owner) ?? { written: [], read: [] }
      found.set(owner, known)
      // Steps come in order.
      if (known[how].at(-1) !== at && !(how === 'read' && known.written.at(-1) === at)) known[how].push(at)
    }
    program.steps.forEach(({ fused: { equation } }, at) => {
      for (const t of writes(equation)) touch(t, at, 'written')
      for (const t of reads(equation)) touch(t, at, 'read')
    })
    for (const output of program.graph.outputs) touch(output.value, program.steps.length, 'read')
    return [...found].map(([owner, { written, read }]) => ({
      owner,
      range: {
        size: bytesOf(owner),
        first: Math.min(written[0] ?? Infinity, read[0] ?? Infinity),
        last: Math.max(written.at(-1) ?? 0, read.at(-1) ?? 0),
        written,
        read,
      },
    }))
  }

  /**
   * Puts the scratch tensors into the plan. A tensor is listed after those that it starts after: the format asks for smaller indices there.
   */
  private scratch(owners: readonly Tensor[], places: readonly BufferPlacement[]): ReadonlyMap<Tensor, number> {
    const indices = new Map<Tensor, number>()
    const open: number[] = []
    for (const i of owners.keys()) {
      open.push(i)
      for (let at = open.at(-1); at !== undefined; at = open.at(-1)) {
        const owner = owners[at]!
        const { buffer, after } = places[at]!
        const missing = indices.has(owner) ? undefined : after.find((other) => !indices.has(owners[other]!))
        if (missing !== undefined) {
          open.push(missing)
          continue
        }
        open.pop()
        if (indices.has(owner)) continue
        const others = afterField(after.map((other) => indices.get(owners[other]!)!))
        const entry = (): TensorEntry => ({ ...entryOf(owner), buffer: this.scratchBuffer(buffer), offset: 0, ...others })
        indices.set(owner, this.put(this.scratchIndex, owner, entry))
      }
    }
    return indices
  }

  /** Bytes of what this program touches and does not own: parameters, inputs, histories. */
  private persistentBytes(program: PlannedProgram, root: (t: Tensor) => Tensor): Linear {
    const touched = new Set<number>()
    for (const { fused } of program.steps) {
      for (const t of [...reads(fused.equation), ...writes(fused.equation)]) {
        const owner = root(t)
        if (owner.storage) touched.add(this.buffer(owner))
      }
    }
    return [...touched].map((i) => this.buffers[i]!.elements).map((e) => ({ fixed: 4 * e.fixed, perSample: 4 * e.perSample })).reduce(
      addLinear,
      { fixed: 0, perSample: 0 },
    )
  }

  private dispatch({ fused, kernel }: PlannedStep, group: Group, place: (t: Tensor) => number): DispatchEntry {
    const { equation } = fused
    return {
      kernel: this.texts.indexOf(kernel, equation.name, group),
      tensors: kernel.bindings.map((b) => place(b.tensor)),
      invocations: { ...kernel.invocations },
      name: equation.name,
      facts: {
        layers: [...equation.layers],
        ...costsOf(equation),
        why: [...new Set(fused.why)],
        ...(kernel.how !== undefined && { how: kernel.how }),
        ...(fused.again && { again: fused.again }),
      },
    }
  }

  private tensor(t: Tensor, owner: Tensor, scratch: ReadonlyMap<Tensor, number>): number {
    const { storage } = owner
    if (!storage) {
      const at = scratch.get(owner)
      invariant(at !== undefined, `${t.name} has no place`)
      // Another shape of what lies there.
      return this.put(this.scratchIndex, t, () => ({ ...this.tensors[at]!, ...entryOf(t) }))
    }
    const buffer = this.buffer(owner)
    const offset = OFFSET_ROLES.has(storage.role) ? this.request.offsets?.get(owner) ?? storage.offset : 0
    invariant(offset >= 0, () => `it is known where ${t.name} starts`)
    return this.put(this.storedIndices[buffer] ??= new Map(), t, () => ({ ...entryOf(t), buffer, offset }))
  }

  private put(index: Map<number, number>, { id }: Tensor, entry: () => TensorEntry): number {
    const known = index.get(id)
    if (known !== undefined) return known
    this.tensors.push(entry())
    index.set(id, this.tensors.length - 1)
    return this.tensors.length - 1
  }

  private buffer(value: Tensor): number {
    const { role, slot } = value.storage!
    const name = bufferOf(value)!
    const known = this.bufferIndex.get(name)
    if (known !== undefined) return known
    const packedSize = role === 'states' ? this.request.packed.states : this.request.packed.parameters
    const data = role === 'constants' ? this.request.constants.get(slot ?? '') : undefined
    invariant(role !== 'constants' || data, `constants ${slot} have no contents`)
    const elements = role === 'input' || role === 'prepared' || role === 'constants' || value.type === 'i32' ? elementsOf(value)
      : { fixed: packedSize, perSample: 0 }
    this.buffers.push({ name, role, elements, ...(data && { data: data.values }) })
    this.bufferIndex.set(name, this.buffers.length - 1)
    return this.buffers.length - 1
  }

  private scratchBuffer(number: number): number {
    const name = `scratch${number}`
    const known = this.bufferIndex.get(name)
    if (known !== undefined) return known
    this.buffers.push({ name, role: 'scratch', elements: { fixed: 0, perSample: 0 } })
    this.bufferIndex.set(name, this.buffers.length - 1)
    return this.buffers.length - 1
  }
}

/** Roles of buffers in which several tensors lie. */
const OFFSET_ROLES: ReadonlySet<string> = new Set(['parameters', 'gradients', 'history', 'states', 'constants'])

/** Buffers are counted in elements of 4 bytes: two of f16 share one, and each sample starts a new one. */
const elementsOf = (t: Tensor): Size => linear(Math.ceil(elementsPerSample(t.shape) * elementBytes(t) / 4), isBatched(t.shape))
/** Its shape is a copy: a plan is its caller's, tensors are kept for the next compilation. */
const entryOf = ({ name, shape, type }: Tensor): Pick<TensorEntry, 'name' | 'shape' | 'type'> => ({ name, shape: [...shape], type })
/** The format calls this field `behind`; it is absent where a tensor starts at its offset. */
const afterField = (after: readonly number[]): Pick<TensorEntry, 'behind'> => (after.length > 0 ? { behind: after } : {})
