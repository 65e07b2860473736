import { HALF_PLAN } from '../../../runtime/format.ts'
import { bufferOf } from '../../graph/storage.ts'
import { blocksOf, chooseSchedule, type TargetTraits } from '../../loops/choose-schedule.ts'
import { loweringOnce } from '../../loops/lower-once.ts'
import { printOnce } from '../print-once.ts'
import { itemsOf } from '../items.ts'
import type { Equation } from '../../loops/kernel.ts'
import type { PrintedText } from '../../plan/build-plan.ts'
import type { Routine } from '../../loops/routine.ts'
import type { Schedule } from '../../loops/schedule.ts'
import type { Printer, Target } from '../target.ts'
import { printWgsl } from './print.ts'

/** A multiple of every subgroup size; 256 is what every WebGPU grants. */
const WORKGROUP = 64

/** What graphics hardware wants, and what a CPU that pretends to be some: measured on an H200 and on SwiftShader. */
export const hardware: TargetTraits = { accumulators: 128, tileOfOne: 8, tileOfOther: 16, bodyProducts: 1024, parallel: true }
export const software: TargetTraits = { ...hardware, parallel: false }

/** WGSL: one file a kernel, eight storage buffers at most, as every WebGPU grants them. */
export const wgsl: Target = scheduled((e, batch) => chooseSchedule(e, { ...hardware, batches: batchesFor(batch) }), (e) => chooseSchedule(e, software))

/** The same for inference with what lies between layers stored as f16, where the adapter has `shader-f16`. */
export const wgslHalf: Target = { ...wgsl, name: HALF_PLAN, extension: 'f16.wgsl', storage: 'f16' }

/** What only infers is asked one by one, or many at a time. */
export const batchesFor = (batch: number): readonly number[] => (batch > 1 ? [batch] : [1, 64])

type Choose = (e: Equation, batch: number) => Schedule

/** The target with other choices, which depend on nothing but the `canonicalText` of an equation. */
export function scheduled(choose: Choose, onSoftware: Choose = choose): Target {
  return { name: 'webgpu', extension: 'wgsl', maxBindings: 8, sharesBuffers: false, blocksOf, printer: (batch) => printer((e) => choose(e, batch), (e) => onSoftware(e, batch)) }
}

function printer(choose: (e: Equation) => Schedule, chooseOnSoftware: (e: Equation) => Schedule): Printer {
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
