import { expect, test } from 'vitest'
import { compile, interpreter } from '../../../compiler/index.ts'
import { applySchedule } from '../../../compiler/codegen/cpu/apply-schedule.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { lowerLoopNest } from '../../../compiler/codegen/cpu/lower.ts'
import { verifyKernelFunction } from '../../../compiler/codegen/verify.ts'
import { bufferOf } from '../../../compiler/ir/tensor.ts'
import { CAPABILITIES } from '../../../compiler/targets/wasm/print.ts'
import type { Device } from '../../../bundle/device.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'
import { equationsOf } from './run-loop-nest.ts'

/**
 * Weights that a cache keeps and that none keeps; sizes that tiles do not divide, blocks of channels that tiles do not divide; a product with something
 * computed on the way in its gradient.
 */
const text = `
net m {
  input x: f32[230]
  y = x -> fc(300) as large -> sigmoid -> fc(21) as small -> relu -> fc(3) as last
  z = x -> fc(256) as even
  loss = add(sum(mul(y, y)), sum(mul(z, z)))
}`
const equations = equationsOf(text, ['gradients'])
const scheduler = new CpuScheduler()
const scheduleOf = (name: RegExp): Readonly<Record<string, unknown>> => {
  const [, e] = [...equations].find(([key]) => name.test(key))!
  return scheduler.scheduleOf(e) as never
}

test('inner products and their gradients have blocks of images', () => {
  // Sums of four outputs become vectors where few are computed twice for it.
  expect(scheduleOf(/^large(?!\.d)/)).toMatchObject({ algorithm: 'contraction', taskBlock: { '0:n': 32 }, registerTile: { '0:n': 2 } })
  expect(scheduleOf(/^small(?!\.d)/)).toMatchObject({ algorithm: 'contraction', taskBlock: { '0:n': 8 }, registerTile: { '0:n': 4 } })
  expect(scheduleOf(/small\.dx/)).toMatchObject({ taskBlock: { '0:n': 8 }, vectorAxis: '1:c' })
  expect(scheduleOf(/large\.dweight/)).toMatchObject({ batchBlock: 32 })
})

test("the gradients of weights have several tasks, where a tile's channels divide no block of them, too", () => {
  expect(scheduleOf(/large\.dweight/)).toMatchObject({ registerTile: { '1:i': 3 }, tasks: ['0:o'], taskBlock: { '0:o': 60 } })
  expect(scheduleOf(/even\.dweight/)).toMatchObject({ registerTile: { '1:i': 2 }, tasks: ['0:o'], taskBlock: { '0:o': 64 } })
})

test('tasks are shared evenly: three blocks of 333 outputs are fewer than eight of 1024 inputs', () => {
  const odd = equationsOf('net o { input x: f32[1024] loss = sum(x -> fc(333) as odd -> pow(2)) }', ['gradients']).get('odd.dweight')!
  expect(scheduler.scheduleOf(odd)).toMatchObject({ tasks: ['1:i'], taskBlock: { '1:i': 128 } })
})

test('so they have where none divides the outputs: blocks of the inputs', async () => {
  const prime = 'net p { input x: f32[480] loss = sum(x -> fc(127) as prime -> pow(2)) }'
  const e = equationsOf(prime, ['gradients']).get('prime.dweight')!
  expect(scheduler.scheduleOf(e)).toMatchObject({ registerTile: { '0:o': 3, '1:i': 12 }, tasks: ['1:i'] })
  const results: Record<string, Float32Array>[] = []
  for (const device of [interpreter(), await wasm({ threads: 1 }), await wasm({ threads: 3 })]) {
    const net = await open(compile(prime, { targets: ['wasm'], programs: ['gradients'] }), { device, batch: 33, seed: 3 })
    results.push((await net.step({ x: normals(480 * 33, 1) }, { update: false })).grads as Record<string, Float32Array>)
    net.close()
    device.close()
  }
  const [want, one, three] = results.map((grads) => grads['prime.weight']!) as [Float32Array, Float32Array, Float32Array]
  expect(three).toEqual(one)
  const scale = want.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
  expect(want.reduce((most, v, i) => Math.max(most, Math.abs(v - one[i]!)), 0) / scale).toBeLessThan(2e-5)
})

test('their kernel functions are sound, those too whose tasks count columns before images', () => {
  for (const e of equations.values())
    expect(verifyKernelFunction(lowerLoopNest(e, applySchedule(e, scheduler.scheduleOf(e)), bufferOf), CAPABILITIES)).toEqual([])
})

const gradients = async (device: Device, batch: number): Promise<ReadonlyMap<string, Float32Array>> => {
  const bundle = compile(text, { targets: ['wasm'], programs: ['gradients'] })
  const net = await open(bundle, { device, batch, seed: 3 })
  const { loss, grads } = await net.step({ x: normals(230 * batch, 1) }, { update: false })
  net.close()
  device.close()
  return new Map([['loss', Float32Array.of(loss)], ...Object.entries(grads)] as [string, Float32Array][])
}

test.each([1, 3, 8, 33])(
  'the numbers of the reference at batch %i, whatever the block, the same bits by any number of threads',
  async (batch) => {
    const [want, one, three] = [
      await gradients(interpreter(), batch),
      await gradients(await wasm({ threads: 1 }), batch),
      await gradients(await wasm({ threads: 3 }), batch),
    ]
    expect(three).toEqual(one)
    expect(want.size).toBeGreaterThan(6)
    for (const [name, values] of want) {
      const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-6)
      const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - one.get(name)![i]!)), 0)
      expect(worst / scale, name).toBeLessThan(2e-5)
    }
  },
)
