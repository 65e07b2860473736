import { expect, test } from 'vitest'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { applySchedule } from '../../../compiler/codegen/cpu/apply-schedule.ts'
import { type ContractionSchedule, ScheduleMismatch, type WinogradGradientSchedule } from '../../../compiler/codegen/cpu/schedule.ts'
import type { Equation } from '../../../compiler/ir/equation.ts'
import { compare } from './compare.ts'
import { equationsOf } from './run-loop-nest.ts'

const scheduler = new CpuScheduler()

/** The gradient of a convolution's filter in a net that reads maps normalized and rectified, and is normalized behind it. */
const gradientOf = (input: string, layer: string, train = ''): Equation =>
  [...equationsOf(
    `net s {
      input x: f32[${input}]
      input t: class[3]
      y = x -> conv(${input.split(',')[0]}, 1) -> batch_norm -> relu -> ${layer} -> batch_norm -> relu -> global_avg_pool -> fc(3)
      loss = softmax_loss(y, t)
    }
    ${train}`,
    ['gradients'],
  )].find(([name]) => /conv_2\.dweight/.test(name))![1]

test.each([
  ['16, 9, 9', 'conv(16, 3, pad: 1)', 2, 10],
  ['32, 9, 9', 'conv(32, 3, pad: 1)', 4, 12],
  ['16, 11, 13', 'conv(24, 3, pad: 1)', 4, 12],
  ['8, 15, 17', 'conv(12, 3, pad: 1)', 4, 16],
  ['20, 13, 13', 'conv(16, 3)', 4, 12],
  ['16, 17, 11', 'conv(16, 3, pad: [0, 2, 1, 0])', 2, 18],
  ['16, 9, 9', 'conv(16, 5, pad: 2)', 4, 12],
  ['16, 15, 15', 'conv(16, 4, pad: 1)', 4, 16],
  ['16, 17, 17', 'conv(16, 2)', 4, 16],
  ['16, 14, 14', 'conv(16, 3, pad: 1)', 4, 16],
  ['3, 27, 27', 'conv(32, 5, pad: 2)', 4, 28],
])('maps that tiles do not divide: %s, %s', (input, layer, outputTile, rows) => {
  const e = gradientOf(input, layer)
  const schedule = scheduler.scheduleOf(e) as WinogradGradientSchedule
  expect(schedule).toMatchObject({ algorithm: 'winograd-gradient', outputTile, rows })
  compare(`${input} ${layer}`, e, schedule)
  // Blocks of rows, of which the last one ends behind the map.
  compare(`${input} ${layer}`, e, { ...schedule, rows: outputTile })
  expect(() => applySchedule(e, { ...schedule, rows: 5 })).toThrow(ScheduleMismatch)
})

test.each([
  ['64, 7, 7', 'conv(64, 3, pad: 1)', 4],
  ['128, 5, 5', 'conv(128, 3)', 4],
  ['64, 6, 7', 'conv(64, 3, pad: 1)', 4],
])('blocks of images: %s, %s', (input, layer, outputTile) => {
  const e = gradientOf(input, layer, 'train { batch 8 solver sgd(lr: 0.1) }')
  const schedule = scheduler.scheduleOf(e) as WinogradGradientSchedule
  expect(schedule).toMatchObject({ algorithm: 'winograd-gradient', outputTile })
  compare(`${input} ${layer}`, e, schedule)
})

test.each([
  ['few channels, of which tiles take longer to transform than they save', '8, 9, 9', 'conv(8, 3, pad: 1)'],
  ['filters of 5 x 5 on 5 x 5', '16, 5, 5', 'conv(16, 5, pad: 2)'],
  ['the same on a small map', '8, 5, 5', 'conv(8, 3, pad: 1)'],
])('direct sums: %s', (_, input, layer) => {
  expect(scheduler.scheduleOf(gradientOf(input, layer))).toMatchObject({ algorithm: 'contraction' })
})

test.each([
  ['16, 32, 32', 'conv(32, 1, stride: 2)', '16x16x16'],
  ['32, 15, 15', 'conv(64, 1, stride: 2)', '8x8x32'],
  ['16, 17, 21', 'conv(32, 1, stride: 3)', '6x7x16'],
  ['16, 32, 9', 'conv(32, [3, 1], stride: 2, pad: [1, 0])', '16x33x5'],
])('windows of one point that move by a stride pack what they see, image by image: %s, %s', (input, layer, packed) => {
  const e = gradientOf(input, layer, 'train { batch 8 solver sgd(lr: 0.1) }')
  const schedule = scheduler.scheduleOf(e) as ContractionSchedule
  expect(schedule).toMatchObject({ algorithm: 'contraction', packed: expect.any(Array) })
  expect(schedule.batchBlock).toBeUndefined()
  expect(applySchedule(e, schedule).summary).toContain(packed)
  compare(`${input} ${layer}`, e, schedule)
})
