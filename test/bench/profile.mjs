/**
 * node test/bench/profile.mjs WORKLOAD|FILE.net [--device wasm|webgpu] [--batch N] [--threads N] [--program P] [--style S]
 * [--repeat N] [--no-wide] [--json]: where the time of one program goes, dispatch by dispatch: the shortest of N runs, what it computes and
 * moves in a second, its share. FLOPs and bytes are the plan's own count: of the convolution itself, where Winograd does less.
 */
import { existsSync, readFileSync } from 'node:fs'
import { readArguments } from './arguments.mjs'
import { dist, openDevice } from './device.mjs'
import { PROGRAMS_OF } from './fusenet.mjs'
import { median } from './measure.mjs'
import { toNetText } from './net-text.mjs'
import { gaussian, labels } from './random.mjs'
import { WORKLOADS, prepareWorkload } from './workloads.mjs'
import { Table } from './table.mjs'
import { end } from './end.mjs'

const { values: options, positionals: [what], refuse, count } = readArguments(import.meta.url, {
  positionals: true,
  options: {
    device: { type: 'string', default: 'wasm' },
    threads: { type: 'string', default: '1' },
    /** Of WebGPU: software or any. */
    adapter: { type: 'string', default: 'software' },
    batch: { type: 'string' },
    /** Default: what the workload runs; of a file `train` where it has a loss, else `infer`. */
    program: { type: 'string' },
    style: { type: 'string' },
    repeat: { type: 'string', default: '9' },
    /** Vectors of twice the width, where Node has them. */
    wide: { type: 'boolean', default: true },
    json: { type: 'boolean', default: false },
  },
})
if (!what || !(WORKLOADS[what] || existsSync(what)))
  refuse(`${what ? `${what} is no file and none of` : 'name a file or one of'} ${Object.keys(WORKLOADS).join(', ')}`)
const threads = count('threads')
const [{ compile }, { open }, { LocalNet }, { planFor }, { scalarsAt }, { isWide }] = await Promise.all(
  ['compiler/index.js', 'runtime/index.js', 'runtime/net.js', 'bundle/plans.js', 'bundle/learning-rate.js', 'runtime/wasm/wide.js'].map((
    file,
  ) => import(new URL(file, dist))),
)

const workload = WORKLOADS[what]
const batch = options.batch ? count('batch') : workload?.fullBatch
const wide = options.device === 'wasm' && options.wide && isWide()
const device = await openDevice(options.device, { threads, adapter: options.adapter })
const asked = options.program ?? (workload && PROGRAMS_OF[workload.mode].at(-1))
const bundle = compile(workload ? toNetText(prepareWorkload(what, { batch })) : readFileSync(what, 'utf8'), {
  style: options.style ?? workload?.style ?? 'merged',
  targets: [planFor(device)],
  ...(wide && { wide }),
  ...(asked && { programs: ['prepare', asked] }),
  ...(options.batch && { batch, allowOneValue: true }),
})
const program = asked ?? (bundle.manifest.train ? 'train' : 'infer')
const net = await open(bundle, { device, batch, programs: ['prepare', program] })

const inputs = Object.fromEntries(bundle.manifest.inputs.map(({ name, shape, classes }) => {
  const elements = shape.reduce((a, b) => a * (b === 'n' ? net.batch : b), 1) * (shape[0] === 'n' ? 1 : net.batch)
  return [name, classes ? labels(name, elements, classes) : gaussian(name, elements)]
}))
// Writes the inputs; what is hot is compiled once more meanwhile.
const executor = LocalNet.executorOf(net)
const runs = []
for (const start = performance.now(); runs.length < 3 || performance.now() - start < 1000;) {
  const from = performance.now()
  await (await executor.execute(program, inputs)).values
  runs.push(performance.now() - from)
}
const scalars = scalarsAt(bundle.manifest.train, 0, 1, net.rateAt(0))
const samples = []
for (let i = 0; i < count('repeat'); i++)
  samples.push(await executor.enqueue(async () => executor.session.profile?.(program, scalars)))
if (!samples.every(Boolean)) {
  process.stderr.write(`${device.description} cannot tell the time of a dispatch\n`)
  await end(1)
}

const sizeOf = ({ fixed, perSample }) => fixed + perSample * net.batch
const rows = executor.session.plan.programs[program].dispatches.map((d, i) => {
  const ns = Math.min(...samples.map((s) => s[i]))
  const { layers, how, ...facts } = d.facts
  const [flops, bytes] = [sizeOf(facts.flops), sizeOf(facts.bytesRead) + sizeOf(facts.bytesWritten)]
  return { name: d.name, layers, how, ms: ns / 1e6, flops, bytes, gflops: flops / ns, gigabytesPerSecond: bytes / ns }
})
const totalMs = rows.reduce((sum, r) => sum + r.ms, 0)
for (const row of rows) row.share = row.ms / totalMs
rows.sort((a, b) => b.ms - a.ms)
const peak = options.device === 'wasm' ? new (await import('./peak.mjs')).Peak() : undefined
for (let i = 0; i < 5; i++) peak?.sample()
net.close()
device.close()

if (options.json)
  console.log(
    JSON.stringify(
      {
        what,
        program,
        batch: net.batch,
        threads,
        device: device.description,
        runMs: median(runs),
        totalMs,
        peakGflops: peak?.gflops,
        dispatches: rows,
      },
      null,
      2,
    ),
  )
else {
  const columns = ['dispatch', 'how', 'ms', 'share', 'GFLOP/s', ...(peak ? ['of peak'] : []), 'GB/s', 'MFLOP', 'MB']
  const table = new Table({
    head: columns,
    colAligns: columns.map((_, i) => (i < 2 ? 'left' : 'right')),
  })
  const percent = (x) => `${(100 * x).toFixed(x < 0.1 ? 1 : 0)} %`
  for (const r of [...rows, { name: 'sum', ms: totalMs, share: 1, ...totals() }]) {
    table.push([
      r.name,
      r.how ?? '',
      r.ms.toFixed(3),
      percent(r.share),
      r.gflops.toFixed(1),
      ...(peak ? [percent(r.gflops / peak.gflops / threads)] : []),
      r.gigabytesPerSecond.toFixed(1),
      (r.flops / 1e6).toFixed(1),
      (r.bytes / 1e6).toFixed(1),
    ])
  }
  console.log([
    `${what}, ${program}, batch ${net.batch}, on ${device.description}`,
    String(table),
    `one run with its inputs and results: ${median(runs).toFixed(3)} ms${
      peak ? `; SIMD peak of one thread: ${peak.gflops.toFixed(1)} GFLOP/s` : ''
    }`,
  ].join('\n'))
}
await end()

function totals() {
  const [flops, bytes] = [rows.reduce((sum, r) => sum + r.flops, 0), rows.reduce((sum, r) => sum + r.bytes, 0)]
  return { flops, bytes, gflops: flops / totalMs / 1e6, gigabytesPerSecond: bytes / totalMs / 1e6 }
}
