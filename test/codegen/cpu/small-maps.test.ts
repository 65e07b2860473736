import { expect, test } from 'vitest'
import { compile } from '../../../compiler/index.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'

/**
 * Small maps of wide channels, in programs that train: Winograd over blocks of images beside direct sums, which other tests hold to the reference. No kinks,
 * on whose two sides one value may fall.
 */
const net = (channels: number, side: number, outputs: number): string => `
net s {
  input x: f32[${channels}, ${side}, ${side}]
  y = x -> conv(${outputs}, 3, pad: 1) -> batch_norm -> sigmoid -> conv(16, 3, pad: 1)
  loss = sum(mul(y, y))
}
train {
  batch  32
  solver sgd(lr: 0.1)
}`

const gradients = async (
  text: string,
  elements: number,
  batch: number,
  threads: number,
  precise: boolean,
): Promise<Map<string, Float32Array>> => {
  const bundle = compile(text, { targets: ['wasm'], programs: ['gradients'], precise })
  const device = await wasm({ threads })
  const opened = await open(bundle, { device, batch, seed: 3 })
  const { loss, grads } = await opened.step({ x: normals(elements * batch, 1) }, { update: false })
  opened.close()
  device.close()
  return new Map([['loss', Float32Array.of(loss)], ...Object.entries(grads)] as [string, Float32Array][])
}

// Weights of 128 x 128 are summed up over all images in one task; blocks have 32 images, of filters too large to keep 8 or 16; vectors have four. Tiles end behind
// maps of 3 and 9, which blocks of images have, and of 17.
test.each([[128, 2, 128], [16, 4, 32], [128, 8, 160], [32, 3, 48], [160, 9, 128], [24, 17, 20]])(
  '%i channels on maps of side %i',
  async (channels, side, outputs) => {
    const [text, elements] = [net(channels, side, outputs), channels * side * side]
    for (const batch of [3, 34]) {
      const want = await gradients(text, elements, batch, 1, true)
      const one = await gradients(text, elements, batch, 1, false)
      expect(await gradients(text, elements, batch, 3, false)).toEqual(one)
      expect(want.size).toBeGreaterThan(4)
      for (const [name, values] of want) {
        const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-6)
        const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - one.get(name)![i]!)), 0)
        expect(worst / scale, `${name} of ${batch}`).toBeLessThan(5e-5)
      }
    }
  },
)
