import { KnownSchedules, oneOfCandidates } from '../known-schedule.ts'
import { HALF_PLAN, SOFTWARE_PLAN, WEBGPU } from '../../../bundle/plans.ts'
import { bufferOf } from '../../ir/tensor.ts'
import { statisticsBlock, candidates, chooseSchedule, fusedProducerVerdict, rejectFusedProducer } from '../../codegen/gpu/choose.ts'
import { HARDWARE, SOFTWARE } from '../../codegen/gpu/cost-model.ts'
import { lower } from '../../codegen/gpu/lower.ts'
import { onceForAll } from '../../compile-cache.ts'
import { printOnce } from '../kernel-cache.ts'
import { gridSize } from '../../codegen/grid.ts'
import type { Equation } from '../../ir/equation.ts'
import { canonicalText } from '../../ir/fingerprint.ts'
import { inOrder } from '../../ir/in-order.ts'
import type { PrintedKernel } from '../../codegen/printed-kernel.ts'
import type { KernelFunction } from '../../codegen/kernel-function.ts'
import { type Schedule, scheduleFromJson, scheduleToJson } from '../../codegen/gpu/schedule.ts'
import { wantsSubgroups } from '../../codegen/gpu/subgroups.ts'
import type { Target } from '../target.ts'
import { CAPABILITIES, printWgsl } from './print.ts'
import { RESERVED_WORDS } from './reserved-words.ts'

/** A multiple of every subgroup size; 256 is what every WebGPU grants. */
const WORKGROUP = 64
/** A software adapter deals out workgroups to its threads: where invocations have much to do, small ones come out even. */
const SMALL_WORKGROUP = 16

/** The batches by which schedules are ranked: a net that only infers (batch 1) serves single samples, or many at a time. */
export const batchesFor = (batch: number): readonly number[] => (batch > 1 ? [batch] : [1, 64])

const RESERVED: ReadonlySet<string> = new Set(RESERVED_WORDS)

/** The first is what is chosen. Depends on nothing but the `canonicalText` of an equation. */
type ScheduleSpace = (e: Equation, batch: number) => readonly Schedule[]

const onHardware: ScheduleSpace = (e, batch) => candidates(e, HARDWARE, { batches: batchesFor(batch) })

const weighings = new Map<number, ReturnType<typeof fusedProducerVerdict>>()
function weighing(batch: number): ReturnType<typeof fusedProducerVerdict> {
  const known = weighings.get(batch) ?? fusedProducerVerdict(HARDWARE, batchesFor(batch))
  weighings.set(batch, known)
  return known
}

/** WGSL: eight storage buffers at most, as every WebGPU grants them. */
export const wgsl: Target = {
  ...scheduled((e, batch) => chooseSchedule(e, HARDWARE, batchesFor(batch)), { known: 'hardware', waysOf: onHardware }),
  rejectFusedProducer: (e, batch) => rejectFusedProducer(e, weighing(batch)),
  candidates: (e, batch) => onHardware(e, batch).map((schedule) => scheduleToJson(e, schedule)),
}

/** The target for inference with f16 storage between layers, where the adapter has `shader-f16`. */
export const wgslHalf: Target = { ...wgsl, name: HALF_PLAN, storage: 'f16' }

/** Staging never paid on a software adapter: a few of those schedules are enough to be sure. */
const STAGED_ON_SOFTWARE = 4

const onSoftware: ScheduleSpace = (e) => candidates(e, SOFTWARE, { mostStaged: STAGED_ON_SOFTWARE })

/** WGSL for an adapter that a CPU pretends to be: a load costs it as much as fifteen multiplications, and workgroup memory more. */
export const wgslSoftware: Target = {
  ...scheduled((e) => chooseSchedule(e, SOFTWARE), {
    known: 'software',
    waysOf: onSoftware,
    workgroupOf: ({ body }) => (body.some((s) => s.kind === 'for') ? SMALL_WORKGROUP : WORKGROUP),
    subgroupsFor: () => false,
  }),
  name: SOFTWARE_PLAN,
  software: true,
  maxPrologueInputs: 1,
  candidates: (e, batch) => onSoftware(e, batch).map((schedule) => scheduleToJson(e, schedule)),
}

