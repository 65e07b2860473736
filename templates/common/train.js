// `npm run train`: trains the net, and writes what it learned beside it.
import { readFile, writeFile } from 'node:fs/promises'
import { open, writeSafetensors } from 'fusenet'
import { compile } from 'fusenet/compiler'
import { points } from './src/points.js'

const file = 'src/spirals.net'
const net = await open(compile({ file, text: await readFile(file, 'utf8') }))

for await (const { epoch, epochEnd, loss } of net.train(points(400, 1))) {
  if (epochEnd && (epoch + 1) % 20 === 0) console.log(`epoch ${epoch + 1}: loss ${loss.toFixed(4)}`)
}
// Points that it was not trained with.
const { metrics } = await net.evaluate(points(400, 2))
console.log(`${(100 * metrics.accuracy).toFixed(1)} % of other points are right`)

await writeFile('src/spirals.safetensors', writeSafetensors(await net.parameters()))
net.close()
