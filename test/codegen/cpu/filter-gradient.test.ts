import { expect, test } from 'vitest'
import { compile, interpreter } from '../../../compiler/index.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import type { Device } from '../../../bundle/device.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'
import { equationsOf } from './run-loop-nest.ts'

/** Filters whose gradients are made in chunks of the batch or at once, one with groups; of channels that fill no tiles; and depthwise ones of a single element. */
const text = `
net m {
  input x: f32[48, 3, 3]
  y = x -> conv(80, 3, stride: 2, pad: 1) as chunked -> relu -> conv(400, 3, stride: 2, pad: 1, groups: 2) as large
  d = x -> conv(48, 1, groups: 48) as depthwise -> global_avg_pool -> flatten -> fc(3)
  t = x -> conv(50, 3, pad: 1) as even -> relu -> conv(37, 5, pad: 2) as tails
  e = x -> conv(960, 1) as expanded -> relu -> conv(48, 1) as projected
  loss = add(sum(mul(y, y)), sum(mul(d, d)), sum(mul(t, t)), sum(mul(e, e)))
}`
const equations = equationsOf(text, ['gradients'])
const scheduler = new CpuScheduler()
const scheduleOf = (name: RegExp): Readonly<Record<string, unknown>> => {
  const [, e] = [...equations].find(([key]) => name.test(key))!
  return scheduler.scheduleOf(e) as never
}

test('gradients of filters by small maps have blocks of images', () => {
  expect(scheduleOf(/chunked\.dweight/)).toMatchObject({ tasks: ['0:chunk', '2:c'], batchBlock: 8 })
  expect(scheduleOf(/large\.dweight/)).toMatchObject({ tasks: ['0:g', '2:c'], batchBlock: 32 })
  // Channels that are no multiples of a tile: 50 are six tiles and two more, 37 four and five. Of 4 and of 2 chunks of the batch.
  expect(scheduleOf(/even\.dweight/)).toMatchObject({ registerTile: { '2:c': 4, '1:o': 8 }, batchBlock: 8 })
  expect(scheduleOf(/tails\.dweight/)).toMatchObject({ tasks: ['0:chunk'], registerTile: { '2:c': 4, '1:o': 8 }, batchBlock: 16 })
  // The other factor is packed for each block of channels: the smaller one.
  expect(scheduleOf(/expanded\.dweight/)).toMatchObject({ tasks: ['0:chunk', '1:o'], taskBlock: { '1:o': 240 } })
  expect(scheduleOf(/projected\.dweight/)).toMatchObject({ tasks: ['0:chunk', '2:c'], taskBlock: { '2:c': 240 } })
})

test('of filters of few elements smaller maps have', () => {
  const batchBlock = (map: string, filter: string): unknown => {
    const net = `net f {
      input x: f32[16, ${map}]
      loss = sum(mul(x -> conv(24, 1) -> tanh -> conv(32, ${filter}) as f -> tanh, 2))
    }`
    const [, e] = [...equationsOf(net, ['gradients'])].find(([key]) => /f\.dweight/.test(key))!
    return (scheduler.scheduleOf(e) as { readonly batchBlock?: number }).batchBlock
  }
  expect(batchBlock('10, 10', '2, stride: 2')).toBeDefined()
  for (const map of ['12, 12', '14, 10', '16, 16']) expect(batchBlock(map, '2, stride: 2')).toBeUndefined()
  expect(batchBlock('15, 15', '3, stride: 2, pad: 1')).toBeDefined()
})

const gradients = async (device: Device, batch: number): Promise<ReadonlyMap<string, Float32Array>> => {
  const bundle = compile(text, { targets: ['wasm'], programs: ['gradients'] })
  const net = await open(bundle, { device, batch, seed: 3 })
  const { loss, grads } = await net.step({ x: normals(48 * 3 * 3 * batch, 1) }, { update: false })
  net.close()
  device.close()
  return new Map([['loss', Float32Array.of(loss)], ...Object.entries(grads)] as [string, Float32Array][])
}

test('the numbers of the reference where the last block is not full, the same bits by any number of threads', async () => {
  const batch = 38
  const [want, one, three] = [
    await gradients(interpreter(), batch),
    await gradients(await wasm({ threads: 1 }), batch),
    await gradients(await wasm({ threads: 3 }), batch),
  ]
  expect(three).toEqual(one)
  for (const [name, values] of want) {
    const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-6)
    const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - one.get(name)![i]!)), 0)
    expect(worst / scale, name).toBeLessThan(2e-5)
  }
})
