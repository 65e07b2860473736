import { describe, expect, test } from 'vitest'
import type { Device } from '../../../bundle/device.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import type { LoopNest, Stage } from '../../../compiler/codegen/cpu/loop-nest.ts'
import type { ContractionSchedule } from '../../../compiler/codegen/cpu/schedule.ts'
import { compile, interpreter } from '../../../compiler/index.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'
import { equationsOf } from './run-loop-nest.ts'

/** A convolution of which each group has maps of its own, normalized in front of it and behind it: what is cut off keeps gradients of gamma from being 0. */
const net = (map: readonly [number, number], conv: string, channels = 8): string => `
net d {
  input x: f32[3, ${map.join(', ')}]
  y = x -> conv(${channels}, 1, bias: false) -> batch_norm -> clip(0, 1) as before -> conv(${conv}, bias: false) as own -> batch_norm -> relu -> conv(4, 1)
  loss = sum(mul(y, y))
}`

const kernel = (text: string, name: RegExp): { readonly schedule: ContractionSchedule; readonly nest: LoopNest } => {
  const [, e] = [...equationsOf(text, ['gradients'])].find(([key]) => name.test(key))!
  const scheduler = new CpuScheduler()
  return { schedule: scheduler.scheduleOf(e) as ContractionSchedule, nest: scheduler.nestOf(e) }
}
const slides = (nest: LoopNest): boolean => nest.stages.some((stage) => 'slides' in stage && stage.slides !== undefined)

test.each([[32, 32], [17, 21]] as const)(
  'a map of %i x %i is packed by the stage that makes it, a channel a task, and windows share what they load',
  (...map) => {
    const { schedule, nest } = kernel(net(map, '8, 3, pad: 1, groups: 8'), /\+own$/)
    expect(schedule.packed).toHaveLength(1)
    expect(slides(nest)).toBe(true)
    const [first] = nest.stages as readonly [Stage]
    expect(nest.grid).toHaveLength(2)
    expect(first.invariantOver).toEqual(nest.grid)
    expect(first.equation.stores.map((s) => s.tensor.name)).toEqual(['before', nest.scratch[0]!.name])
  },
)

test('small maps are masked: the masks of whole rows are known', () => {
  const { schedule, nest } = kernel(net([14, 14], '8, 3, pad: 1, groups: 8'), /\+own$/)
  expect(schedule.packed).toEqual([])
  expect(slides(nest)).toBe(true)
})

test('a task has several channels of a small map, whose statistics lie in lanes; one of a larger map, or where nothing divides them', () => {
  const tasksOf = (map: readonly [number, number], channels: number, name = /\+own$/): readonly unknown[] => {
    const { nest } = kernel(net(map, `${channels}, 3, pad: 1, groups: ${channels}`, channels), name)
    const statistics = nest.stages.at(-1) as Stage
    return [nest.grid.map((a) => a.extent), statistics.loops.map(({ axis, vectorized }) => [axis.extent, vectorized === true])]
  }
  // Of at most 512 elements, and never all of them: 32 and 8 of 64.
  expect(tasksOf([4, 4], 64)).toEqual([['n', 2], [[32, true]]])
  expect(tasksOf([8, 8], 64)).toEqual([['n', 8], [[8, true]]])
  expect(tasksOf([5, 6], 12)).toEqual([['n', 3], [[4, true]]])
  expect(tasksOf([9, 8], 64)).toEqual([['n', 64], []])
  expect(tasksOf([4, 4], 9)).toEqual([['n', 9], []])
  // Sums of a gradient in lanes pay on smaller maps alone.
  expect(tasksOf([6, 6], 64, /^own\.dx/)).toEqual([['n', 8], [[8, true]]])
  expect(tasksOf([8, 8], 64, /^own\.dx/)).toEqual([['n', 64], []])
})

test('two phases of a stride of 2 are one stage, unless one has more columns', () => {
  const sumsOf = (columns: number): number[] =>
    kernel(net([16, columns], '8, 3, stride: 2, pad: 1, groups: 8'), /^own\.dx/).nest.stages
      .flatMap((stage) => ('slides' in stage ? [stage.equation.stores.length] : []))
  expect(sumsOf(32)).toEqual([2, 2])
  expect(sumsOf(33)).not.toContain(2)
})

test('elements of a filter share rows of the map in its gradient, where a number of them divides it', () => {
  const rowsAtOnce = (rows: number): unknown => {
    const { schedule, nest } = kernel(net([rows, 20], '8, 3, pad: 1, groups: 8'), /^own\.dweight\.partial/)
    return [slides(nest), Object.entries(schedule.unroll).find(([axis]) => axis.endsWith(':h'))?.[1]]
  }
  expect(rowsAtOnce(20)).toEqual([true, 4])
  expect(rowsAtOnce(18)).toEqual([true, 6])
  expect(rowsAtOnce(14)).toEqual([true, 7])
  expect(rowsAtOnce(9)).toEqual([true, 3])
  expect(rowsAtOnce(19)).toEqual([false, undefined])
})

