/**
 * What reused features are worth: digits.net learns 0 to 4 of MNIST; then 5 to 9 are learned from 20 pictures of each, from nothing and from what the
 * first net sees, frozen and not, out of its own bundle and by way of ONNX and `fusenet import`. Prints a table of ten seeds.
 *
 *   node samples/finetune/run.mjs
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { digitsOnnx } from './onnx.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const file = join(here, 'digits.net')
const FIRST = [0, 1, 2, 3, 4]
const OTHERS = [5, 6, 7, 8, 9]
/** Pictures of each class to learn from. */
const FEW = 20
const SEEDS = 10
/** Pictures of each class that are counted. */
const TESTED = 400
const PIXELS = 28 * 28
/** The last layer starts anew: it tells other digits apart. */
const HEAD = 'head'
/** So short a training wants a rate of its own. */
const SHORT = { epochs: 20, rate: 0.02, batch: 20 }

/** The weights of digits.net behind a training on its five digits. */
export async function trainFirst({ compile, open, wasm, arrays, loadDataset }, { count, ...options } = {}) {
  const device = await wasm()
  const net = await open(compile({ file, text: await readFile(file, 'utf8') }, ONLY_TRAIN), { device, seed: 1 })
  try {
    const data = await digitsOf(await loadDataset('mnist'), FIRST, { arrays, count })
    await finished(net.train(data, options))
    return (await net.save()).weights
  } finally {
    net.close()
    device.close()
  }
}

/** Waits for a training. */
async function finished(events) {
  while (!(await events.next()).done);
}

const ONLY_TRAIN = { targets: ['wasm'], programs: ['infer', 'eval', 'train'] }

/** The samples of these digits, labelled 0 to 4: `count` of each (default: all), others for every seed. */
export async function digitsOf(mnist, digits, { arrays, count = Infinity, seed = 0 }) {
  const all = Array.from({ length: mnist.length }, (_, i) => i)
  const label = new Int32Array(mnist.length)
  await mnist.read(all, { label })
  const taken = digits.flatMap((digit) => {
    const own = all.filter((i) => label[i] === digit)
    return Number.isFinite(count) ? Array.from({ length: count }, (_, k) => own[(seed * count + k) % own.length]) : own
  })
  const image = new Float32Array(taken.length * PIXELS)
  await mnist.read(taken, { image })
  return arrays({
    image: { shape: [1, 28, 28], type: 'f32', data: image },
    label: { shape: [], type: 'i32', classes: digits.length, data: Int32Array.from(taken, (i) => digits.indexOf(label[i])) },
  })
}

/** Text and weights of the first net by way of ONNX, with what the comments of an import say to add. */
export async function throughOnnx({ bytesSource, importModel, writeNet }, weights) {
  const { text, tensors } = writeNet(await importModel(bytesSource('digits.onnx', digitsOnnx(weights))))
  return {
    text: trainable(text),
    weights: new Map(tensors.map(({ name, tensor }) => [name, { shape: tensor.shape, type: 'f32', data: tensor.values() }])),
  }
}

/** The lines that stand as comments at the end of an imported net, as lines. */
export const trainable = (text) =>
  text.replace(/^( *)\/\/ To train on.*\n/m, '').replace(/^( *)\/\/ (?: {2}(?=input|loss|metric))?/gm, '$1')

/** The share of the five other digits that a net reads right behind a short training. */
export async function learnOthers(
  { compile, matchWeights, open, wasm },
  { text, weights, freeze = [], few, test, seed, epochs = SHORT.epochs },
) {
  const device = await wasm()
  const source = text.replace(/solver +\w+\(lr: [\d.]+/, (solver) => solver.replace(/[\d.]+$/, String(SHORT.rate)))
  const bundle = compile(source, { ...ONLY_TRAIN, freeze })
  const taken = weights && matchWeights(bundle, weights, { fresh: [HEAD] }).weights
  const net = await open(bundle, { device, seed, batch: SHORT.batch, ...(taken && { weights: taken }) })
  try {
    await finished(net.train(few, { epochs }))
    const { metrics } = await net.evaluate(test)
    return metrics.accuracy
  } finally {
    net.close()
    device.close()
  }
}

async function main() {
  const dist = join(here, '../../dist')
  if (!existsSync(dist)) throw new Error('fusenet is not built: npm run build')
  const [compiler, runtime, files, importer] = await Promise.all(
    ['compiler/index.js', 'runtime/index.js', 'runtime/node.js', 'import/index.js'].map((name) =>
      import(pathToFileURL(join(dist, name)).href)
    ),
  )
  const tools = { ...compiler, ...runtime, ...files, ...importer }
  console.log('learning 0 to 4 ...')
  const weights = await trainFirst(tools)
  const text = await readFile(file, 'utf8')
  const onnx = await throughOnnx(tools, weights)
  const others = ['*', `!${HEAD}`]
  const ways = {
    'from nothing': { text },
    'frozen': { text, weights, freeze: others },
    'trained on': { text, weights },
    'frozen, by ONNX': { ...onnx, freeze: others },
    'trained on, by ONNX': onnx,
  }
  const test = await digitsOf(await tools.loadDataset('mnist', { split: 'test' }), OTHERS, { ...tools, count: TESTED })
  const mnist = await tools.loadDataset('mnist')
  const row = (name, cells) =>
    console.log([name.padEnd(8), ...cells.map((cell, i) => cell.padStart(Object.keys(ways)[i].length))].join('  '))
  row('seed', Object.keys(ways))
  const columns = Object.keys(ways).map(() => [])
  for (let seed = 1; seed <= SEEDS; seed++) {
    const few = await digitsOf(mnist, OTHERS, { ...tools, count: FEW, seed })
    for (const [i, way] of Object.values(ways).entries()) columns[i].push(await learnOthers(tools, { ...way, few, test, seed }))
    row(String(seed), columns.map((column) => `${(100 * column.at(-1)).toFixed(1)} %`))
  }
  const mean = (column) => column.reduce((a, b) => a + b, 0) / column.length
  row('mean', columns.map((column) => `${(100 * mean(column)).toFixed(1)} %`))
  row('spread', columns.map((column) => `${(100 * Math.sqrt(mean(column.map((v) => (v - mean(column)) ** 2)))).toFixed(1)} %`))
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main().catch((error) => {
    console.error(error.message)
    process.exitCode = 1
  })
}
