import { describe, expect, test } from 'vitest'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { compile, interpreter } from '../../../compiler/index.ts'
import type { Device } from '../../../bundle/device.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'
import { equationsOf } from './run-loop-nest.ts'

const MAP = [11, 14]

/** Gradients of a map that a mask and sums of batch normalization follow, behind convolutions with strides; a residual beside them. */
const trains = (conv: string, map = MAP, follows = 'batch_norm -> relu'): string => `
net t {
  input x: f32[3, ${map.join(', ')}]
  a = x -> conv(12, 3, pad: 1, bias: ${!follows.startsWith('batch_norm')}) -> ${follows}
  b = a -> conv(${conv}, bias: false) -> batch_norm -> sigmoid
  c = a -> conv(8, 1, stride: 2, bias: false)
  loss = add(sum(mul(b, b)), sum(mul(c, c)))
}`

const taken = [
  ['20, 3, stride: 2, pad: 1'],
  ['18, 1, stride: 2'],
  ['20, 5, stride: 3, pad: 2'],
  ['20, 3, stride: [2, 1], pad: 1'],
  ['20, 1, stride: [1, 3]'],
] as const

const gradients = async (text: string, device: Device, map = MAP): Promise<ReadonlyMap<string, Float32Array>> => {
  const opened = await open(compile(text, { targets: ['wasm'], programs: ['gradients'] }), { device, batch: 3, seed: 3 })
  const { loss, grads } = await opened.step({ x: normals(3 * 3 * map[0]! * map[1]!, 5) }, { update: false })
  opened.close()
  device.close()
  return new Map([['loss', Float32Array.of(loss)], ...Object.entries(grads)] as [string, Float32Array][])
}

describe.each(taken)('the gradient by the input of conv(%s)', (conv) => {
  test('goes by phases', () => {
    const scheduler = new CpuScheduler()
    const all = [...equationsOf(trains(conv), ['gradients']).values()].map((e) => scheduler.scheduleOf(e).algorithm)
    expect(all).toContain('phases')
  })

  test('is that of the reference, the same bits by any number of threads', async () => {
    const [want, one, two] = [
      await gradients(trains(conv), interpreter()),
      await gradients(trains(conv), await wasm({ threads: 1 })),
      await gradients(trains(conv), await wasm({ threads: 2 })),
    ]
    expect(two).toEqual(one)
    expectClose(one, want)
  })
})

// Such maps are one vector, which no loop surrounds, and what is left over of it.
describe.each([[2, 2], [1, 4], [5, 1], [2, 3], [1, 7]])('maps of %i x %i', (...map) => {
  test.each(['tanh', 'batch_norm -> sigmoid'])('gradients behind %s are those of the reference', async (follows) => {
    const text = trains('20, 3, stride: 2, pad: 1', map, follows)
    expectClose(await gradients(text, await wasm({ threads: 1 }), map), await gradients(text, interpreter(), map))
  })
})

function expectClose(found: ReadonlyMap<string, Float32Array>, want: ReadonlyMap<string, Float32Array>): void {
  for (const [name, values] of want) {
    const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
    const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - found.get(name)![i]!)), 0)
    expect(worst / scale, name).toBeLessThan(2e-5)
  }
}
