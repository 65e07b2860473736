// The runtime, the net and its weights are one file: `npm run build` makes it.
import { open } from './spirals.js'

const status = document.querySelector('#status')
// Whatever fails says why where it is seen.
addEventListener('error', ({ message }) => (status.value = message))
addEventListener('unhandledrejection', ({ reason }) => (status.value = reason?.message ?? String(reason)))

const SIDE = 50
/** The middle of each pixel, within -1 and 1. */
const point = Float32Array.from({ length: 2 * SIDE * SIDE }, (_, i) => {
  const pixel = i >> 1
  return ((i % 2 === 0 ? pixel % SIDE : Math.floor(pixel / SIDE)) + 0.5) / SIDE * 2 - 1
})

const net = await open({ batch: SIDE * SIDE, programs: ['infer'] })
const { prob } = await net.run({ point })
const picture = new ImageData(SIDE, SIDE)
for (let i = 0; i < SIDE * SIDE; i++) {
  const orange = prob[2 * i + 1]
  picture.data.set([31 + 204 * orange, 95 + 33 * orange, 191 - 151 * orange, 255], 4 * i)
}
document.querySelector('#plane').getContext('2d').putImageData(picture, 0, 0)
status.value = `on ${net.device?.name ?? 'this device'}`
