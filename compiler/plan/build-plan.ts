import type { BufferEntry, DispatchEntry, KernelEntry, Plan, ProgramEntry, Size, TensorEntry } from '../../runtime/format.ts'
import type { Constant, Graph, Value } from '../graph/graph.ts'
import { bufferOf } from '../graph/storage.ts'
import { invariant } from '../invariant.ts'
import { addLinear, bytesOf, bytesRead, bytesWritten, flopsOf, linear, type Linear, productsOf } from '../loops/cost.ts'
import type { Fused } from '../loops/fuse.ts'
import { reads, writes } from '../loops/kernel.ts'
import type { LinkedModule } from '../targets/target.ts'
import { elementsPerSample, isBatched, type Tensor } from '../tensor.ts'
import { assignSlots } from './memory.ts'
import type { Step } from './recompute.ts'

/** A program that is ready to be laid out: its kernels in order, and what they were printed as. */
export interface PlannedProgram {
  readonly name: string
  readonly graph: Graph
  readonly viewOf: ReadonlyMap<Tensor, Tensor>
  readonly steps: readonly PlannedStep[]
}

export interface PlannedStep {
  readonly fused: Step
  readonly kernel: PrintedKernel
}

/** What a target made of an equation. */
export interface PrintedKernel {
  readonly bindings: readonly { readonly name: string; readonly tensor: Tensor; readonly access: 'read' | 'read_write' }[]
  readonly invocations: Size
  readonly workgroup: number
  /** Contents of its file; kernels with the same text are one. */
  readonly text: string
  /** For people: how the work is done. */
  readonly how?: string
}

export interface LaidOutPlan {
  readonly plan: Plan
  readonly files: ReadonlyMap<string, string | Uint8Array>
}

export interface PlanRequest {
  readonly target: string
  readonly programs: readonly PlannedProgram[]
  /** Elements of the packed buffers. */
  readonly packed: { readonly parameters: number; readonly states: number }
  /** Contents of values of role `constants`. */
  readonly constants: ReadonlyMap<string, Constant>
  /** The batch at which slots are packed; any other works too. */
  readonly batch: number
  readonly extension: string
  /** Absent: every kernel is a file of its own. */
  readonly link?: (texts: readonly string[]) => LinkedModule
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
  private readonly tensorIndex = new Map<string, number>()
  private readonly kernels: KernelEntry[] = []
  private readonly kernelIndex = new Map<string, number>()
  private readonly files = new Map<string, string>()
  private readonly slotSizes: Size[][] = []

  constructor(request: PlanRequest) {
    this.request = request
  }

  build(): LaidOutPlan {
    const programs: Record<string, ProgramEntry> = {}
    for (const program of this.request.programs) programs[program.name] = this.program(program)
    const buffers = this.buffers.map((b) => {
      if (b.role !== 'scratch') return b
      const sizes = distinctSizes(this.slotSizes[Number(b.name.slice('slot'.length))]!)
      return { ...b, elements: sizes[0]!, ...(sizes.length > 1 && { largestOf: sizes }) }
    })
    const plan = { target: this.request.target, buffers, tensors: this.tensors, kernels: this.kernels, programs }
    if (!this.request.link) return { plan, files: this.files }
    const { entry, files } = this.request.link([...this.files.values()])
    return { plan: { ...plan, kernels: this.kernels.map((k) => ({ ...k, file: entry.file })), module: entry }, files }
  }

  private program(program: PlannedProgram): ProgramEntry {
    const root = (t: Tensor): Tensor => { const of = program.viewOf.get(t); return of ? root(of) : t }
    const ranges = new Map<Tensor, { first: number; last: number }>()
    const touch = (t: Tensor, at: number): void => {
      const owner = root(t)
      if ((owner as Value).storage) return
      const known = ranges.get(owner)
      if (known) known.last = Math.max(known.last, at)
      else ranges.set(owner, { first: at, last: at })
    }
    program.steps.forEach(({ fused }, at) => { for (const t of [...reads(fused.equation), ...writes(fused.equation)]) touch(t, at) })
    for (const output of program.graph.outputs) touch(output.value, program.steps.length)
    const scratch = [...ranges].map(([owner, range]) => ({ owner, ...range, size: bytesOf(owner) }))
    const slots = assignSlots(scratch, this.request.batch)
    const slotOf = new Map(scratch.map(({ owner }, i) => [owner, slots.slotOf[i]!]))
    scratch.forEach(({ owner }, i) => (this.slotSizes[slots.slotOf[i]!] ??= []).push(elementsOf(owner)))
    const place = (t: Tensor): number => this.tensor(t, root(t), slotOf, program.name)
    const dispatches = program.steps.map((step) => this.dispatch(step, place))
    const results: Record<string, number> = {}
    for (const output of program.graph.outputs) results[output.name] = place(output.value)
    const persistent = this.persistentBytes(program, root)
    const slotBytes = range(slots.slotCount).map((slot) => largest(scratch.filter((_, i) => slots.slotOf[i] === slot).map((s) => s.size), this.request.batch))
    return {
      dispatches,
      results,
      peakBytes: slotBytes.reduce(addLinear, persistent),
      lowerBoundBytes: addLinear(persistent, slots.lowerBound),
      needsPrepare: program.steps.some(({ fused }) => reads(fused.equation).some((t) => (t as Value).storage?.role === 'prepared')) && program.name !== 'prepare',
    }
  }

