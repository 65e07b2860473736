import { describe, expect, test } from 'vitest'
import type { Device } from '../../../bundle/device.ts'
import { applySchedule } from '../../../compiler/codegen/cpu/apply-schedule.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { type Stage, stagesOf } from '../../../compiler/codegen/cpu/loop-nest.ts'
import { isInWholeVectors } from '../../../compiler/codegen/cpu/gathered-sums.ts'
import { widenNest } from '../../../compiler/codegen/cpu/wide.ts'
import { compile, interpreter } from '../../../compiler/index.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'
import { equationsOf } from './run-loop-nest.ts'

const text = (map: readonly number[], follows: string, channels = 16): string => `
net t {
  input x: f32[4, ${map.join(', ')}]
  a = x -> conv(${channels}, 1, bias: false) -> batch_norm -> leaky_relu(slope: 0.5)
  b = a -> ${follows}
  loss = sum(mul(b, b))
}`

/** The stages of a net's gradients that gather sums. */
const gathering = (net: string): readonly Stage[] => {
  const scheduler = new CpuScheduler()
  const nests = [...equationsOf(net, ['gradients']).values()].map((e) => applySchedule(e, scheduler.scheduleOf(e)))
  return nests.flatMap((nest) => nest.stages.flatMap(stagesOf)).filter((stage) => stage.gathers)
}

const gradients = async (net: string, map: readonly number[], device: Device): Promise<Record<string, Float32Array>> => {
  const opened = await open(compile(net, { targets: ['wasm'], programs: ['gradients'] }), { device, batch: 3, seed: 3 })
  const { grads } = await opened.step({ x: normals(3 * 4 * map[0]! * map[1]!, 5) }, { update: false })
  opened.close()
  device.close()
  return grads as Record<string, Float32Array>
}

const expectReference = async (net: string, map: readonly number[]): Promise<void> => {
  const want = await gradients(net, map, interpreter())
  const [one, two] = [await gradients(net, map, await wasm({ threads: 1 })), await gradients(net, map, await wasm({ threads: 2 }))]
  expect(two).toEqual(one)
  for (const [name, values] of Object.entries(want)) {
    const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
    const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - one[name]![i]!)), 0)
    expect(worst / scale, name).toBeLessThan(2e-5)
  }
}

// Sums of the gradient that a normalization is handed: by a pass, a sum of products, a window a channel, tiles of Winograd's, and phases.
describe.each(
  [
    ['tanh', [16, 16]],
    ['tanh', [3, 8]],
    ['conv(12, 1, bias: false)', [16, 16]],
    ['conv(16, 3, pad: 1, groups: 16, bias: false)', [16, 16]],
    ['conv(12, 3, pad: 1, bias: false)', [16, 16]],
    ['conv(12, 3, pad: 1, bias: false)', [32, 24]],
    ['conv(12, 3, stride: 2, pad: 1, bias: false)', [16, 12]],
  ] as const,
)('behind %s, on maps of %j', (follows, map) => {
  test('sums are gathered by the stage that stores the gradient', () => {
    expect(gathering(text(map, follows))).toHaveLength(1)
  })

  test('gradients are those of the reference, the same bits by any number of threads', () => expectReference(text(map, follows), map))
})

// Tiles that overlap at an edge would add points twice.
describe.each(
  [['tanh', [5, 5]], ['conv(12, 1, bias: false)', [14, 14]], ['conv(16, 3, pad: 1, groups: 16, bias: false)', [9, 9]]] as const,
)(
  'behind %s, on maps of %j',
  (follows, map) => {
    test('sums are read back', () => expect(gathering(text(map, follows))).toEqual([]))
    test('gradients are those of the reference', () => expectReference(text(map, follows), map))
  },
)

test('channels that no tile divides are computed twice, and their sums with them', () =>
  expectReference(text([16, 16], 'conv(12, 1, bias: false)', 18), [16, 16]))

test('pairs of vectors go through all points once, too', () => {
  const scheduler = new CpuScheduler()
  for (const map of [[16, 16], [4, 6]]) {
    for (const follows of ['tanh', 'conv(12, 1, bias: false)']) {
      for (const e of equationsOf(text(map, follows), ['gradients']).values()) {
        const stages = widenNest(applySchedule(e, scheduler.scheduleOf(e)))?.stages.flatMap(stagesOf) ?? []
        for (const { loops, gathers } of stages) if (gathers) expect(isInWholeVectors(loops.slice(-gathers.within))).toBe(true)
      }
    }
  }
})
