import { expect, test } from 'vitest'
import { compile, interpreter } from '../../../compiler/index.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { stagesOf } from '../../../compiler/codegen/cpu/loop-nest.ts'
import type { Device } from '../../../bundle/device.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'
import { equationsOf } from './run-loop-nest.ts'

/** Maps of 4 KiB, whose rows lie in one set of the first cache; an odd number of channels. */
const text = `
net m {
  input x: f32[17, 32, 32]
  y = x -> conv(15, 1) as first -> batch_norm -> relu -> conv(20, 1) as second
  loss = sum(mul(y, y))
}`

test('a map is packed in panels by rows, two at a time', () => {
  const [, e] = [...equationsOf(text, ['gradients'])].find(([key]) => key.startsWith('first'))!
  const [pack] = new CpuScheduler().nestOf(e).stages.flatMap(stagesOf)
  expect(pack!.loops.map(({ axis, tile }) => [axis.extent, tile])).toEqual([[17, 2], [128, 1], [1, 1], [8, 2]])
})

test('the last of an odd number of rows is there', async () => {
  const gradients = async (device: Device): Promise<ReadonlyMap<string, Float32Array>> => {
    const net = await open(compile(text, { targets: ['wasm'], programs: ['gradients'] }), { device, batch: 2, seed: 3 })
    const { loss, grads } = await net.step({ x: normals(2 * 17 * 1024, 1) }, { update: false })
    net.close()
    device.close()
    return new Map([['loss', Float32Array.of(loss)], ...Object.entries(grads)] as [string, Float32Array][])
  }
  const [want, got] = [await gradients(interpreter()), await gradients(await wasm({ threads: 2 }))]
  for (const [name, values] of want) {
    const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-6)
    const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - got.get(name)![i]!)), 0)
    expect(worst / scale, name).toBeLessThan(2e-5)
  }
})
