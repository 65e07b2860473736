// Serve this folder with the trained bundle as `mnist/` and the runtime as `runtime.js`: see samples/README.md.
import { open } from './runtime.js'

const element = (id) => document.getElementById(id)
const pad = element('pad')
const ink = pad.getContext('2d', { willReadFrequently: true })
const say = (text) => { element('status').textContent = text }

const clear = () => { ink.fillStyle = 'black'; ink.fillRect(0, 0, 28, 28) }
const picture = () => Float32Array.from(ink.getImageData(0, 0, 28, 28).data.filter((_, i) => i % 4 === 0), (v) => v / 255)

function show(prob) {
  element('bars').innerHTML = [...prob].map((p, digit) =>
    `<span>${digit}</span><div class="bar" style="width: ${Math.round(p * 100)}%"></div><span>${(p * 100).toFixed(1)} %</span>`).join('')
}

try {
  const net = await open(new URL('mnist/', location.href), { batch: 1 })
  const infer = async () => show((await net.run({ image: picture() })).prob)
  for (let digit = 0; digit < 10; digit++) element('label').add(new Option(digit, digit))
  clear()
  await infer()
  say(`running on ${net.device.description}`)
  pad.addEventListener('pointermove', async (event) => {
    if (event.buttons !== 1) return
    const { left, top, width, height } = pad.getBoundingClientRect()
    ink.fillStyle = 'white'
    ink.beginPath()
    ink.arc((event.clientX - left) / width * 28, (event.clientY - top) / height * 28, 1.3, 0, 2 * Math.PI)
    ink.fill()
    await infer()
  })
  element('clear').addEventListener('click', () => { clear(); void infer() })
  element('learn').addEventListener('click', async () => {
    // Statistics of a batch of one say nothing about digits: a small rate keeps what was learned before.
    const { loss } = await net.step({ image: picture(), label: Int32Array.of(Number(element('label').value)) }, { rate: 1e-3 })
    say(`loss before this step: ${loss.toFixed(3)}`)
    await infer()
  })
} catch (error) {
  say(`${error.name}: ${error.message}`)
  throw error
}