test('the map is packed for the gradient of its filter, small ones too, where rows fill a vector', () => {
  const packs = (map: readonly [number, number], conv = '8, 3, pad: 1, groups: 8'): boolean => {
    const { schedule } = kernel(net(map, conv), /^own\.dweight\.partial/)
    return schedule.algorithm === 'contraction' && schedule.packed.length > 0 && schedule.vectorReduction !== undefined
  }
  expect(packs([7, 7])).toBe(true)
  expect(packs([4, 4])).toBe(true)
  expect(packs([14, 14], '8, 7, stride: 2, pad: 3, groups: 8')).toBe(true)
  // Of fewer points four channels lie in lanes.
  expect(packs([3, 4])).toBe(false)
  expect(packs([9, 3])).toBe(false)
})

test('the last four of a row that has no whole number of fours begin in front of its end, and what was added before adds nothing', async () => {
  const text = `
    net d {
      input x: f32[8, 7, 7]
      input g: f32[8, 7, 7]
      loss = sum(mul(x -> conv(8, 3, pad: 1, groups: 8, bias: false) as own, g))
    }`
  const opened = await open(compile(text, { targets: ['wasm'], programs: ['gradients'] }), { device: await wasm({ threads: 1 }), batch: 1 })
  const { grads } = await opened.step({ x: new Float32Array(8 * 49).fill(1), g: new Float32Array(8 * 49).fill(1) }, { update: false })
  opened.close()
  // Products inside of the map: 6 or 7 rows by 6 or 7 columns.
  expect([...grads['own.weight']!.subarray(0, 9)]).toEqual([36, 42, 36, 42, 49, 42, 36, 42, 36])
})

test('sums over several channels, and windows too large to be written out, are taken step by step', () => {
  expect(slides(kernel(net([16, 16], '8, 3, pad: 1, groups: 4'), /\+own$/).nest)).toBe(false)
  expect(slides(kernel(net([16, 16], '8, 11, pad: 5, groups: 8'), /\+own$/).nest)).toBe(false)
})

const gradients = async (text: string, device: Device, elements: number): Promise<ReadonlyMap<string, Float32Array>> => {
  const opened = await open(compile(text, { targets: ['wasm'], programs: ['gradients'] }), { device, batch: 3, seed: 3 })
  const { loss, grads } = await opened.step({ x: normals(3 * elements, 5) }, { update: false })
  opened.close()
  device.close()
  return new Map([['loss', Float32Array.of(loss)], ...Object.entries(grads)] as [string, Float32Array][])
}

describe.each(
  [
    [[17, 21], '8, 3, pad: 1, groups: 8'],
    [[32, 16], '8, 5, pad: 2, groups: 8'],
    [[9, 13], '8, 7, pad: 3, groups: 8'],
    [[20, 28], '8, 3, pad: [0, 2, 1, 3], groups: 8'],
    [[16, 16], '8, 3, pad: 2, dilation: 2, groups: 8'],
    [[16, 32], '8, 3, stride: 2, pad: 1, groups: 8'],
    [[18, 20], '8, 5, stride: 2, pad: 2, groups: 8'],
    [[16, 33], '8, 3, stride: 2, pad: 1, groups: 8'],
    [[20, 24], '8, 3, stride: [1, 2], pad: 1, groups: 8'],
    [[21, 24], '8, 4, stride: 3, pad: 2, groups: 8'],
    [[16, 16], '24, 3, pad: 1, groups: 8'],
    [[16, 20], '8, 3, pad: 1, groups: 4'],
    [[8, 8], '8, [1, 3], pad: [0, 1], groups: 8'],
    [[4, 4], '8, 3, pad: 1, groups: 8'],
    [[8, 7], '8, 3, pad: 1, groups: 8'],
    [[5, 5], '16, 3, pad: 1, groups: 8'],
    [[7, 7], '8, 5, pad: 2, groups: 8'],
    [[14, 14], '16, 7, stride: 2, pad: 3, groups: 8'],
    [[25, 6], '16, 3, pad: 1, groups: 8'],
    [[8, 9], '8, 3, stride: 2, pad: 1, groups: 8'],
  ] as const,
)('the gradients of maps of %j behind conv(%s)', (map, conv) => {
  test('are those of the reference, the same bits by any number of threads', async () => {
    const text = net(map, conv)
    const elements = 3 * map[0] * map[1]
    const [want, one, two] = [
      await gradients(text, interpreter(), elements),
      await gradients(text, await wasm({ threads: 1 }), elements),
      await gradients(text, await wasm({ threads: 2 }), elements),
    ]
    expect(two).toEqual(one)
    const largest = Math.max(...[...want.values()].map((values) => values.reduce((most, v) => Math.max(most, Math.abs(v)), 0)))
    for (const [name, values] of want) {
      const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-3 * largest)
      const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - one.get(name)![i]!)), 0)
      expect(worst / scale, name).toBeLessThan(1e-4)
    }
  })
})
