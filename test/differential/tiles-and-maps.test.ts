import { expect, test } from 'vitest'
import { interpreter } from '../../compiler/index.ts'
import { type Device, open, wasm } from '../../runtime/index.ts'
import { compiled } from '../support/compiled.ts'
import { labels, normals } from '../support/random-net.ts'
import { targetsOf } from '../support/targets.ts'

/**
 * Convolutions by Winograd whose results meet other maps where they are stored: a residual, the mask of an activation, sums of a gradient. Tiles of 4 x 4
 * lie side by side (16), overlap (13), or end behind the map (15); with 7 there are too few of them for the lanes of a row.
 */
const BATCH = 2
const CHANNELS = 16
const layers: readonly (readonly [string, string])[] = [
  ['a residual', 'a = add(x -> conv(16, 3, pad: 1), x)\n  z = add(a -> conv(16, 3, pad: 1) -> tanh, a)'],
  ['the mask of an activation', 'z = x -> conv(16, 3, pad: 1) -> relu -> conv(16, 3, pad: 1)'],
  ['the value of an activation', 'z = x -> conv(16, 3, pad: 1) -> tanh -> conv(16, 3, pad: 1)'],
  ['sums of a gradient', 'z = x -> conv(16, 3, pad: 1) -> batch_norm(eps: 1e-2) -> relu -> conv(16, 3, pad: 1)'],
]

test.each(layers.flatMap(([what, text]) => [7, 13, 15, 16].map((size) => [what, size, text] as const)))(
  '%s on maps of %s',
  async (_, size, layer) => {
    const text = `net tiles {
  input x: f32[${CHANNELS}, ${size}, ${size}]
  input label: class[3]
  ${layer}
  output y = z
  loss = softmax_loss(z -> fc(3), label)
}`
    const results = async (style: 'merged' | 'split', device: Device): Promise<Record<string, Float32Array | Float64Array>> => {
      const programs = ['gradients', 'infer']
      const bundle = compiled(text, { style, targets: targetsOf(device), programs })
      const net = await open(bundle, { device, batch: BATCH, seed: 3, programs })
      const x = normals(BATCH * CHANNELS * size ** 2, 1)
      const { grads } = await net.step({ x, label: labels(BATCH, 3, 2) }, { update: false })
      const { y } = await net.run({ x })
      net.close()
      return { ...grads, y: y! }
    }
    const [exact, cpu] = [interpreter(), await wasm({ threads: 1 })]
    const [right, got] = [await results('split', exact), await results('merged', cpu)]
    // A bias in front of batch_norm has no gradient: what is left of it is rounding.
    const largest = Math.max(...Object.values(right).map((values) => Math.max(...Array.from(values, Math.abs))))
    for (const [name, values] of Object.entries(right)) {
      const scale = Math.max(1e-2 * largest, ...Array.from(values, Math.abs))
      expect(Math.max(...Array.from(values, (v, i) => Math.abs(v - got[name]![i]!))) / scale, name).toBeLessThan(1e-4)
    }
    exact.close()
    cpu.close()
  },
)
