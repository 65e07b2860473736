/** npm run bench -- zoo: nets that people train, in merged and split style and without their normalizations, beside other libraries. */
import { fork } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readArguments } from '../arguments.mjs'
import { environment } from '../adapter.mjs'
import { ZOO, readZooNet } from './list.mjs'
import { randomNet } from './random-nets.mjs'
import { addSpeedUps, drawHead, drawMeans, drawRow, meansOf, ratiosOf } from './report.mjs'
import { end } from '../end.mjs'

/** By CUDA beside WebGPU, on the CPU else; who is not there says so. */
const PEERS = {
  wasm: { train: ['torch'], infer: ['ort-node', 'torch'] },
  webgpu: { train: ['torch', 'torch-compile'], infer: ['torch', 'torch-compile'] },
}
const OWN = ['merged', 'split', 'no-bn']

const USAGE = `npm run bench -- zoo [options] [NET...]

Nets: ${ZOO.map(({ name, batch }) => `${name} (batch ${batch})`).join(', ')}

Options:
  --only a,b       these nets alone, as NET...
  --random N       N nets drawn from a seed instead of the zoo; --seed S: the first one's (1)
  --programs p     train (default), infer, or both with a comma
  --against a,b    whom to measure beside merged: split, no-bn, torch, ort-node, with webgpu torch-compile; default: all
  --no-peers       split and no-bn alone
  --before FOLDER  another build of fusenet (its folder with dist/), in the same turns
  --threads N,...  on a CPU (1); several take turns with each other, and the last column is how much faster than the first each is
  --narrow         also without modules for vectors of twice the width, which the others have where Node does (from 24 on)
  --no-wide        nobody has them, and V8's flag for them is off
  --batch N        instead of each net's own
  --turns N        measurements of each (7)
  --at-least MS    shorter iterations are repeated for this long and counted as their mean (20)
  --warmup MS      iterations of each before anything counts (1000: engines optimize small kernels late)
  --clock cpu      time of the process' threads, not of the clock on the wall: for one thread on a machine that others use too
  --limit S        seconds that one net may take (600)
  --backend B      wasm (default) or webgpu; --adapter A: software (default) or any
  --json           figures on stdout for machines; --out FILE writes them, again after each net

Losses of the first steps from the same weights are compared first (outputs of inference), and how far the first step moves each parameter: WRONG is
what differs by more than rounding does: judge.mjs says how that is told.`

