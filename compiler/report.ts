import { InputError } from '../bundle/errors.ts'
import type { DispatchFacts, Manifest, Plan, ProgramEntry, Size } from '../bundle/format.ts'
import { placesAt } from '../bundle/layout.ts'
import { batchRule } from '../bundle/options.ts'
import { isNamed, say } from '../bundle/plain.ts'
import { invariant } from './invariant.ts'

/** The report of `inspect --json`. It is computed from the plan for a batch, so it does not depend on the machine. */
export interface InspectReport {
  readonly name: string
  readonly style: string
  readonly memory: string
  readonly batch: number
  /** Bytes that each thread needs beside the peak of a program, on target `wasm`. */
  readonly threadBytes?: number
  readonly programs: Readonly<Record<string, ProgramReport>>
}

export interface ProgramReport extends Totals {
  readonly kernels: readonly KernelReport[]
  /** The part of all FLOPs that rematerialization adds (memory `small`). */
  readonly flopsAgain: number
  /** Bytes of every buffer that the program touches. */
  readonly peakBytes: number
  /** The part of `peakBytes` that outlives the program: parameters, gradients, the solver's histories, inputs. */
  readonly lastingBytes: number
  /**
   * A lower bound for any plan: the arithmetic of sums of products alone, each input, parameter and result moved once, and the memory
   * that is alive at once.
   */
  readonly lowerBound: Totals & { readonly peakBytes: number }
}

export interface KernelReport extends Totals {
  readonly name: string
  readonly layers: readonly string[]
  readonly why: readonly string[]
  /** The algorithm and schedule: tiles, packing, Winograd. */
  readonly how?: string
  readonly again?: true
}

interface Totals {
  readonly flops: number
  readonly bytesRead: number
  readonly bytesWritten: number
}

/** What the programs of a bundle's plan take at a batch. Throws InputError for what is no manifest, for a target that it has no plan for, and for no batch. */
export function inspectManifest(manifest: Manifest, target: string, batch: number): InspectReport {
  if (!isNamed(manifest) || !isNamed(manifest.plans))
    throw new InputError(`inspectManifest takes the manifest of a bundle, not ${say(manifest)}`)
  const plan = Object.hasOwn(manifest.plans, target) ? manifest.plans[target] : undefined
  if (!plan)
    throw new InputError(`inspectManifest: ${say(target)} is none of the bundle's plans (${Object.keys(manifest.plans).join(', ')})`)
  const [isBatch, wanted] = batchRule
  if (!isBatch(batch)) throw new InputError(`inspectManifest: batch ${say(batch)}: ${wanted} is wanted`)
  const programs = Object.fromEntries(
    Object.entries(plan.programs).map(([name, program]) => [name, inspectProgram(plan, name, program, batch)]),
  )
  return {
    name: manifest.name,
    style: manifest.style,
    memory: manifest.memory ?? 'fast',
    batch,
    ...(plan.modules && { threadBytes: Math.max(...Object.values(plan.modules).map((m) => m.threadBytes)) }),
    programs,
  }
}

function inspectProgram(plan: Plan, name: string, program: ProgramEntry, batch: number): ProgramReport {
  const at = (size: Size): number => Math.ceil(size.fixed + size.perSample * batch)
  const dispatches = program.dispatches.map(({ name, facts }): { readonly name: string; readonly facts: DispatchFacts } => {
    invariant(facts, `${name} of a plan that is inspected has its facts`)
    return { name, facts }
  })
  const kernels = dispatches.map(({ name, facts }) => ({
    name,
    layers: facts.layers,
    flops: at(facts.flops),
    bytesRead: at(facts.bytesRead),
    bytesWritten: at(facts.bytesWritten),
    why: facts.why,
    ...(facts.how !== undefined && { how: facts.how }),
    ...(facts.again && { again: facts.again }),
  }))
  const sum = (key: keyof Totals): number => kernels.reduce((total, k) => total + k[key], 0)
  const touched = new Set(program.dispatches.flatMap((d) => d.tensors.map((t) => plan.tensors[t]!.buffer)))
  const { sizes } = placesAt(plan, batch, [name])
  const bytesOf = (buffers: readonly number[]): number => buffers.reduce((sum, i) => sum + 4 * sizes[i]!, 0)
  return {
    kernels,
    flops: sum('flops'),
    bytesRead: sum('bytesRead'),
    bytesWritten: sum('bytesWritten'),
    flopsAgain: kernels.reduce((total, k) => total + (k.again ? k.flops : 0), 0),
    peakBytes: bytesOf([...touched]),
    lastingBytes: bytesOf([...touched].filter((i) => plan.buffers[i]!.role !== 'scratch')),
    lowerBound: {
      ...lowerBound(plan, program, at),
      flops: dispatches.reduce((total, { facts }) => total + (facts.again ? 0 : at(facts.products)), 0),
      peakBytes: at(program.lowerBoundBytes),
    },
  }
}

function lowerBound(plan: Plan, program: ProgramEntry, at: (size: Size) => number): Omit<Totals, 'flops'> {
  const read = new Set<number>()
  const written = new Set<number>()
  for (const d of program.dispatches) {
    plan.kernels[d.kernel]!.bindings.forEach((b, i) => (b.access === 'read' ? read : written).add(d.tensors[i]!))
  }
  const bytesOf = (t: number): number => {
    const { shape, type } = plan.tensors[t]!
    return shape.reduce<number>((product, dim) => product * (dim === 'n' ? at({ fixed: 0, perSample: 1 }) : dim), type === 'f16' ? 2 : 4)
  }
  const bytes = (tensors: Iterable<number>): number => [...tensors].reduce((total, t) => total + bytesOf(t), 0)
  const lasting = (t: number): boolean => plan.buffers[plan.tensors[t]!.buffer]!.role !== 'scratch'
  const results = new Set(Object.values(program.results))
  return {
    bytesRead: bytes([...read].filter(lasting)),
    bytesWritten: bytes(new Set([...written].filter((t) => lasting(t) || results.has(t)))),
  }
}
