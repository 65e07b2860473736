/**
 * node test/bench/runtime-size.mjs [--json]: what a page downloads to run a net on WebGPU, without the net itself: bundled and
 * minified by esbuild, and gzipped. Peers where they are installed (test/bench/peers), with what W2 needs of them.
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { readArguments } from './arguments.mjs'
import { Table } from './table.mjs'

const { values: { json } } = readArguments(import.meta.url, { options: { json: { type: 'boolean', default: false } } })
const root = fileURLToPath(new URL('../../', import.meta.url))
const peers = fileURLToPath(new URL('peers/', import.meta.url))

const PAGES = [
  ['fusenet: open, run, train on WebGPU', root, `export { open } from './runtime/open.ts'`, [], 'static'],
  ['fusenet: the same, on the CPU too', root, `export { open } from './runtime/open.ts'`],
  ['fusenet: everything of the runtime', root, `export * from './runtime/index.ts'`],
  ['jax-js: WebGPU', peers, `export { init, defaultDevice, jit, numpy, nn, lax } from '@jax-js/jax'`],
  [
    'tfjs: core, WebGPU',
    peers,
    `import '@tensorflow/tfjs-backend-webgpu'
    export { setBackend, ready, tidy, tensor, tensor4d, fused, maxPool, avgPool, relu, softmax, reshape } from '@tensorflow/tfjs-core'`,
  ],
  ['onnxruntime-web: WebGPU', peers, `export * from 'onnxruntime-web/webgpu'`, [
    'onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm',
  ]],
]

const rows = []
for (const [name, resolveDir, contents, files = [], part = 'all'] of PAGES) {
  if (resolveDir === peers && !existsSync(`${peers}node_modules`)) continue
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir, loader: 'ts' },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    outdir: 'out',
    splitting: true,
    metafile: true,
    logLevel: 'error',
    // A page with WebGPU alone never fetches what these hold; esbuild splits them off, so they are left out of the sum.
    external: ['./webgl-*', 'node:*'],
  })
  const fetched = part === 'static' ? atOnce(metafile.outputs) : undefined
  const parts = [
    ...outputFiles.filter((f) => fetched?.some((name) => f.path.endsWith(name)) ?? true).map((f) => f.contents),
    ...files.map((f) => readFileSync(`${peers}node_modules/${f}`)),
  ]
  rows.push({ name, minified: sum(parts.map((p) => p.length)), gzipped: sum(parts.map((p) => gzipSync(p, { level: 9 }).length)) })
}

if (json) console.log(JSON.stringify(rows, null, 2))
else {
  const table = new Table({ head: ['', 'minified', 'min + gzip'], colAligns: ['left', 'right', 'right'] })
  for (const r of rows) table.push([r.name, kilobytes(r.minified), kilobytes(r.gzipped)])
  console.log(String(table))
}

/** What the entry imports, and not what it may import later. */
function atOnce(outputs, name = Object.keys(outputs).find((o) => outputs[o].entryPoint)) {
  return [
    name,
    ...outputs[name].imports.filter((i) => i.kind === 'import-statement' && outputs[i.path]).flatMap((i) => atOnce(outputs, i.path)),
  ]
}

function sum(numbers) {
  return numbers.reduce((a, b) => a + b, 0)
}
function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} KB`
}
