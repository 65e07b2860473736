import { describe, expect, test } from 'vitest'
import { compileFor } from '../../../compiler/compile.ts'
import { candidates } from '../../../compiler/codegen/gpu/choose.ts'
import { HARDWARE, SOFTWARE } from '../../../compiler/codegen/gpu/cost-model.ts'
import { lower } from '../../../compiler/codegen/gpu/lower.ts'
import { type ScheduleJson, scheduleFromJson, scheduleToJson } from '../../../compiler/codegen/gpu/schedule.ts'
import { wantsSubgroups } from '../../../compiler/codegen/gpu/subgroups.ts'
import { verifyKernelFunction } from '../../../compiler/codegen/verify.ts'
import { type Equation, reads, writes } from '../../../compiler/ir/equation.ts'
import { bufferOf } from '../../../compiler/ir/tensor.ts'
import { CAPABILITIES } from '../../../compiler/targets/wgsl/print.ts'
import { wgsl } from '../../../compiler/targets/wgsl/target.ts'
import { differenceFrom } from '../run-kernel-function.ts'

/** Convolutions with statistics on the way and without, with stride; a matrix product; a pool; sums over the batch. */
const text = `
net s {
  input x: f32[2, 4, 4]
  input label: class[4]
  y = x -> conv(4, 3, pad: 1) as first -> batch_norm -> relu -> conv(4, 3, pad: 1) as second -> relu -> max_pool(2)
  z = y -> fc(4) as third
  loss = softmax_loss(z, label)
}`
const equations = (): Map<string, Equation> =>
  new Map(
    compileFor(text, [wgsl], { programs: ['gradients'] }).pipelines[0]!.programs.flatMap((p) =>
      p.steps.map(({ fused: { equation: e } }) => [e.name, e] as const)
    ),
  )
const first = equations()
const everything = [...first].flatMap(([name, e]) =>
  [HARDWARE, SOFTWARE].flatMap((model) => candidates(e, model, { batches: [2], mostStaged: 2 }).map((schedule) => ({ name, e, schedule })))
)

test('every kind of schedule is met', () => {
  for (const knob of ['lanes', 'group', 'stage', 'share', 'inTurn'] as const)
    expect(everything.some(({ schedule }) => schedule[knob] !== undefined), knob).toBe(true)
})

describe('each candidate', () => {
  test('lowers to a sound kernel function, with subgroups and without', () => {
    for (const { e, schedule } of everything) {
      for (const subgroups of wantsSubgroups(e, schedule) ? [false, true] : [false])
        expect(verifyKernelFunction(lower(e, schedule, { bufferOf, subgroups }), CAPABILITIES)).toEqual([])
    }
  })

  test('goes through JSON, to an equal equation of another compilation', () => {
    const again = equations()
    for (const { name, e, schedule } of everything) {
      const json = JSON.parse(JSON.stringify(scheduleToJson(e, schedule))) as ScheduleJson
      const back = scheduleFromJson(again.get(name)!, json)
      expect(back && scheduleToJson(again.get(name)!, back), name).toEqual(json)
    }
  })

  // In float64 nothing but the order of sums differs. One schedule of each combination of knobs for each equation: it runs statement by statement.
  test('computes what its equation says', () => {
    const seen = new Set<string>()
    for (const { name, e, schedule } of everything) {
      const json = scheduleToJson(e, schedule)
      const kind = `${name} ${Object.keys(json).join()}`
      if (seen.has(kind) || [...reads(e), ...writes(e)].some((t) => t.type !== 'f32')) continue
      seen.add(kind)
      expect(differenceFrom(e, lower(e, schedule, { bufferOf }), 2), `${name} by ${JSON.stringify(json)}`).toBeLessThan(1e-9)
    }
    expect(seen.size).toBeGreaterThan(20)
  })
})
