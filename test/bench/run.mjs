/**
 * npm run bench -- --peers jax,tfjs,ort W1 W2 ...
 *
 * Every competitor gets a process of its own and the same parameters and input. Results are compared first; then the
 * competitors take turns, one iteration each (A B C A B C ...), so that whatever else the machine does falls on all of them.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { createRequire } from 'node:module'
import { environment } from './adapter.mjs'
import { Child } from './child.mjs'
import { compareResults } from './compare.mjs'
import { WORKLOADS, prepareWorkload } from './workloads.mjs'

const USAGE = `npm run bench -- [options] [WORKLOAD...]

Workloads (default W1 W2 W4a W4b):
${Object.entries(WORKLOADS).map(([name, w]) => `  ${name.padEnd(5)} ${w.what}; batch ${w.batch}`).join('\n')}

Options:
  --peers a,b      jax, tfjs, ort (onnxruntime-web), ort-node; default jax,tfjs,ort. They are installed by
                   npm ci in test/bench/peers
  --no-fusenet     peers alone
  --batch N        instead of the workload's; --full takes the batch it means on a machine that is up to it
  --repeat N       measured iterations of each (5)
  --warmup N       iterations before (1)
  --limit S        seconds an iteration, or getting ready, may take before the competitor is given up (120)
  --backend B      webgpu (default) or wasm; ort-node is native whatever this says
  --adapter A      software (default: the same on every machine) or any
  --json           figures on stdout for machines; --out FILE writes them
  --tolerance X    largest difference of results over the largest value (1e-3)`

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    peers: { type: 'string', default: 'jax,tfjs,ort' },
    fusenet: { type: 'boolean', default: true },
    batch: { type: 'string' },
    full: { type: 'boolean', default: false },
    repeat: { type: 'string', default: '5' },
    warmup: { type: 'string', default: '1' },
    limit: { type: 'string', default: '120' },
    backend: { type: 'string', default: 'webgpu' },
    adapter: { type: 'string', default: 'software' },
    json: { type: 'boolean', default: false },
    out: { type: 'string' },
    tolerance: { type: 'string', default: '1e-3' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const log = (text) => process.stderr.write(`${text}\n`)

if (options.help) {
  console.log(USAGE)
  process.exit(0)
}
const names = positionals.length > 0 ? positionals : ['W1', 'W2', 'W4a', 'W4b']
for (const name of names) {
  if (!WORKLOADS[name]) {
    log(`unknown workload ${name}\n\n${USAGE}`)
    process.exit(2)
  }
}
const competitors = [...(options.fusenet ? ['fusenet'] : []), ...options.peers.split(',').filter(Boolean)]
const env = { ...process.env, BENCH_ADAPTER: options.adapter,
  ...(options.backend === 'webgpu' && options.adapter === 'software' ? await environment() : {}) }

const report = []
for (const name of names) {
  const result = await measure(name)
  report.push(result)
  if (!options.json) console.log(drawTable(result))
}
if (options.json) console.log(JSON.stringify(report, null, 2))
if (options.out) writeFileSync(options.out, `${JSON.stringify(report, null, 2)}\n`)
process.exit(report.some((r) => r.competitors.some((c) => c.failed || c.wrong)) ? 1 : 0)

async function measure(name) {
  const workload = WORKLOADS[name]
  const batch = options.batch ? Number(options.batch) : options.full ? workload.fullBatch : workload.batch
  const { flops } = prepareWorkload(name, { batch })
  const entries = competitors.map((competitor) => ({ name: competitor, times: [] }))
  const children = new Map()
  try {
    // One after the other: while one gets ready, nobody else computes.
    for (const entry of entries) {
      const child = new Child(entry.name, { env, backend: options.backend, limitSeconds: Number(options.limit) })
      try {
        log(`${name}: ${entry.name} gets ready`)
        const { check, version, ms } = await child.ask('prepare', { name: entry.name, workload: name, options: { batch, backend: options.backend } })
        Object.assign(entry, { version, check, readyMs: ms })
        children.set(entry, child)
      } catch (error) {
        child.kill()
        Object.assign(entry, error.unsupported ? { unsupported: error.message } : { failed: error.message })
        if (!error.unsupported) log(`${name}: ${entry.name}: ${error.message}`)
      }
    }
    const [reference, ...others] = entries.filter((e) => e.check)
    for (const entry of others) {
      entry.difference = compareResults(entry.check, reference.check)
      entry.comparedWith = reference.name
      entry.wrong = !(entry.difference.worst <= Number(options.tolerance))
      if (entry.wrong) log(`${name}: ${entry.name} disagrees with ${reference.name}: ${JSON.stringify(entry.difference)}`)
    }
    const rounds = Number(options.warmup) + Number(options.repeat)
    for (let round = 0; round < rounds; round++) {
      for (const [entry, child] of children) {
        try {
          const ms = await child.ask('iterate')
          if (round >= Number(options.warmup)) entry.times.push(ms)
        } catch (error) {
          child.kill()
          children.delete(entry)
          entry.failed = error.message
          log(`${name}: ${entry.name}: ${error.message}`)
        }
      }
      log(`${name}: round ${round + 1} of ${rounds}`)
    }
  } finally {
    for (const child of children.values()) child.kill()
  }
  for (const entry of entries) {
    delete entry.check
    if (entry.times.length === 0) continue
    const sorted = entry.times.toSorted((a, b) => a - b)
    entry.medianMs = (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
    entry.minimumMs = sorted[0]
    entry.gflops = flops / entry.medianMs / 1e6
  }
  const base = entries.find((e) => e.name === 'fusenet' && e.medianMs) ?? entries.find((e) => e.medianMs)
  for (const entry of entries) if (entry.medianMs) entry.ratio = entry.medianMs / base.medianMs
  return { workload: name, what: workload.what, batch, flops, backend: options.backend, adapter: options.adapter,
    ratioTo: base?.name, competitors: entries }
}

function drawTable({ workload, what, batch, flops, ratioTo, competitors: entries }) {
  const Table = createRequire(import.meta.url)('cli-table3')
  const table = new Table({
    head: ['', 'version', 'median ms', 'min ms', 'GFLOP/s', `x ${ratioTo}`, 'difference', 'ready ms'],
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  })
  for (const e of entries) {
    const problem = e.unsupported ?? e.failed
    if (problem && !e.medianMs) {
      table.push([e.name, e.version ?? '', { content: problem.split('\n')[0].slice(0, 80), colSpan: 6 }])
      continue
    }
    const difference = e.difference ? `${e.difference.worst.toExponential(1)}${e.wrong ? ' WRONG' : ''}` : 'reference'
    table.push([e.name, e.version, e.medianMs.toFixed(1), e.minimumMs.toFixed(1), e.gflops.toFixed(2), e.ratio.toFixed(2),
      difference, e.readyMs.toFixed(0)])
  }
  return `${workload}: ${what}, batch ${batch}, ${(flops / 1e9).toFixed(2)} GFLOP\n${table}`
}
