import { expect, test } from 'vitest'
import { compile, interpreter } from '../../../compiler/index.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import type { Device } from '../../../bundle/device.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'
import { equationsOf } from './run-loop-nest.ts'

/** A convolution of 1 x 1 with its gradient, statistics and an activation, on maps of one size; images so few that threads share one. */
const net = (side: number, channels: number): string => `
net m {
  input x: f32[${channels}, ${side}, ${side}]
  y = x -> conv(${channels}, 1) as first -> relu -> conv(24, 1, bias: false) as second -> batch_norm -> relu -> conv(9, 1) as third
  loss = sum(mul(y, y))
}`

const packedBy = (text: string, name: RegExp): unknown => {
  const [, e] = [...equationsOf(text, ['gradients'])].find(([key]) => name.test(key))!
  return (new CpuScheduler().scheduleOf(e) as { packed?: unknown }).packed
}

test('channels that lie 4 KiB apart are packed; fewer than a set holds, or of other maps, are read as they lie', () => {
  expect(packedBy(net(32, 16), /^first/)).toHaveLength(1)
  expect(packedBy(net(32, 16), /second\.dx/)).toHaveLength(1)
  expect(packedBy(net(32, 12), /^first/)).toEqual([])
  expect(packedBy(net(31, 16), /^first/)).toEqual([])
  expect(packedBy(net(16, 16), /^first/)).toEqual([])
})

const gradients = async (text: string, device: Device, batch: number): Promise<ReadonlyMap<string, Float32Array>> => {
  const opened = await open(compile(text, { targets: ['wasm'], programs: ['gradients'] }), { device, batch, seed: 3 })
  const { loss, grads } = await opened.step({ x: normals(16 * 32 * 32 * batch, 1) }, { update: false })
  opened.close()
  device.close()
  return new Map([['loss', Float32Array.of(loss)], ...Object.entries(grads)] as [string, Float32Array][])
}

test('the numbers of the reference, the same bits by any number of threads', async () => {
  const text = net(32, 16)
  const [want, one, three] = [
    await gradients(text, interpreter(), 2),
    await gradients(text, await wasm({ threads: 1 }), 2),
    await gradients(text, await wasm({ threads: 3 }), 2),
  ]
  expect(three).toEqual(one)
  for (const [name, values] of want) {
    const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-6)
    const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - one.get(name)![i]!)), 0)
    expect(worst / scale, name).toBeLessThan(2e-5)
  }
})
