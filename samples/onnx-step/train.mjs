// Trains step.onnx, which `fusenet export tiny.net --to onnx-step -o step.onnx` wrote. In a page: import * as ort from 'onnxruntime-web'.
import { writeFile } from 'node:fs/promises'
import ort from 'onnxruntime-node'
import { batch, safetensors } from './parts.mjs'

const open = (file) => ort.InferenceSession.create(file, { logSeverityLevel: 3 })
const [step, start] = [await open('step.onnx'), await open('step.start.onnx')]

let state = await start.run({})
for (let t = 0; t < 100; t++) {
  const { image, label } = batch(32)
  const results = await step.run({
    ...state,
    image: new ort.Tensor('float32', image, [32, 1, 8, 8]),
    label: new ort.Tensor('int32', label, [32]),
    rate: new ort.Tensor('float32', [0.05], []),
  })
  state = Object.fromEntries(Object.keys(state).map((name) => [name, results[`next/${name}`]]))
  if (t % 20 === 19) console.log(`step ${t + 1}: loss ${results.loss.data[0].toFixed(4)}`)
}
await writeFile('trained.safetensors', safetensors(state))
