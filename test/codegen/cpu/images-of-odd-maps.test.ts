import { expect, test } from 'vitest'
import { applySchedule } from '../../../compiler/codegen/cpu/apply-schedule.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { stagesOf } from '../../../compiler/codegen/cpu/loop-nest.ts'
import type { WinogradSchedule } from '../../../compiler/codegen/cpu/schedule.ts'
import { compare } from './compare.ts'
import { equationsOf } from './run-loop-nest.ts'

const scheduler = new CpuScheduler()

/** Tiles of blocks of images that end behind the right or the lower side of a map. Behind them results lie without gaps, so that all are stored by vectors. */
test.each([[4, 3, 3], [3, 4, 3], [3, 3, 3], [5, 7, 3], [7, 5, 3], [7, 3, 3], [3, 7, 3], [7, 7, 3], [3, 4, 5], [
  5,
  7,
  5,
]])(
  'maps of %i x %i, filters of side %i',
  (height, width, side) => {
    const text = `net s {
      input x: f32[32, ${height}, ${width}]
      y = x -> conv(32, 1) -> batch_norm -> relu -> conv(32, ${side}, pad: ${side >> 1}) -> batch_norm -> relu
      loss = sum(y)
    }`
    const [, found] = [...equationsOf(text, ['gradients'])].find(([name]) => name.endsWith('conv_2'))!
    const { fusedProducer: _, ...plain } = found
    const e = scheduler.inProgram(plain, 32)
    const schedule = scheduler.scheduleOf(e) as WinogradSchedule
    expect(schedule.algorithm).toBe('winograd')
    expect(Object.values(schedule.taskBlock ?? {})).toEqual(expect.arrayContaining([expect.toSatisfy((n: number) => n >= 8)]))
    const stored = applySchedule(e, schedule).stages.flatMap(stagesOf).find(({ equation }) => equation.stores[0]!.tensor.name === 'conv_2')!
    expect(stored.loops.at(-1)!.vectorized).toBe(true)
    compare(e.name, e, schedule)
  },
)
