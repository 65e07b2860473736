// `npm start`, or `node run.js 0.5 -0.2`: which spiral a point belongs to.
import { readFile } from 'node:fs/promises'
import { open, readSafetensors } from 'fusenet'
import { compile } from 'fusenet/compiler'

const point = process.argv.slice(2).map(Number)
if (point.length === 0) point.push(0.5, 0)
if (point.length !== 2 || !point.every(Number.isFinite)) {
  console.error('two numbers are wanted: node run.js 0.5 -0.2')
  process.exit(2)
}
const weights = await readFile('src/spirals.safetensors').catch(() => undefined)
if (!weights) {
  console.error('the net is not trained yet: npm run train')
  process.exit(1)
}
const file = 'src/spirals.net'
const net = await open(compile({ file, text: await readFile(file, 'utf8') }), { batch: 1, programs: ['infer'], weights: readSafetensors(weights).tensors })
const { prob } = await net.run({ point })
net.classes.forEach((name, i) => console.log(`${name}: ${(100 * prob[i]).toFixed(1)} %`))
net.close()
