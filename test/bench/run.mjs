/**
 * npm run bench -- --peers jax,tfjs,ort W1 W2 ...
 *
 * Every competitor gets a process of its own and the same parameters and input. Results are compared first; then the
 * competitors take turns, one measurement each (A B C A B C ...), so that whatever else the machine does falls on all of them.
 */
import { writeFileSync } from 'node:fs'
import { readArguments } from './arguments.mjs'
import { environment } from './adapter.mjs'
import { groupsOf, measure } from './measure.mjs'
import { drawRatios, drawTable, ratiosOf } from './report.mjs'
import { WORKLOADS } from './workloads.mjs'
import { end } from './end.mjs'

// The zoo has options of its own.
if (process.argv[2] === 'zoo') {
  await import('./zoo/run.mjs')
  process.exit()
}

/** What the options are where nobody says. */
const DEFAULTS = {
  webgpu: { peers: 'jax,tfjs,ort', workloads: ['W1', 'W2', 'W4a', 'W4b'], repeat: 5, warmUpMs: 0 },
  // V8 compiles what has proved hot once more; PyTorch and onnxruntime allocate in the first iterations.
  wasm: { peers: 'ort,tfjs,ort-node,torch', workloads: ['W1', 'W1n', 'W1s', 'W2', 'W2x1', 'W3', 'W4a', 'W4b'], repeat: 11, warmUpMs: 500 },
}

const USAGE = `npm run bench -- [options] [WORKLOAD...]
npm run bench -- zoo --help: nets that people train, merged and split and beside PyTorch

Workloads (default ${DEFAULTS.webgpu.workloads.join(' ')}; with wasm all of them), batch on software WebGPU / else:
${Object.entries(WORKLOADS).map(([name, w]) => `  ${name.padEnd(5)} ${w.what}; ${w.batch} / ${w.fullBatch}`).join('\n')}

Options:
  --backend B      webgpu (default) or wasm; ort-node is native and on the CPU, torch too, but by CUDA with webgpu
  --threads N,...  on a CPU (1); each competitor once for each number
  --peers a,b      jax, tfjs, ort (onnxruntime-web), ort-node, torch and torch-compile (BENCH_PYTHON, else /usr/bin/python3); default
                   ${DEFAULTS.webgpu.peers}, with wasm ${DEFAULTS.wasm.peers}. npm ci in test/bench/peers installs all but torch.
                   fusenet-narrow: without vectors of twice the width, which fusenet has with wasm in Node from 24 on
  --no-fusenet     peers alone
  --batch N        instead of the workload's; --full takes the larger one with WebGPU too
  --repeat N       measured iterations of each (${DEFAULTS.webgpu.repeat}, with wasm ${DEFAULTS.wasm.repeat})
  --warmup N       iterations before (1)
  --at-least MS    shorter iterations are repeated for this long and counted as their mean (20)
  --limit S        seconds an iteration, or getting ready, may take before the competitor is given up (120)
  --adapter A      of WebGPU: software (default: the same on every machine) or any
  --json           figures on stdout for machines; --out FILE writes them
  --tolerance X    largest difference of results over the largest value (1e-3)`

const PEERS = ['fusenet-narrow', 'jax', 'tfjs', 'ort', 'ort-node', 'torch', 'torch-compile']

const { values: options, positionals, count, refuse } = readArguments(import.meta.url, {
  usage: USAGE,
  positionals: true,
  options: {
    backend: { type: 'string', default: 'webgpu' },
    threads: { type: 'string', default: '1' },
    peers: { type: 'string' },
    fusenet: { type: 'boolean', default: true },
    batch: { type: 'string' },
    full: { type: 'boolean', default: false },
    repeat: { type: 'string' },
    warmup: { type: 'string', default: '1' },
    'at-least': { type: 'string', default: '20' },
    limit: { type: 'string', default: '120' },
    adapter: { type: 'string', default: 'software' },
    json: { type: 'boolean', default: false },
    out: { type: 'string' },
    tolerance: { type: 'string', default: '1e-3' },
  },
})
const log = (text) => process.stderr.write(`${text}\n`)

const { backend } = options
const defaults = DEFAULTS[backend]
const names = positionals.length > 0 ? positionals : defaults?.workloads
const threads = options.threads.split(',').map(Number)
const peers = (options.peers ?? defaults?.peers ?? '').split(',').filter(Boolean)
const mistake = !defaults ? `unknown backend ${backend}: webgpu or wasm`
  : names.some((name) => !WORKLOADS[name]) ?
  `unknown workload ${names.find((name) => !WORKLOADS[name])}: there are ${Object.keys(WORKLOADS).join(', ')}, and zoo`
  : peers.some((name) => !PEERS.includes(name)) ? `unknown peer ${peers.find((name) => !PEERS.includes(name))}`
  : !threads.every((t) => Number.isSafeInteger(t) && t > 0) ? `--threads ${options.threads}: numbers of threads are wanted` : undefined
if (mistake) refuse(mistake)

const onCpu = backend === 'wasm'
const settings = {
  competitors: [...(options.fusenet ? ['fusenet'] : []), ...peers],
  batchOf: (workload) => (options.batch ? count('batch') : options.full || onCpu ? workload.fullBatch : workload.batch),
  threads,
  backend,
  env: { ...process.env, BENCH_ADAPTER: options.adapter, ...(!onCpu && options.adapter === 'software' ? await environment() : {}) },
  limitSeconds: count('limit'),
  repeat: options.repeat === undefined ? defaults.repeat : count('repeat'),
  warmUp: Number(options.warmup),
  atLeastMs: Number(options['at-least']),
  warmUpMs: defaults.warmUpMs,
  tolerance: Number(options.tolerance),
  peak: onCpu ? new (await import('./peak.mjs')).Peak() : undefined,
  log,
}

const reports = []
const foundSoFar = () => ({ backend, adapter: onCpu ? undefined : options.adapter, reports, ratios: ratiosOf(reports) })
for (const group of groupsOf(names)) {
  for (const report of await measure(group, settings)) {
    reports.push(report)
    if (!options.json) console.log([drawTable(report), drawRatios(ratiosOf([report])), ''].join('\n'))
  }
  // After each group: who is stopped leaves what was measured.
  if (options.out) writeFileSync(options.out, `${JSON.stringify(foundSoFar(), null, 2)}\n`)
}
const ratios = ratiosOf(reports)
if (!options.json && reports.length > 1 && ratios.length > 0)
  console.log(`Ratios of medians (below 1: the first is faster)\n${drawRatios(ratios)}`)
if (options.json) console.log(JSON.stringify(foundSoFar(), null, 2))
await end(reports.some((r) => r.competitors.some((c) => c.failed || c.wrong)) ? 1 : 0)
