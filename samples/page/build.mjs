/**
 * Puts beside the page what it is made of: the bundle `mnist/` with the programs that it runs and no others, the runtime as one file,
 * and examples of each digit as one picture. Any server serves the folder then.
 *
 *   node samples/page/build.mjs [BUNDLE] [FOLDER]      default: out/mnist, the page's own folder
 */
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import sharp from 'sharp'

const page = dirname(fileURLToPath(import.meta.url))
const net = join(page, '../mnist.net')
/** Of each digit: half of them are trained with, half of them watch. */
const EXAMPLES = 80
const SIDE = 28

/** Makes the page in a folder. `tools`: the library, and `runtime`, the file of it that pages import. */
export async function buildPage({ compile, loadDataset, readBundle, writeBundle, runtime }, bundle, folder = page) {
  const { weights } = await readBundle(bundle)
  if (!weights) throw new Error(`${bundle} holds no weights: train it first`)
  await mkdir(folder, { recursive: true })
  if (resolve(folder) !== page) {
    for (const name of await readdir(page)) if (/^(index\.html|page\.css|page\.js|pad\.js|learner\.js)$/.test(name)) await copyFile(join(page, name), join(folder, name))
  }
  await writeBundle({ ...compile({ file: net, text: await readFile(net, 'utf8') }, { programs: ['infer', 'step/global'] }), weights }, join(folder, 'mnist'))
  await build({ entryPoints: [runtime], bundle: true, minify: true, format: 'esm', platform: 'browser', outfile: join(folder, 'runtime.js'), logLevel: 'error' })
  const sheet = examplesOf(await loadDataset('mnist'))
  await sharp(await sheet, { raw: { width: EXAMPLES * SIDE, height: 10 * SIDE, channels: 1 } }).png({ compressionLevel: 9 }).toFile(join(folder, 'examples.png'))
}

/** The first pictures of each digit, a row a digit, as bytes of one picture. */
async function examplesOf(mnist) {
  const sheet = Buffer.alloc(10 * SIDE * EXAMPLES * SIDE)
  const counts = new Array(10).fill(0)
  const image = new Float32Array(SIDE * SIDE)
  const label = new Int32Array(1)
  for (let i = 0; i < mnist.length && counts.some((count) => count < EXAMPLES); i++) {
    await mnist.read([i], { image, label })
    const digit = label[0]
    if (counts[digit] >= EXAMPLES) continue
    const column = counts[digit]++
    image.forEach((v, k) => { sheet[(digit * SIDE + Math.floor(k / SIDE)) * EXAMPLES * SIDE + column * SIDE + k % SIDE] = Math.round(255 * v) })
  }
  return sheet
}

async function main([bundle = 'out/mnist', folder = page]) {
  const dist = join(page, '../../dist')
  if (!existsSync(dist)) throw new Error('fusenet is not built: npm run build')
  if (!existsSync(join(bundle, 'bundle.json'))) throw new Error(`there is no bundle ${bundle}: node dist/cli/main.js train samples/mnist.net -o ${bundle}`)
  const [{ compile }, files] = await Promise.all(['compiler/index.js', 'runtime/node.js'].map((name) => import(pathToFileURL(join(dist, name)).href)))
  await buildPage({ compile, ...files, runtime: join(dist, 'runtime/index.js') }, bundle, folder)
  console.log(`${folder}: the page is complete; npx vite ${folder} serves it`)
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main(process.argv.slice(2)).catch((error) => {
    console.error(error.message)
    process.exitCode = 1
  })
}
