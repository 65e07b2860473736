import { expect, test } from 'vitest'
import { compileFor } from '../../../compiler/compile.ts'
import type { Equation } from '../../../compiler/ir/equation.ts'
import { scheduleFromJson } from '../../../compiler/codegen/gpu/schedule.ts'
import { wgsl } from '../../../compiler/targets/wgsl/target.ts'

const text = `
net one {
  input x: f32[4, 12, 12]
  input label: class[3]
  y = x -> conv(8, 3, pad: 1) -> batch_norm -> relu -> conv(8, 3, pad: 1) -> fc(3)
  loss = softmax_loss(y, label)
}`

const equations = (): Equation[] =>
  compileFor(text, [wgsl], { programs: ['train'] }).pipelines[0]!.programs.flatMap((p) => p.steps.map((s) => s.fused.equation))

test('a schedule of another equation is refused', () => {
  const conv = equations().find((e) => e.name === 'conv_1')!
  expect(scheduleFromJson(conv, { tile: { '1:c': 4 } })).toBeUndefined()
  expect(scheduleFromJson(conv, { tile: { '99:o': 4 } })).toBeUndefined()
  expect(scheduleFromJson(conv, { tile: { '1:o': 0 } })).toBeUndefined()
  expect(scheduleFromJson(conv, { tile: { '1:o': 4 } })).toBeDefined()
})
