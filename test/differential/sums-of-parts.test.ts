import { expect, test } from 'vitest'
import { interpreter } from '../../compiler/index.ts'
import { type Device, open, type Outputs, wasm } from '../../runtime/index.ts'
import { compiled } from '../support/compiled.ts'
import { labels, normals } from '../support/random-net.ts'
import { targetsOf } from '../support/targets.ts'

/**
 * A normalization of which the next layer reads a part, or which the next layer reads as a part: its gradient is where the producer of the
 * gradient stored it, place by place, but not all of it. Merged is compared with split, where every layer is a pass of its own.
 */
const BATCH = 3
const rows: readonly (readonly [string, string])[] = [
  ['the first channel alone', 'slice(x -> batch_norm, 1, 0, 1) -> fc(3)'],
  ['some channels, and a scale', 'slice(x -> batch_norm(affine: false) -> scale -> mul(0.5) -> scale, 1, 0, 2) -> fc(3)'],
  ['the first rows', 'slice(x -> batch_norm, 2, 0, 3) -> conv(4, 3, pad: 1) -> fc(3)'],
  ['the first of two', 'concat(x -> conv(3, 1) -> batch_norm, x -> conv(2, 1) -> batch_norm) -> conv(4, 3) -> fc(3)'],
  ['within a frame behind it', 'x -> batch_norm -> pad([0, 0, 0, 2]) -> conv(4, 3) -> fc(3)'],
  ['channels from the second on', 'slice(x -> batch_norm, 1, 1, 3) -> fc(3)'],
  ['within a frame in front of it', 'x -> batch_norm -> pad([0, 0, 2, 0]) -> conv(4, 3) -> fc(3)'],
  ['the last of two', 'concat(x -> conv(2, 1), x -> conv(3, 1) -> batch_norm) -> conv(4, 3) -> fc(3)'],
]

test.each(rows)('%s', async (_, layers) => {
  const text = `net parts {
  input x: f32[5, 4, 8]
  input label: class[3]
  z = ${layers}
  output y = z
  loss = softmax_loss(z, label)
}`
  const gradients = async (style: 'merged' | 'split', device: Device): Promise<Outputs> => {
    const bundle = compiled(text, { style, targets: targetsOf(device), programs: ['gradients'] })
    const net = await open(bundle, { device, batch: BATCH, seed: 3, programs: ['gradients'] })
    const { grads } = await net.step({ x: normals(BATCH * 160, 1), label: labels(BATCH, 3, 2) }, { update: false })
    net.close()
    return grads
  }
  const [exact, cpu] = [interpreter(), await wasm({ threads: 1 })]
  const right = await gradients('split', exact)
  for (const [where, device, allowed] of [['interpreter', exact, 1e-12], ['wasm', cpu, 1e-5]] as const) {
    const grads = await gradients('merged', device)
    for (const [name, values] of Object.entries(right)) {
      const apart = Math.max(...Array.from(values, (v, i) => Math.abs(v - grads[name]![i]!)))
      expect(apart, `${where} ${name}`).toBeLessThan(allowed)
    }
  }
  exact.close()
  cpu.close()
})
