import { expect, test } from 'vitest'
import { compile, interpreter } from '../../../compiler/index.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { stagesOf } from '../../../compiler/codegen/cpu/loop-nest.ts'
import type { Device } from '../../../bundle/device.ts'
import type { Equation } from '../../../compiler/ir/equation.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'
import { equationsOf } from './run-loop-nest.ts'

/** Maps of 4 KiB, whose rows lie in one set of the first cache; numbers of channels that are odd, and even. */
const text = `
net m {
  input x: f32[17, 32, 32]
  y = x -> conv(15, 1) as first -> batch_norm -> relu -> conv(20, 1) as second -> batch_norm -> sigmoid -> conv(12, 1) as third
  loss = sum(mul(y, y))
}`

/** A map whose values depend on rows, not on the place in memory alone. */
const byRows = `
net m {
  input x: f32[17, 32, 32]
  input r: f32[1, 32, 1]
  y = mul(x -> conv(16, 1), r)
  z = y -> conv(20, 1) as first
  loss = sum(add(mul(z, z), y -> conv(20, 1) as second))
}`

const equationOf = (net: string, name: RegExp): Equation => [...equationsOf(net, ['gradients'])].find(([key]) => name.test(key))![1]

test('a map is packed in panels by rows, those of an even number of lines a line longer', () => {
  const nests = [/^first$/, /second$/, /third$/].map((name) => new CpuScheduler().nestOf(equationOf(text, name)))
  const packs = nests.map(({ stages }) => stages.flatMap(stagesOf)[0]!)
  expect(packs.map(({ loops }) => loops.map(({ axis, tile }) => [axis.extent, tile]))).toEqual(
    [17, 15, 20].map((channels) => [[channels, 1], [128, 1], [1, 1], [8, 2]]),
  )
  expect(nests.map(({ scratch }) => scratch[0]!.shape)).toEqual([[128, 17, 1, 8], [128, 15, 1, 8], [128, 22, 1, 8]])
})

test('a map that others read, too, is made and stored as it is packed', () => {
  const stores = (net: string, name: RegExp): string[][] =>
    new CpuScheduler().nestOf(equationOf(net, name)).stages.flatMap(stagesOf).map(({ equation }) =>
      equation.stores.map((s) => s.tensor.name)
    )
  expect(stores(text, /second$/).slice(0, 1)).toEqual([['relu_1', 'staged_a']])
  expect(stores(text, /third$/).slice(0, 1)).toEqual([['sigmoid_1', 'staged_a']])
  // What asks for its row is made in front.
  expect(stores(byRows, /first$/).slice(0, 2)).toEqual([['mul_1'], ['staged_a']])
})

test.each([['batch_norm', text], ['values of rows', byRows]])('gradients, the last of an odd number of rows too: %s', async (_, net) => {
  const gradients = async (device: Device): Promise<ReadonlyMap<string, Float32Array>> => {
    const opened = await open(compile(net, { targets: ['wasm'], programs: ['gradients'] }), { device, batch: 2, seed: 3 })
    const inputs = { x: normals(2 * 17 * 1024, 1), ...(net === byRows && { r: normals(2 * 32, 2) }) }
    const { loss, grads } = await opened.step(inputs, { update: false })
    opened.close()
    device.close()
    return new Map([['loss', Float32Array.of(loss)], ...Object.entries(grads)] as [string, Float32Array][])
  }
  const [want, got] = [await gradients(interpreter()), await gradients(await wasm({ threads: 2 }))]
  for (const [name, values] of want) {
    const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1)
    const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - got.get(name)![i]!)), 0)
    expect(worst / scale, name).toBeLessThan(2e-5)
  }
})
