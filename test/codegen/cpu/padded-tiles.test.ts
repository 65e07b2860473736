import { expect, test } from 'vitest'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import type { WinogradSchedule } from '../../../compiler/codegen/cpu/schedule.ts'
import type { Equation } from '../../../compiler/ir/equation.ts'
import { compare } from './compare.ts'
import { equationsOf } from './run-loop-nest.ts'

const scheduler = new CpuScheduler()

/** A convolution, and its gradient by the input, without what is fused into them first. */
function convolutionsOf(input: string, layer: string): Equation[] {
  const equations = [...equationsOf(
    `net s {
      input x: f32[${input}]
      input t: class[3]
      y = x -> conv(${input.split(',')[0]}, 1) -> batch_norm -> relu -> ${layer} -> batch_norm -> relu -> global_avg_pool -> fc(3)
      loss = softmax_loss(y, t)
    }`,
    ['gradients'],
  )]
  return [/conv_2$/, /conv_2\.dx/].map((name) => {
    const { fusedProducer: _, ...plain } = equations.find(([key]) => name.test(key))![1]
    return plain
  })
}

test.each([
  ['side by side, where smaller ones would cover the map', '32, 14, 14', 'conv(32, 3, pad: 1)', [4, 4]],
  ['rows alone', '24, 18, 20', 'conv(24, 3, pad: 1)', [4, 4]],
  ['filters of 5 x 5', '16, 14, 14', 'conv(16, 5, pad: 2)', [4, 4]],
  ['windows that see no padding', '32, 15, 15', 'conv(32, 3)', [4, 4]],
  ['windows that see padding in front alone', '32, 11, 13', 'conv(32, 3, pad: [1, 0, 1, 0])', [4, 4]],
  ['windows that see padding behind alone', '32, 17, 11', 'conv(32, 3, pad: [0, 1, 0, 2])', [4, 4]],
  ['few channels: smaller ones, which cover the map', '16, 14, 14', 'conv(16, 3, pad: 1)', [2, 2]],
])('tiles that end behind the map: %s', (what, input, layer, tiles) => {
  convolutionsOf(input, layer).forEach((e, i) => {
    const schedule = scheduler.scheduleOf(e) as WinogradSchedule
    expect(schedule).toMatchObject({ algorithm: 'winograd', outputTile: tiles[i] })
    compare(`${e.name}: ${what}`, e, schedule)
  })
})
