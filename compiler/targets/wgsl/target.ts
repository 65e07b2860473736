import { HALF_PLAN } from '../../../runtime/format.ts'
import { bufferOf } from '../../graph/storage.ts'
import { blocksOfSchedule, chooseSchedule, type TargetTraits } from '../../loops/choose-schedule.ts'
import { loweringOnce } from '../../loops/lower-once.ts'
import { printOnce } from '../print-once.ts'
import { itemsOf } from '../items.ts'
import type { Printer, Target } from '../target.ts'
import { printWgsl } from './print.ts'

/** A multiple of every subgroup size; 256 is what every WebGPU grants. */
const WORKGROUP = 64

const traits: TargetTraits = { accumulators: 128, tileOfOne: 8, tileOfOther: 16, bodyProducts: 1024 }

/** WGSL: one file a kernel, eight storage buffers at most, as every WebGPU grants them. */
export const wgsl: Target = { name: 'webgpu', extension: 'wgsl', maxBindings: 8, sharesBuffers: false, blocksOf: (e) => blocksOfSchedule(e, chooseSchedule(e, traits)), printer }

/** The same for inference with what lies between layers stored as f16, where the adapter has `shader-f16`. */
export const wgslHalf: Target = { ...wgsl, name: HALF_PLAN, extension: 'f16.wgsl', storage: 'f16' }

function printer(): Printer {
  const lowered = loweringOnce(bufferOf, (e) => chooseSchedule(e, traits))
  return {
    print: printOnce((equation) => {
      const routine = lowered(equation)
      const { code, workgroup } = printWgsl(routine, WORKGROUP)
      return { bindings: routine.bindings, invocations: itemsOf(routine.grid.map((g) => g.extent)), workgroup, text: code }
    }),
  }
}