const { values: options, positionals, count, refuse } = readArguments(import.meta.url, {
  usage: USAGE,
  positionals: true,
  args: process.argv.slice(process.argv.indexOf('zoo') + 1),
  options: {
    only: { type: 'string' },
    random: { type: 'string' },
    seed: { type: 'string', default: '1' },
    programs: { type: 'string', default: 'train' },
    against: { type: 'string' },
    peers: { type: 'boolean', default: true },
    before: { type: 'string' },
    threads: { type: 'string', default: '1' },
    narrow: { type: 'boolean', default: false },
    wide: { type: 'boolean', default: true },
    batch: { type: 'string' },
    turns: { type: 'string', default: '7' },
    'at-least': { type: 'string', default: '20' },
    warmup: { type: 'string', default: '1000' },
    clock: { type: 'string', default: 'wall' },
    limit: { type: 'string', default: '600' },
    backend: { type: 'string', default: 'wasm' },
    adapter: { type: 'string', default: 'software' },
    json: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
})

const words = (text, known, what) =>
  text.split(',').filter(Boolean).map((word) => (known.includes(word) ? word : refuse(`there is no ${what} ${word}: ${known.join(', ')}`)))

const { backend } = options
if (options.before && !existsSync(`${options.before}/dist/runtime/index.js`))
  refuse(`--before ${options.before}: there is no build in its dist/`)
if (backend !== 'wasm' && backend !== 'webgpu') refuse(`unknown backend ${backend}: wasm or webgpu`)
const nets = options.random !== undefined
  ? Array.from({ length: count('random') }, (_, i) => randomNet(count('seed') + i))
  : ZOO.map(readZooNet)
const only = [...positionals, ...(options.only ?? '').split(',')].join(',')
const wanted = only.replaceAll(',', '') ? words(only, nets.map(({ name }) => name), 'net') : nets.map(({ name }) => name)
const programs = words(options.programs, ['train', 'infer'], 'program')
const against = options.against ? words(options.against, [...OWN, ...new Set([...PEERS.wasm.infer, ...PEERS.webgpu.infer])], 'subject')
  : undefined
const chosen = (names) => names.filter((name) => against?.includes(name) ?? true)
const dist = new URL('../../../dist/', import.meta.url)
// As the command: bundles have wide modules where the process runs them.
const wide = backend === 'wasm' && options.wide && (await import(new URL('runtime/wasm/wide.js', dist))).isWide()
if (options.narrow && !wide) refuse('--narrow: there are no vectors of twice the width here; Node from 24 on has them on x86-64, with wasm')
const settings = {
  backend,
  wide,
  variants: ['merged', ...chosen(OWN.slice(1)), ...(options.before ? ['before'] : []), ...(options.narrow ? ['narrow'] : [])],
  turns: count('turns'),
  atLeastMs: count('at-least'),
  warmUpMs: Number(options.warmup),
  clock: words(options.clock, ['wall', 'cpu'], 'clock')[0],
  dist: fileURLToPath(dist),
  before: options.before && resolve(options.before, 'dist'),
}
const env = {
  ...process.env,
  BENCH_ADAPTER: options.adapter,
  ...(backend === 'webgpu' && options.adapter === 'software' && await environment()),
}

/** Rows of a net, one a number of threads, made in a process of their own. */
function measure(request) {
  const child = fork(new URL('child.mjs', import.meta.url), [], { env, serialization: 'advanced', stdio: ['ignore', 2, 2, 'ipc'] })
  const seconds = count('limit')
  return new Promise((done) => {
    const { net, program, settings: { threads } } = request
    const failed = (error) => done(threads.map((n) => ({ net: net.name, program, threads: n, error })))
    const timer = setTimeout(() => {
      failed(`took longer than ${seconds} s`)
      child.kill('SIGKILL')
    }, seconds * 1000)
    child.on('message', ({ rows, error }) => (rows ? done(rows) : failed(error)))
    child.on('exit', (code, signal) => {
      clearTimeout(timer)
      failed(`ended: ${signal ?? `exit code ${code}`}`)
    })
    child.send(request)
  })
}

const tables = []
const found = () => ({ backend, node: process.version, wide, tables })
function write(file) {
  writeFileSync(file, `${JSON.stringify(found(), null, 2)}\n`)
}

const print = options.json ? () => {} : (text) => console.log(text)
for (const program of programs) {
  const peers = options.peers ? chosen(PEERS[backend][program]) : []
  const variants = settings.variants.filter((name) => program === 'train' || name !== 'no-bn')
  const columns = [...variants, ...peers]
  const threads = options.threads.split(',').map((t) => count('threads', t))
  const byThreads = threads.map((n) => ({ program, threads: n, rows: [] }))
  tables.push(...byThreads)
  print(drawHead(program, columns, threads))
  for (const net of nets.filter(({ name }) => wanted.includes(name))) {
    const rows = await measure({
      net: { ...net, batch: options.batch ? count('batch') : net.batch },
      program,
      settings: { ...settings, variants, peers, threads },
    })
    for (const [i, row] of addSpeedUps(rows).entries()) {
      byThreads[i].rows.push({ ...row, ratios: ratiosOf(row) })
      print(drawRow(row, columns))
    }
    if (options.out) write(options.out)
  }
  for (const table of byThreads) {
    table.means = meansOf(table.rows)
    print(drawMeans(table.rows, columns, threads.length > 1 ? table.threads : undefined))
  }
  print('')
  for (
    const note of new Set(byThreads.flatMap(({ rows }) => rows).flatMap(({ net, notes = [] }) => notes.map((text) => `${net}: ${text}`)))
  ) print(note)
}
if (options.json) console.log(JSON.stringify(found(), null, 2))
if (options.out) write(options.out)
await end(tables.some(({ rows }) => rows.some((row) => row.error || row.wrong?.length > 0)) ? 1 : 0)
