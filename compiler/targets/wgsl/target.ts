import { bufferOf } from '../../graph/storage.ts'
import { chooseSchedule, type TargetTraits } from '../../loops/choose-schedule.ts'
import type { Extent } from '../../loops/index-expression.ts'
import type { Equation } from '../../loops/kernel.ts'
import { loweringOnce } from '../../loops/lower-once.ts'
import type { PrintedKernel } from '../../plan/build-plan.ts'
import { printOnce } from '../print-once.ts'
import type { Target } from '../target.ts'
import { printWgsl } from './print.ts'

/** A multiple of every subgroup size; 256 is what every WebGPU grants. */
const WORKGROUP = 64

const traits: TargetTraits = { accumulators: 128, tileOfOne: 8, tileOfOther: 16, bodyProducts: 1024 }

/** WGSL: one file a kernel, eight storage buffers at most, as every WebGPU grants them. */
export const wgsl: Target = { name: 'webgpu', extension: 'wgsl', maxBindings: 8, traits, printer }

function printer(): (equation: Equation) => PrintedKernel {
  const lowered = loweringOnce(bufferOf, (e) => chooseSchedule(e, traits))
  return printOnce((equation) => {
    const routine = lowered(equation)
    const { code, workgroup } = printWgsl(routine, WORKGROUP)
    return { routine, bindings: routine.bindings, invocations: invocations(routine.grid.map((g) => g.extent)), workgroup, text: code }
  })
}

/** Points of the grid, linear in the batch: ceil(n / chunks) is rounded up to n / chunks + 1, the kernel stops what is beyond. */
function invocations(extents: readonly Extent[]): { fixed: number; perSample: number } {
  const fixed = extents.reduce<number>((product, e) => product * (typeof e === 'number' ? e : 1), 1)
  const batched = extents.find((e) => typeof e !== 'number')
  if (batched === undefined) return { fixed, perSample: 0 }
  if (batched === 'n') return { fixed: 0, perSample: fixed }
  return { fixed, perSample: Math.ceil(fixed / (batched as { chunks: number }).chunks) }
}
