import type { Equation } from '../../ir/equation.ts'
import { contractionNest } from './contraction-nest.ts'
import { withFusedProducer } from './fused-producer.ts'
import { type LoopNest, stagesOf } from './loop-nest.ts'
import { phasesNest } from './phases-nest.ts'
import { pointwiseNest } from './pointwise.ts'
import { type CpuSchedule, fits } from './schedule.ts'
import { simplify } from './simplify.ts'
import { winogradNest } from './winograd/forward.ts'
import { weightGradientNest } from './winograd/weight-gradient.ts'

/** The loop nest of an equation by a schedule: a function of both alone. Throws ScheduleMismatch where the schedule does not fit it. */
export function applySchedule(e: Equation, schedule: CpuSchedule): LoopNest {
  const { equation, contraction } = simplify(e)
  const contractionOf = (): NonNullable<typeof contraction> => {
    fits(contraction, `${schedule.algorithm} wants a sum of products`)
    return contraction
  }
  const wanted = e.prepacked && (e.prepacked.form === 'winograd' ? 'winograd' : 'contraction')
  fits(!wanted || schedule.algorithm === wanted, `a weight was packed for another algorithm than ${schedule.algorithm}`)
  const nest = schedule.algorithm === 'pointwise' ? pointwiseNest(equation, schedule)
    : schedule.algorithm === 'contraction' ? contractionNest(contractionOf(), schedule)
    : schedule.algorithm === 'phases' ? phasesNest(contractionOf(), schedule)
    : schedule.algorithm === 'winograd' ? winogradNest(contractionOf(), schedule)
    : weightGradientNest(contractionOf(), schedule)
  for (const stage of nest.stages.flatMap(stagesOf)) {
    for (const [a, steps] of stage.unroll) {
      const divides = typeof a.extent === 'number' && a.extent % steps === 0
      fits(steps === 1 || divides || a === stage.vectorReduction, `${a.name} cannot be written out by ${steps}`)
    }
  }
  return e.fusedProducer ? withFusedProducer(e, e.fusedProducer, nest) : nest
}
