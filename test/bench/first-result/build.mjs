import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { rolldown } from 'rolldown'
import { product } from '../nets.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('../../../', import.meta.url))
export const PEERS = fileURLToPath(new URL('../peers/node_modules/', import.meta.url))

/** LeNet of the samples: plain SGD; without dropout, by whose random numbers no two libraries agree. */
const TEXT = readFileSync(join(root, 'samples/mnist.net'), 'utf8')
  .replace(' -> dropout(0.5)', '').replace('fc(500) -> batch_norm', 'fc(500) as fc1 -> batch_norm as bn3').replace(
    'fc(10)',
    'fc(10) as fc2',
  )
  .replace(/train \{[^]*\}/, 'train { batch 32 epochs 1 solver sgd(lr: 0.05) }')

/** What tfjs computes on: a package, by the device's name. tfjs's WebAssembly has no gradients of convolutions. */
const BACKENDS = { webgpu: '@tensorflow/tfjs-backend-webgpu', cpu: '@tensorflow/tfjs-backend-cpu' }

/**
 * The files that each competitor's page is made of, by competitor. `competitors` are `{ name, library, device, dist }`: the library's page
 * in pages/, what it calls the device, and of fusenet the build. All start from the weights that the first build of fusenet draws.
 */
export async function pages(competitors) {
  const made = new Map()
  let weights
  for (const dist of new Set(competitors.map((c) => c.dist).filter(Boolean))) {
    const load = (file) => import(pathToFileURL(join(dist, file)).href)
    const [{ compile }, { bundleFiles, open, wasm }] = await Promise.all([load('compiler/index.js'), load('runtime/index.js')])
    const net = await open(compile(TEXT, { file: 'mnist.net' }), { device: await wasm({ threads: 1 }), seed: 1 })
    if (weights) await net.setParameters(weights)
    weights ??= await net.parameters()
    made.set(dist, await bundleFiles(await net.save()))
    net.close()
  }
  const files = {}
  for (const { name, library, device, dist } of competitors) {
    files[name] = new Map([
      [
        'index.html',
        Buffer.from(
          '<!doctype html><meta charset="utf-8"><title>first result</title><link rel="icon" href="data:,"><script type="module" src="page.js"></script>',
        ),
      ],
      ...await bundled(library, device, dist),
      ...(dist ? [...made.get(dist)].map(([file, data]) => [`mnist/${file}`, data]) : [['weights.bin', weightsOf(weights, library)]]),
    ])
  }
  return files
}

/**
 * The scripts of a page, minified, by the bundler that does better for it. Of fusenet, rolldown (and so Vite 8) makes three files that a page
 * loads at once, esbuild fourteen; of tfjs, esbuild leaves out more; jax-js is the same by both.
 */
async function bundled(library, device, dist) {
  const [page, define] = [join(here, 'pages', `${library}.mjs`), { DEVICE: JSON.stringify(device) }]
  if (library === 'fusenet') {
    const bundle = await rolldown({
      input: { page },
      platform: 'browser',
      external: [/^node:/],
      logLevel: 'silent',
      resolve: { alias: { 'fusenet/runtime': join(dist, 'runtime/index.js') } },
      transform: { define, target: 'es2022' },
    })
    const { output } = await bundle.generate({ format: 'esm', minify: true })
    return output.map(({ fileName, code, source }) => [fileName, Buffer.from(code ?? source)])
  }
  const { outputFiles } = await build({
    entryPoints: { page },
    outdir: here,
    write: false,
    bundle: true,
    minify: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'error',
    define,
    nodePaths: [PEERS],
    external: ['node:*'],
    alias: BACKENDS[device] && { backend: BACKENDS[device] },
  })
  return outputFiles.map(({ path, contents }) => [path.slice(here.length), contents])
}

/** The weights for a peer, in the layout that it is best at: tfjs has channels last. See `fetchWeights`. */
function weightsOf(weights, library) {
  const list = [...weights].map(([name, { data, shape }]) => {
    if (library !== 'tfjs' || !name.endsWith('.weight')) return { name, data, shape }
    if (shape.length === 4) return { name, ...transposed(data, shape, [2, 3, 1, 0]) }
    if (name === 'fc1.weight') {
      const turned = transposed(data, [shape[0], shape[1] / 16, 4, 4], [2, 3, 1, 0])
      return { name, data: turned.data, shape: [shape[1], shape[0]] }
    }
    return { name, ...transposed(data, shape, [1, 0]) }
  })
  const head = JSON.stringify(list.map(({ name, shape }) => [name, shape]))
  const padded = Buffer.from(head.padEnd(4 * Math.ceil(head.length / 4)))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(padded.length)
  return Buffer.concat([length, padded, ...list.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength))])
}

function transposed(data, shape, axes) {
  const strides = shape.map((_, i) => product(shape.slice(i + 1)))
  const to = axes.map((axis) => shape[axis])
  const result = new Float32Array(data.length)
  for (let i = 0; i < result.length; i++) {
    let [rest, from] = [i, 0]
    for (let d = to.length - 1; d >= 0; d--) {
      from += (rest % to[d]) * strides[axes[d]]
      rest = Math.floor(rest / to[d])
    }
    result[i] = data[from]
  }
  return { data: result, shape: to }
}
