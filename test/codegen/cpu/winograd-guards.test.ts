import { expect, test } from 'vitest'
import { compile, interpreter } from '../../../compiler/index.ts'
import type { Device } from '../../../bundle/device.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'

/**
 * A convolution behind which whole maps are averaged, `pooled`: in small memory the gradient by its input reads one number a channel, by a place
 * that does not move, and where the filter lies shows in guards alone.
 */
const text = (pooled: string): string => `
net m {
  input x: f32[16, 17, 26]
  v = x -> conv(48, 3, pad: [2, 1, 0, 2], bias: false) as below -> ${pooled} as pooled -> global_avg_pool -> fc(3) as head
  loss = sum(mul(v, v))
}`

const gradients = async (source: string, device: Device): Promise<ReadonlyMap<string, Float32Array>> => {
  const bundle = compile(source, { targets: ['wasm'], programs: ['gradients'], memory: 'small' })
  const net = await open(bundle, { device, batch: 3, seed: 3 })
  const { grads } = await net.step({ x: normals(3 * 16 * 17 * 26, 1) }, { update: false })
  net.close()
  device.close()
  return new Map(Object.entries(grads) as [string, Float32Array][])
}

test.each([
  'conv(66, 3, pad: 1, dilation: 2, bias: false)',
  'conv(64, 3, pad: [0, 3, 2, 1], dilation: [1, 2], bias: false)',
  'conv(64, 3, pad: [0, 2, 1, 2], bias: false)',
  'conv(64, 5, pad: [3, 0, 1, 4], bias: false)',
  'deconv(64, 3, pad: [0, 1, 1, 0], bias: false)',
  'conv(64, 3, stride: 2, pad: 1, bias: false)',
])('%s in front of an average over the map: the gradients of the reference', async (pooled) => {
  const want = await gradients(text(pooled), interpreter())
  const found = await gradients(text(pooled), await wasm({ threads: 1 }))
  for (const [name, values] of want) {
    const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-6)
    const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - found.get(name)![i]!)), 0)
    expect(worst / scale, name).toBeLessThan(2e-5)
  }
})
