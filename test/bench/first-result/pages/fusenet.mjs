import { open, wasm, webgpu } from 'fusenet/runtime'
import { BATCH, image, images, labels, tell, work } from './work.mjs'

async function page() {
  const device = await (DEVICE === 'webgpu' ? webgpu() : wasm())
  let trainer
  return work({
    async infer() {
      const net = await open('mnist/', { device, batch: 1, programs: ['infer'] })
      return (await net.run({ image })).prob
    },
    async step() {
      trainer ??= await open('mnist/', { device, batch: BATCH, programs: ['train'] })
      return (await trainer.trainStep({ image: images, label: labels })).loss
    },
  })
}

tell(page())
