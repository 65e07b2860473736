import { points } from './points.js'
import spirals from './spirals.net'

const SIDE = 50
const canvas = document.querySelector<HTMLCanvasElement>('#plane')!
const button = document.querySelector<HTMLButtonElement>('#train')!
const status = document.querySelector<HTMLOutputElement>('#status')!

/** Whatever fails says why where it is seen: a file that is not served, a rate that is too high. */
function tell(error: unknown): void {
  status.value = error instanceof Error ? error.message : String(error)
}
addEventListener('error', ({ error, message }) => tell(error ?? message))
addEventListener('unhandledrejection', ({ reason }) => tell(reason))

/** The middle of each pixel, within -1 and 1. */
const plane = Float32Array.from({ length: 2 * SIDE * SIDE }, (_, i) => {
  const pixel = i >> 1
  return ((i % 2 === 0 ? pixel % SIDE : Math.floor(pixel / SIDE)) + 0.5) / SIDE * 2 - 1
})

// A net runs as many samples at a time as it was opened with: all pixels, and the 50 that its train block says.
const painter = await spirals.open({ batch: SIDE * SIDE, programs: ['infer'] })
const learner = await spirals.open()

async function paint(): Promise<void> {
  const { prob } = await painter.run({ point: plane })
  const picture = new ImageData(SIDE, SIDE)
  for (let i = 0; i < SIDE * SIDE; i++) {
    const orange = prob[2 * i + 1]!
    picture.data.set([31 + 204 * orange, 95 + 33 * orange, 191 - 151 * orange, 255], 4 * i)
  }
  canvas.getContext('2d')!.putImageData(picture, 0, 0)
}

async function train(): Promise<void> {
  const data = points()
  for await (const { epoch, epochEnd, loss } of learner.train(data, { epochs: 100 })) {
    if (!epochEnd || epoch % 10 !== 9) continue
    await painter.setParameters(await learner.parameters())
    await paint()
    status.value = `loss ${loss.toFixed(4)}`
    await new Promise(requestAnimationFrame)
  }
  const { metrics } = await learner.evaluate(data)
  status.value = `${(100 * metrics.accuracy).toFixed(1)} % are right`
}

button.addEventListener('click', () => {
  button.disabled = true
  train()
    .catch(tell)
    .finally(() => {
      button.disabled = false
    })
})
// While `npm run dev` runs, a change of spirals.net is taken over with what was learned.
addEventListener('fusenet:update', () => void paint())
await paint()
status.value = `on ${painter.device.name}`
