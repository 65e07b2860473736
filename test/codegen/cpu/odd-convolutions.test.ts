import { describe, expect, test } from 'vitest'
import { applySchedule } from '../../../compiler/codegen/cpu/apply-schedule.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { lowerLoopNest } from '../../../compiler/codegen/cpu/lower.ts'
import { parseSchedule } from '../../../compiler/codegen/cpu/schedule.ts'
import { reads, writes } from '../../../compiler/ir/equation.ts'
import { bufferOf } from '../../../compiler/ir/tensor.ts'
import { elementCount, evaluateEquation, type Numbers } from '../../../compiler/targets/interpreter/evaluate.ts'
import { equationsOf, runLoopNest } from './run-loop-nest.ts'

/** Maps and layers that tiles, strides and blocks do not divide. */
const layers: readonly (readonly [string, readonly number[], string])[] = [
  ['stride 2', [8, 8, 12], 'conv(12, 3, stride: 2, pad: 1)'],
  ['stride 2 of an odd map', [5, 7, 9], 'conv(8, 3, stride: 2, pad: 1)'],
  ['stride 3, kernel 7', [4, 13, 17], 'conv(8, 7, stride: 3, pad: 3)'],
  ['stride 3, kernel 2: points without a window', [4, 9, 12], 'conv(8, 2, stride: 3)'],
  ['stride 2, kernel 1', [8, 9, 8], 'conv(12, 1, stride: 2)'],
  ['stride 2, dilation 2', [4, 13, 12], 'conv(8, 3, stride: 2, dilation: 2, pad: 2)'],
  ['stride 2, dilation 3', [4, 12, 15], 'conv(8, 3, stride: 2, dilation: 3, pad: 3)'],
  ['a pad beyond the kernel', [4, 5, 6], 'conv(8, 2, stride: 2, pad: 3)'],
  ['groups of three channels', [9, 7, 8], 'conv(9, 3, stride: 2, pad: 1, groups: 3)'],
  ['depthwise, kernel 5, stride 2', [8, 9, 11], 'conv(8, 5, stride: 2, pad: 2, groups: 8)'],
  ['depthwise, kernel 7', [8, 7, 7], 'conv(8, 7, pad: 3, groups: 8)'],
  ['depthwise, kernel 3, stride 3', [4, 10, 10], 'conv(4, 3, stride: 3, pad: 1, groups: 4)'],
  ['wide channels on a small map', [96, 2, 2], 'conv(80, 3, pad: 1)'],
  ['wide channels on a small map, stride 2', [64, 3, 3], 'conv(96, 3, stride: 2, pad: 1)'],
  ['few channels', [3, 16, 16], 'conv(4, 3, pad: 1)'],
  ['twelve channels', [20, 8, 8], 'conv(12, 3, pad: 1)'],
  ['deconvolution', [6, 5, 6], 'deconv(8, 4, stride: 2, pad: 1)'],
  ['deconvolution, stride 3, kernel 3', [4, 4, 5], 'deconv(5, 3, stride: 3)'],
]

const scheduler = new CpuScheduler()

describe('convolutions of odd shapes and their gradients', () => {
  test.each(layers)('%s', (_, [channels, height, width], layer) => {
    const text = `net s {
      input x: f32[${channels}, ${height}, ${width}]
      input t: class[3]
      y = x -> conv(${channels}, 1) -> batch_norm -> relu -> ${layer} -> batch_norm -> relu -> global_avg_pool -> fc(3)
      loss = softmax_loss(y, t)
    }`
    const seen = new Set<string>()
    for (const [name, e] of equationsOf(text, ['gradients'])) {
      if (e.stores.length === 0 || !/conv/.test(name)) continue
      const schedule = scheduler.scheduleOf(e)
      seen.add(schedule.algorithm)
      expect(parseSchedule(JSON.parse(JSON.stringify(schedule)))).toEqual(schedule)
      const nest = applySchedule(e, schedule)
      lowerLoopNest(e, nest, bufferOf)
      const inputs = reads(e).map((t, k) =>
        [t, Float64Array.from({ length: elementCount(t, 2) }, (_, j) => 1.5 + Math.sin(1 + 1.7 * j + 13 * k))] as const
      )
      const [want, got] = [0, 1].map(() => new Map(inputs.map(([t, d]) => [t, d.slice() as Numbers]))) as [
        Map<(typeof inputs)[number][0], Numbers>,
        Map<(typeof inputs)[number][0], Numbers>,
      ]
      evaluateEquation(e, want, { batch: 2 })
      runLoopNest(nest, got, 2)
      for (const t of writes(e)) {
        const [a, b] = [Array.from(want.get(t)!), Array.from(got.get(t)!)]
        const scale = a.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-3)
        expect(a.reduce((m, v, j) => Math.max(m, Math.abs(v - b[j]!)), 0) / scale, `${t.name} of ${name}`).toBeLessThan(1e-10)
      }
    }
    expect(seen.size).toBeGreaterThan(0)
  })
})
