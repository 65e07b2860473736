import { describe, expect, test } from 'vitest'
import type { LoopNest } from '../../../compiler/codegen/cpu/loop-nest.ts'
import { lowerLoopNest } from '../../../compiler/codegen/cpu/lower.ts'
import { axis } from '../../../compiler/ir/affine.ts'
import { equation, store } from '../../../compiler/ir/equation.ts'
import { constant, load, mul, sum } from '../../../compiler/ir/expression.ts'
import { tensor } from '../../../compiler/ir/tensor.ts'
import { runKernelFunction } from '../run-kernel-function.ts'

/** What a kernel leaves of a map that it doubles in place and sums up behind that, one channel after the other, `times` over. */
function doubledAndSummed(points: number, tile: number, unroll: number, times: number): { map: number[]; sums: number[] } {
  const channels = 2
  const [task, c, i, step] = [axis('task', 1), axis('c', channels), axis('i', points), axis('step', points)]
  const [map, sums] = [tensor('map', [channels, points]), tensor('sums', [channels])]
  const doubled = equation('doubled', [], [task, c, i], [store(map, [c, i], mul(load(map, c, i), constant(2)))])
  const summed = equation('summed', [], [task, c], [store(sums, [c], sum([step], load(map, c, step)))])
  const whole = { ...doubled, stores: [...doubled.stores, ...summed.stores] }
  const nest: LoopNest = {
    grid: [task],
    stages: [{
      each: [{ axis: c, tile: 1 }],
      stages: Array.from({ length: times }, () => [
        { equation: doubled, loops: [{ axis: i, tile, vectorized: true }], unroll: new Map() },
        { equation: summed, loops: [], vectorReduction: step, unroll: new Map([[step, unroll]]) },
      ]).flat(),
    }],
    scratch: [],
    summary: '',
  }
  const numbers = new Map([[map, Float64Array.from({ length: channels * points }, (_, k) => k + 1)], [sums, new Float64Array(channels)]])
  runKernelFunction(lowerLoopNest(whole, nest), numbers, 1)
  return { map: [...numbers.get(map)!], sums: [...numbers.get(sums)!] }
}

describe.each([
  ['a vector that is left over behind pairs', 36, 2, 2],
  ['vectors that are left over behind larger tiles', 28, 4, 4],
  ['a vector and points that are left over', 39, 2, 2],
  ['the only vector', 4, 1, 1],
  ['the only tile', 8, 2, 2],
  ['vectors in a loop', 32, 1, 1],
])('sums of what a stage before has updated in place: %s', (_, points, tile, unroll) => {
  test.each([1, 2])('%i times', (times) => {
    const map = Array.from({ length: 2 * points }, (_, k) => (k + 1) * 2 ** times)
    const sums = [map.slice(0, points), map.slice(points)].map((channel) => channel.reduce((a, b) => a + b))
    expect(doubledAndSummed(points, tile, unroll, times)).toEqual({ map, sums })
  })
})