  /** Bytes of what this program touches and does not own: parameters, inputs, histories. */
  private persistentBytes(program: PlannedProgram, root: (t: Tensor) => Tensor): Linear {
    const touched = new Set<number>()
    for (const { fused } of program.steps) {
      for (const t of [...reads(fused.equation), ...writes(fused.equation)]) {
        const owner = root(t) as Value
        if (owner.storage) touched.add(this.buffer(owner))
      }
    }
    return [...touched].map((i) => this.buffers[i]!.elements).map((e) => ({ fixed: 4 * e.fixed, perSample: 4 * e.perSample })).reduce(addLinear, { fixed: 0, perSample: 0 })
  }

  private dispatch({ fused, kernel }: PlannedStep, place: (t: Tensor) => number): DispatchEntry {
    const { equation } = fused
    return {
      kernel: this.kernel(fused, kernel),
      tensors: kernel.bindings.map((b) => place(b.tensor)),
      invocations: kernel.invocations,
      name: equation.name,
      layers: equation.layers,
      flops: flopsOf(equation),
      products: productsOf(equation),
      bytesRead: bytesRead(equation),
      bytesWritten: bytesWritten(equation),
      why: [...new Set(fused.why)],
      ...(kernel.how !== undefined && { how: kernel.how }),
      ...(fused.again && { again: fused.again }),
    }
  }

  private kernel({ equation }: Fused, kernel: PrintedKernel): number {
    const known = this.kernelIndex.get(kernel.text)
    if (known !== undefined) return known
    const file = this.fileName(equation.name)
    this.files.set(file, kernel.text)
    const entry: KernelEntry = {
      name: equation.name,
      file,
      layers: equation.layers,
      bindings: kernel.bindings.map((b) => ({ name: b.name, access: b.access, type: b.tensor.type })),
      workgroup: kernel.workgroup,
    }
    this.kernels.push(entry)
    this.kernelIndex.set(kernel.text, this.kernels.length - 1)
    return this.kernels.length - 1
  }

  private fileName(kernelName: string): string {
    const plain = kernelName.replace(/[^A-Za-z0-9._+-]/g, '_')
    const short = plain.length > 80 ? `${plain.slice(0, 60)}...${plain.slice(-17)}` : plain
    for (let i = 1; ; i++) {
      const file = `kernels/${short}${i === 1 ? '' : `-${i}`}.${this.request.extension}`
      if (!this.files.has(file)) return file
    }
  }

  private tensor(t: Tensor, owner: Tensor, slotOf: ReadonlyMap<Tensor, number>, program: string): number {
    const { storage } = owner as Value
    const buffer = storage ? this.buffer(owner as Value) : this.slot(slotOf.get(owner))
    const key = `${storage ? '' : `${program}/`}${t.id}/${buffer}`
    const known = this.tensorIndex.get(key)
    if (known !== undefined) return known
    const offset = storage && ['parameters', 'gradients', 'history', 'states', 'constants'].includes(storage.role) ? storage.offset : 0
    this.tensors.push({ name: t.name, shape: t.shape, type: t.type, buffer, offset })
    this.tensorIndex.set(key, this.tensors.length - 1)
    return this.tensors.length - 1
  }

  private buffer(value: Value): number {
    const { role, slot } = value.storage!
    const name = bufferOf(value)!
    const known = this.bufferIndex.get(name)
    if (known !== undefined) return known
    const packedSize = role === 'states' ? this.request.packed.states : this.request.packed.parameters
    const data = role === 'constants' ? this.request.constants.get(slot ?? '') : undefined
    invariant(role !== 'constants' || data, `constants ${slot} have no contents`)
    const elements = role === 'input' || role === 'prepared' || role === 'constants' ? elementsOf(value) : { fixed: packedSize, perSample: 0 }
    this.buffers.push({ name, role, elements, ...(data && { data: data.values }) })
    this.bufferIndex.set(name, this.buffers.length - 1)
    return this.buffers.length - 1
  }

  private slot(slot: number | undefined): number {
    invariant(slot !== undefined, 'a tensor has no place')
    const name = `slot${slot}`
    const known = this.bufferIndex.get(name)
    if (known !== undefined) return known
    this.buffers.push({ name, role: 'scratch', elements: { fixed: 0, perSample: 0 } })
    this.bufferIndex.set(name, this.buffers.length - 1)
    return this.buffers.length - 1
  }
}

const elementsOf = (t: Tensor): Size => linear(elementsPerSample(t.shape), isBatched(t.shape))

/** Sizes that can be the largest at some batch: for equal growth only the largest start counts. */
function distinctSizes(sizes: readonly Size[]): Size[] {
  const kept = sizes.filter((a, i) => !sizes.some((b, j) => i !== j && b.fixed >= a.fixed && b.perSample >= a.perSample && (b.fixed > a.fixed || b.perSample > a.perSample || j < i)))
  return kept.sort((a, b) => b.perSample - a.perSample || b.fixed - a.fixed)
}

const largest = (sizes: readonly Linear[], batch: number): Linear =>
  sizes.reduce((most, size) => (size.fixed + size.perSample * batch > most.fixed + most.perSample * batch ? size : most), { fixed: 0, perSample: 0 })

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
