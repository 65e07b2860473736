import { expect, test } from 'vitest'
import { compileFor } from '../../compiler/compile.ts'
import { candidates } from '../../compiler/codegen/gpu/choose.ts'
import { HARDWARE } from '../../compiler/codegen/gpu/cost-model.ts'
import type { Equation } from '../../compiler/ir/equation.ts'
import { type ScheduleJson, scheduleFromJson, scheduleToJson } from '../../compiler/codegen/gpu/schedule.ts'
import { wgsl } from '../../compiler/targets/wgsl/target.ts'

const text = `
net one {
  input x: f32[4, 12, 12]
  input label: class[3]
  y = x -> conv(8, 3, pad: 1) -> batch_norm -> relu -> conv(8, 3, pad: 1) -> fc(3)
  loss = softmax_loss(y, label)
}`

const equations = (): Equation[] =>
  compileFor(text, [wgsl], { programs: ['train'] }).pipelines[0]!.programs.flatMap((p) => p.steps.map((s) => s.fused.equation))

test('a schedule goes through JSON, to an equal equation of another compilation', () => {
  const [first, second] = [equations(), equations()]
  for (const [i, e] of first.entries()) {
    for (const schedule of candidates(e, HARDWARE, { mostStaged: 4 })) {
      const json = JSON.parse(JSON.stringify(scheduleToJson(e, schedule))) as ScheduleJson
      const back = scheduleFromJson(second[i]!, json)
      expect(back && scheduleToJson(second[i]!, back), e.name).toEqual(json)
    }
  }
})

test('a schedule of another equation is refused', () => {
  const conv = equations().find((e) => e.name === 'conv_1')!
  expect(scheduleFromJson(conv, { tile: { '1:c': 4 } })).toBeUndefined()
  expect(scheduleFromJson(conv, { tile: { '99:o': 4 } })).toBeUndefined()
  expect(scheduleFromJson(conv, { tile: { '1:o': 0 } })).toBeUndefined()
  expect(scheduleFromJson(conv, { tile: { '1:o': 4 } })).toBeDefined()
})