interface PrinterOptions {
  /** Names the choices for what compilations remember of each other. Default: nothing is remembered. */
  readonly known?: string
  /** The schedules among which a tuner's choice is accepted. Default: none. */
  readonly waysOf?: ScheduleSpace
  /** The size of the workgroup of a kernel that names none. */
  readonly workgroupOf?: (kernel: KernelFunction) => number
  /** Whether a kernel has a second text, for subgroups. */
  readonly subgroupsFor?: (e: Equation, schedule: Schedule) => boolean
}

/** The target with other choices. */
export function scheduled(
  choose: (e: Equation, batch: number) => Schedule,
  { known: scope, waysOf = () => [], workgroupOf = () => WORKGROUP, subgroupsFor = wantsSubgroups }: PrinterOptions = {},
): Target {
  const printer: Target['printer'] = (batch, schedules) => {
    const given = new KnownSchedules(schedules)
    // A kernel is printed anew where a layer has another name: an edit in front of it gives it another number. Its schedule stays.
    const chosen = (e: Equation): Schedule => {
      if (scope === undefined) return choose(e, batch)
      const key = `${scope} ${batch}\n${canonicalText(e, false).text}`
      let made: Schedule | undefined
      const json = onceForAll('schedule/gpu', key, () => scheduleToJson(e, made = choose(e, batch)), () => 256)
      return made ?? scheduleFromJson(e, json) ?? choose(e, batch)
    }
    const lowered = (e: Equation): [KernelFunction, KernelFunction?] => {
      const known = given.take(e, (json) => oneOfCandidates(json, waysOf(e, batch), (way) => scheduleToJson(e, way)))
      const schedule = known ?? chosen(e)
      const variant = (subgroups: boolean): KernelFunction => lower(e, schedule, { bufferOf, subgroups, reservedWords: RESERVED })
      return subgroupsFor(e, schedule) ? [variant(false), variant(true)] : [variant(false)]
    }
    const print = (e: Equation): PrintedKernel => printedFrom(lowered(e), workgroupOf)
    const remembered = scope !== undefined && !schedules ? `${scope} ${batch}` : undefined
    const printed = printOnce(print, { reservedWords: RESERVED_WORDS, known: remembered })
    return {
      print: (e) => {
        given.name(e)
        return printed(e)
      },
      lower: (e) => lowered(inOrder(e)).filter((f) => f !== undefined),
      scheduleUse: () => given.use(),
      schedulesTaken: () => given.taken(),
    }
  }
  return {
    name: WEBGPU,
    extension: 'wgsl',
    capabilities: CAPABILITIES,
    maxBindings: 8,
    sharesBuffers: false,
    maxPrologueInputs: 2,
    statisticsBlock,
    printer,
  }
}

/** `subgroups`: the same work with the same bindings, grid and workgroup, for devices that have subgroups. */
function printedFrom(
  [kernel, subgroups]: readonly [KernelFunction, KernelFunction?],
  workgroupOf: (kernel: KernelFunction) => number,
): PrintedKernel {
  const { code, workgroup } = printWgsl(kernel, workgroupOf(kernel))
  const points = gridSize(kernel.grid.map((g) => g.extent))
  // Where the grid counts workgroups, each is full.
  const each = kernel.group ? workgroup : 1
  return {
    bindings: kernel.bindings,
    text: code,
    workgroup,
    invocations: { fixed: points.fixed * each, perSample: Math.ceil(points.perSample) * each },
    ...(subgroups && { subgroups: printWgsl(subgroups, workgroup).code }),
  }
}
