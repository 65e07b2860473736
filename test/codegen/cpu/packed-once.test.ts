import { expect, test } from 'vitest'
import { compile, interpreter } from '../../../compiler/index.ts'
import { applySchedule } from '../../../compiler/codegen/cpu/apply-schedule.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import type { Device } from '../../../bundle/device.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'
import { equationsOf } from './run-loop-nest.ts'

/** Weights so large that tasks count blocks of channels before images, behind an input that is padded: packed. */
const text = `
net m {
  input x: f32[72, 13, 13]
  output y = x -> conv(112, 3, stride: 2, pad: 1)
}`
const bundle = compile(text, { targets: ['wasm'], programs: ['infer'] })

test('blocks of channels are counted first, and the input is packed for an image', () => {
  const [e] = [...equationsOf(text, ['infer']).values()]
  const schedule = new CpuScheduler().scheduleOf(e!)
  expect(schedule).toMatchObject({ algorithm: 'contraction', tasks: ['1:o', '0:n'], packed: ['a'] })
  expect(applySchedule(e!, schedule).stages[0]).toMatchObject({ perImage: true })
})

/** Run after run with other numbers: what a thread kept of the last one must not be used. */
async function results(device: Device, batch: number): Promise<Float32Array[]> {
  const net = await open(bundle, { device, batch, seed: 3 })
  const all: Float32Array[] = []
  for (const seed of [1, 2]) {
    const { y } = await net.run({ x: normals(72 * 13 * 13 * batch, seed) })
    all.push(y as Float32Array)
  }
  net.close()
  device.close()
  return all
}

test.each([1, 2])('the numbers of the reference for a batch of %i', async (batch) => {
  const [want, one, two] = [
    await results(interpreter(), batch),
    await results(await wasm({ threads: 1 }), batch),
    await results(await wasm({ threads: 2 }), batch),
  ]
  expect(two).toEqual(one)
  for (const [k, values] of want.entries()) {
    const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-6)
    const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - one[k]![i]!)), 0)
    expect(worst / scale).toBeLessThan(2e-5)
  }
})
