import { HALF_PLAN } from '../../../runtime/format.ts'
import { bufferOf } from '../../graph/storage.ts'
import { blocksOf, candidates, chooseSchedule, type TargetTraits } from '../../loops/choose-schedule.ts'
import { kernelKey } from '../../loops/kernel-key.ts'
import { loweringOnce } from '../../loops/lower-once.ts'
import { printOnce } from '../print-once.ts'
import { itemsOf } from '../items.ts'
import type { Equation } from '../../loops/kernel.ts'
import type { PrintedText } from '../../plan/build-plan.ts'
import type { Routine } from '../../loops/routine.ts'
import { type Schedule, scheduleToJson } from '../../loops/schedule.ts'
import type { Printer, Schedules, Target } from '../target.ts'
import { printWgsl } from './print.ts'

/** A multiple of every subgroup size; 256 is what every WebGPU grants. */
const WORKGROUP = 64

/** What graphics hardware wants, and what a CPU that pretends to be some: measured on an H200 and on SwiftShader. */
export const hardware: TargetTraits = { accumulators: 128, tileOfOne: 8, tileOfOther: 16, bodyProducts: 1024, parallel: true }
export const software: TargetTraits = { ...hardware, parallel: false }

/** WGSL: one file a kernel, eight storage buffers at most, as every WebGPU grants them. */
export const wgsl: Target = {
  ...scheduled((e, batch) => chooseSchedule(e, hardwareFor(batch)), (e) => chooseSchedule(e, software)),
  candidates: (e, batch, onSoftware) => waysOf(e, batch, onSoftware).map((schedule) => scheduleToJson(e, schedule)),
}

/** The same for inference with what lies between layers stored as f16, where the adapter has `shader-f16`. */
export const wgslHalf: Target = { ...wgsl, name: HALF_PLAN, extension: 'f16.wgsl', storage: 'f16' }

/** What only infers is asked one by one, or many at a time. */
export const batchesFor = (batch: number): readonly number[] => (batch > 1 ? [batch] : [1, 64])

const hardwareFor = (batch: number): TargetTraits => ({ ...hardware, batches: batchesFor(batch) })

/** Staging never paid on a software adapter: a few of those schedules are enough to be sure. */
const STAGED_ON_SOFTWARE = 4

const waysOf = (e: Equation, batch: number, onSoftware: boolean): readonly Schedule[] =>
  (onSoftware ? candidates(e, software, STAGED_ON_SOFTWARE) : candidates(e, hardwareFor(batch)))

/** The schedule that is known for an equation, on whichever kind of adapter it was found, if it is one of those that could be chosen. */
function tuned(e: Equation, batch: number, schedules: Schedules | undefined): Schedule | undefined {
  const known = schedules?.[kernelKey(e)]
  const text = known && JSON.stringify(known)
  return known && [false, true].flatMap((onSoftware) => waysOf(e, batch, onSoftware)).find((schedule) => JSON.stringify(scheduleToJson(e, schedule)) === text)
}

type Choose = (e: Equation, batch: number) => Schedule

/** The target with other choices, which depend on nothing but the `canonicalText` of an equation. */
export function scheduled(choose: Choose, onSoftware: Choose = choose): Target {
  const printer: Target['printer'] = (batch, schedules) => printerOf((e) => tuned(e, batch, schedules) ?? choose(e, batch), (e) => tuned(e, batch, schedules) ?? onSoftware(e, batch))
  return { name: 'webgpu', extension: 'wgsl', maxBindings: 8, sharesBuffers: false, blocksOf, printer }
}

function printerOf(choose: (e: Equation) => Schedule, chooseOnSoftware: (e: Equation) => Schedule): Printer {
  const [onHardware, onSoftware] = [loweringOnce(bufferOf, choose), loweringOnce(bufferOf, chooseOnSoftware)]
  return {
    print: printOnce((equation) => {
      const routine = onHardware(equation)
      const [usual, other] = [printed(routine), printed(onSoftware(equation))]
      return { bindings: routine.bindings, ...usual, ...(other.text !== usual.text && { software: other }) }
    }),
  }
}

function printed(routine: Routine): PrintedText {
  const { code, workgroup } = printWgsl(routine, WORKGROUP)
  const items = itemsOf(routine.grid.map((g) => g.extent))
  // Where the grid counts workgroups, each is full.
  const each = routine.group ? workgroup : 1
  return { text: code, workgroup, invocations: { fixed: items.fixed * each, perSample: items.perSample * each } }
}
