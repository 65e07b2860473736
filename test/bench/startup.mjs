/**
 * node test/bench/startup.mjs [--peers a,b] [--repeat N] [--threads N] [--json]: milliseconds from the start of a process to the
 * first result of W2 (cifar10_quick) at batch 1. Every run is a fresh process (startup-child.mjs); competitors take turns. All
 * find on disk what they are deployed with: fusenet a bundle, onnxruntime an .onnx file, tfjs folded weights in its own layout. On a machine that does other
 * work, too, the processor's time of the process (all its threads) says more than the clock.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readArguments } from './arguments.mjs'
import { compareResults } from './compare.mjs'
import { median } from './measure.mjs'
import { toNetText } from './net-text.mjs'
import { foldBatchNorm } from './nets.mjs'
import { prepareWorkload } from './workloads.mjs'
import { Table } from './table.mjs'
import { end } from './end.mjs'

const { values: options, count } = readArguments(import.meta.url, {
  options: {
    peers: { type: 'string', default: 'ort,tfjs,ort-node' },
    fusenet: { type: 'boolean', default: true },
    repeat: { type: 'string', default: '9' },
    threads: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
})
const peersInstalled = existsSync(new URL('peers/node_modules', import.meta.url))
const peers = options.peers.split(',').filter(Boolean)
// `node` loads nothing: what the process itself takes.
const names = ['node', ...(options.fusenet ? ['fusenet'] : []), ...(peersInstalled ? peers : [])]
if (!peersInstalled && peers.length > 0) process.stderr.write('no peers: npm ci in test/bench/peers\n')

const folder = mkdtempSync(join(tmpdir(), 'fusenet-startup-'))
const rows = names.map((name) => ({ name, times: [], cpuTimes: [] }))
try {
  await deploy(folder)
  // The first turn is not counted: it brings files from the disk into memory.
  for (let turn = 0; turn <= count('repeat'); turn++) {
    for (const row of rows.filter((r) => !r.failed)) {
      try {
        const { ms, cpuMs, result } = await run(row.name)
        if (turn > 0) {
          row.times.push(ms)
          row.cpuTimes.push(cpuMs)
        }
        row.result ??= result
      } catch (error) {
        row.failed = error.message
        process.stderr.write(`${row.name}: ${error.message}\n`)
      }
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

const [reference, ...others] = rows.filter((r) => r.result?.length)
for (const row of others) {
  row.difference = compareResults({ output: row.result }, { output: reference.result }).worst
  row.wrong = !(row.difference <= 1e-3)
}
for (const row of rows) {
  if (row.times.length > 0)
    Object.assign(row, {
      medianMs: median(row.times),
      minimumMs: Math.min(...row.times),
      medianCpuMs: median(row.cpuTimes),
      minimumCpuMs: Math.min(...row.cpuTimes),
    })
  delete row.result
}
if (options.json) console.log(JSON.stringify(rows, null, 2))
else {
  const table = new Table({
    head: ['', 'median ms', 'min ms', 'CPU median', 'CPU min', 'difference'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
  })
  for (const { name, medianMs, minimumMs, medianCpuMs, minimumCpuMs, difference, wrong, failed } of rows) {
    if (failed) table.push([name, { content: failed.split('\n')[0].slice(0, 80), colSpan: 5 }])
    else table.push([
        name,
        medianMs.toFixed(0),
        minimumMs.toFixed(0),
        medianCpuMs.toFixed(0),
        minimumCpuMs.toFixed(0),
        name === 'node' ? '' : difference === undefined ? 'reference' : `${difference.toExponential(1)}${wrong ? ' WRONG' : ''}`,
      ])
  }
  console.log(`From the start of a process to the first result of W2 at batch 1, median of ${options.repeat}\n${table}`)
}
await end(rows.some((r) => r.failed || r.wrong) ? 1 : 0)

/** Writes what each competitor opens. */
async function deploy(target) {
  const workload = prepareWorkload('W2x1', { batch: 1 })
  const { net, parameters, image } = workload
  writeFileSync(join(target, 'image.f32'), image)
  if (options.fusenet) {
    const dist = new URL('../../dist/', import.meta.url)
    const [{ compile }, { writeBundle }] = await Promise.all([
      import(new URL('compiler/index.js', dist)),
      import(new URL('runtime/node.js', dist)),
    ])
    const shapes = new Map(net.parameters().map(({ name, shape }) => [name, shape]))
    const weights = new Map([...parameters].map(([name, data]) => [name, { shape: shapes.get(name), type: 'f32', data }]))
    await writeBundle({ ...compile(toNetText(workload)), weights }, join(target, 'bundle'))
  }
  if (peersInstalled) {
    const { toOnnx } = await import('./peers/onnx.mjs')
    writeFileSync(join(target, 'net.onnx'), toOnnx(net, parameters, 1))
    deployForTfjs(target, workload)
  }
}

/** One file of weights, as a converted model has: HWIO for convolutions, [in, out] with in as HWC for inner products. */
function deployForTfjs(target, workload) {
  const { net, parameters } = foldBatchNorm(workload.net, workload.parameters)
  const weights = net.parameters().map(({ name, role, op, shape }) => {
    const data = parameters.get(name)
    if (role !== 'weight') return { name, shape, data }
    // OIHW -> HWIO; an fc is a convolution as large as its input.
    const [o, ...rest] = shape
    const input = net.layer(name.split('.')[0]).inputShape
    const [i, h, w] = op === 'conv' ? rest : input.length === 3 ? input : [rest[0], 1, 1]
    const turned = new Float32Array(data.length)
    for (let from = 0; from < data.length; from++) {
      const [x, y, c, out] = [from % w, Math.floor(from / w) % h, Math.floor(from / (w * h)) % i, Math.floor(from / (w * h * i))]
      turned[((y * w + x) * i + c) * o + out] = data[from]
    }
    return { name, shape: op === 'conv' ? [h, w, i, o] : [h * w * i, o], data: turned }
  })
  const layers = net.layers.map(({ op, name, inputs, kernel, stride, pad }) => ({ op, name, inputs, kernel, stride, pad }))
  writeFileSync(
    join(target, 'tfjs.json'),
    JSON.stringify({ layers, output: net.output, weights: weights.map(({ name, shape }) => ({ name, shape })) }),
  )
  writeFileSync(join(target, 'tfjs.f32'), Buffer.concat(weights.map(({ data }) => Buffer.from(data.buffer))))
}

/** Milliseconds until the process says its result, and the result. */
function run(name) {
  return new Promise((resolve, reject) => {
    const start = performance.now()
    const child = spawn(process.execPath, [fileURLToPath(new URL('startup-child.mjs', import.meta.url)), name, folder, options.threads], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = ''
    let found
    child.stdout.on('data', (text) => {
      said += text
      // Libraries may print too: the result is a line of its own.
      const line = /^RESULT (.*)\n/m.exec(said)
      if (!line || found) return
      found = { ms: performance.now() - start, ...JSON.parse(line[1]) }
      child.kill('SIGKILL')
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => (found ? resolve(found) : reject(new Error(`${name} ended: ${signal ?? `exit code ${code}`}`))))
  })
}
