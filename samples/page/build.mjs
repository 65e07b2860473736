/**
 * Makes the page: trains digits.net (two minutes; once, then out/digits holds its weights), puts its bundle and examples of each digit into `public/`, and
 * builds all of it with Vite into `out/page`, which any server serves.
 *
 *   node samples/page/build.mjs
 */
import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { doodle, randomOf } from './doodles.js'

const page = dirname(fileURLToPath(import.meta.url))
const file = join(page, 'digits.net')
const DIGITS = 10
const SIDE = 28
/** The label of drawings that are no digits, and how many there are to 60,000 digits. */
const ELSE = 10
const DOODLES = 6000
/** Of each digit: half of them are trained with, half of them watch. */
const EXAMPLES = 80

/** Trains the net on MNIST and doodles, as its file says or for some steps, and gives its weights. `tools`: the library. */
export async function trainDigits({ compile, open, wasm, loadDataset }, { steps, doodles = DOODLES, log = () => {} } = {}) {
  const device = await wasm()
  const net = await open(
    compile({ file, text: await readFile(file, 'utf8') }, { targets: ['wasm'], programs: ['infer', 'eval', 'train'] }),
    { device, seed: 1 },
  )
  try {
    const data = withDoodles(await loadDataset('mnist'), doodles)
    for await (const { step, steps: all, loss } of net.train(data, steps ? { steps } : {}))
      if (step % 200 === 0) log(`training: ${Math.round(100 * step / all)} %, loss ${loss.toFixed(3)}`)
    return (await net.save()).weights
  } finally {
    net.close()
    device.close()
  }
}

/** MNIST, and behind it drawings of the class "something else". */
function withDoodles(mnist, count) {
  const random = randomOf(0)
  const others = Array.from({ length: count }, () => doodle(random))
  return {
    length: mnist.length + count,
    fields: { image: mnist.fields.image, label: { shape: [], type: 'i32' } },
    async read(indices, into, draw) {
      const places = [...indices.keys()].filter((k) => indices[k] < mnist.length)
      const image = new Float32Array(places.length * SIDE * SIDE)
      const label = new Int32Array(places.length)
      await mnist.read(places.map((k) => indices[k]), { image, label }, draw)
      indices.forEach((index, k) => {
        if (index < mnist.length) return
        into.image?.set(others[index - mnist.length], k * SIDE * SIDE)
        if (into.label) into.label[k] = ELSE
      })
      places.forEach((place, i) => {
        into.image?.set(image.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE), place * SIDE * SIDE)
        if (into.label) into.label[place] = label[i]
      })
    },
  }
}

/** Writes what the page fetches into a folder: the bundle `digits/`, with the programs that it runs and no others, and `examples.png`. */
export async function writePublic({ compile, loadDataset, writeBundle }, weights, folder) {
  await mkdir(folder, { recursive: true })
  const source = { file, text: await readFile(file, 'utf8') }
  await writeBundle(
    { ...compile(source, { programs: ['infer', 'train/global'], freeze: ['*', '!names'] }), weights },
    join(folder, 'digits'),
  )
  const { default: sharp } = await import('sharp')
  const sheet = await examplesOf(await loadDataset('mnist'))
  await sharp(sheet, { raw: { width: EXAMPLES * SIDE, height: DIGITS * SIDE, channels: 1 } }).png({ compressionLevel: 9 }).toFile(
    join(folder, 'examples.png'),
  )
}

/** The first pictures of each digit, a row a digit, as bytes of one picture. */
async function examplesOf(mnist) {
  const sheet = Buffer.alloc(DIGITS * SIDE * EXAMPLES * SIDE)
  const counts = new Array(DIGITS).fill(0)
  const image = new Float32Array(SIDE * SIDE)
  const label = new Int32Array(1)
  for (let i = 0; i < mnist.length && counts.some((count) => count < EXAMPLES); i++) {
    await mnist.read([i], { image, label })
    const digit = label[0]
    if (counts[digit] >= EXAMPLES) continue
    const column = counts[digit]++
    image.forEach((v, k) => {
      sheet[(digit * SIDE + Math.floor(k / SIDE)) * EXAMPLES * SIDE + column * SIDE + k % SIDE] = Math.round(255 * v)
    })
  }
  return sheet
}

/** Builds the page with Vite. `settings`: in the place of those of vite.config.js. */
export async function buildPage(settings = {}) {
  const { build } = await import('vite')
  await build({ root: page, configFile: join(page, 'vite.config.js'), logLevel: 'error', ...settings })
}

async function main() {
  const dist = join(page, '../../dist')
  if (!existsSync(dist)) throw new Error('fusenet is not built: npm run build')
  const [{ compile }, runtime, files] = await Promise.all(
    ['compiler/index.js', 'runtime/index.js', 'runtime/node.js'].map((name) => import(pathToFileURL(join(dist, name)).href)),
  )
  const tools = { compile, ...runtime, ...files }
  const trained = resolve('out/digits')
  if (!existsSync(join(trained, 'bundle.json'))) {
    const weights = await trainDigits(tools, { log: console.log })
    await tools.writeBundle({ ...compile({ file, text: await readFile(file, 'utf8') }), weights }, trained)
  }
  await writePublic(tools, (await tools.readBundle(trained)).weights, join(page, 'public'))
  await buildPage()
  console.log('out/page is the page: any server serves it. To change it: npx vite samples/page')
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main().catch((error) => {
    console.error(error.message)
    process.exitCode = 1
  })
}
