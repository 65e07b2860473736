/**
 * node test/bench/calibrate.mjs [--nets N] [--from SEED] [--turns N] [--seconds N] [--verbose]: measures the prices of work on a CPU (`CPU.prices` in
 * compiler/codegen/cpu/cost-model.ts) on this machine. Nets drawn at random are trained in both styles; to the least time that each pass of theirs took,
 * prices are fitted that are not negative, so that relative errors are least. Of every second net prices are only checked. Prints the prices, and how far
 * estimates are from times: of the nets that they were fitted to, of the others, and of the others by the prices that the compiler has.
 * Times are those of the process' threads: others on the machine disturb them less.
 */
import { readArguments } from './arguments.mjs'
import { dist, openDevice } from './device.mjs'
import { gaussian, labels } from './random.mjs'
import { randomNet } from './zoo/random-nets.mjs'
import { end } from './end.mjs'

const { values: options, count } = readArguments(import.meta.url, {
  options: {
    nets: { type: 'string', default: '24' },
    from: { type: 'string', default: '100' },
    turns: { type: 'string', default: '15' },
    /** For each net and style. */
    seconds: { type: 'string', default: '3' },
    verbose: { type: 'boolean', default: false },
  },
})
const load = (file) => import(new URL(file, dist))
const [
  { compileFor },
  { TARGETS },
  { CpuScheduler },
  { applySchedule },
  { countWork },
  { CPU },
  { isPass },
  { open },
  { LocalNet },
  { scalarsAt },
] = await Promise.all([
  'compiler/compile.js',
  'compiler/targets/targets.js',
  'compiler/codegen/cpu/choose.js',
  'compiler/codegen/cpu/apply-schedule.js',
  'compiler/codegen/cpu/count-work.js',
  'compiler/codegen/cpu/cost-model.js',
  'compiler/codegen/cpu/price.js',
  'runtime/index.js',
  'runtime/net.js',
  'bundle/learning-rate.js',
].map(load))

/** Shorter kernels are mostly the clock. */
const LEAST_NS = 100_000

const device = await openDevice('wasm', { threads: 1 })
const scheduler = new CpuScheduler()
const target = TARGETS.find(({ name }) => name === 'wasm')
const wall = performance.now.bind(performance)
const cpu = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
const fitted = []
const checked = []
for (let i = 0; i < count('nets'); i++) {
  const net = randomNet(count('from') + i)
  // Families come in turn, eight of them: whole rounds are fitted to, and checked.
  const list = Math.floor(i / 8) % 2 === 0 ? fitted : checked
  for (const style of ['merged', 'split']) list.push(...await measure(net, style))
}
device.close()

const kinds = Object.keys(fitted[0].work)
const prices = fit(fitted)
console.log(`prices: { ${kinds.map((kind) => `${kind}: ${Number(prices[kind].toPrecision(2))}`).join(', ')} },`)
report('fitted to', fitted, prices)
report('checked', checked, prices)
if (CPU.prices) report('by the prices in the compiler', [...fitted, ...checked], CPU.prices)
await end()

function report(what, list, by) {
  const errors = list.map((s) => Math.abs(Math.log(estimate(s, by) / s.ns))).sort((a, b) => a - b)
  const percent = (q) => `${(100 * (Math.exp(errors[Math.floor(q * (errors.length - 1))]) - 1)).toFixed(0)} %`
  console.log(`${what}: ${list.length} passes; estimates are off by ${percent(0.5)} (median), ${percent(0.9)} (nine of ten)`)
  if (!options.verbose) return
  const far = (s) => Math.abs(Math.log(estimate(s, by) / s.ns))
  for (const s of list.sort((a, b) => far(b) - far(a)).slice(0, 25))
    console.log(
      `  ${(s.ns / 1e3).toFixed(0)} us, estimated ${(estimate(s, by) / 1e3).toFixed(0)}: ${s.net} ${s.name.slice(0, 60)} [${s.how}]`,
    )
}

function estimate({ work }, by) {
  return kinds.reduce((sum, kind) => sum + by[kind] * work[kind], 0)
}

/** The passes of a net: their work and the least time of each, in nanoseconds. */
async function measure({ name, text, batch }, style) {
  const { bundle, pipelines: [{ programs }] } = compileFor(text, [target], { style, programs: ['train'] })
  const net = await open(bundle, { device, batch, programs: ['train'] })
  const inputs = Object.fromEntries(bundle.manifest.inputs.map(({ name: input, shape, classes }) => {
    const elements = shape.reduce((a, b) => a * (b === 'n' ? batch : b), 1) * (shape[0] === 'n' ? 1 : batch)
    return [input, classes ? labels(input, elements, classes) : gaussian(input, elements)]
  }))
  const executor = LocalNet.executorOf(net)
  // Engines compile what is hot once more meanwhile.
  for (const start = wall(); wall() - start < 300;) await (await executor.execute('train', inputs)).values
  const scalars = scalarsAt(bundle.manifest.train, 0, 1, 0)
  let best
  for (let i = 0, start = wall(); i < count('turns') && (i < 3 || wall() - start < 1000 * count('seconds')); i++) {
    performance.now = cpu
    const times = await executor.enqueue(async () => executor.session.profile('train', scalars))
    performance.now = wall
    best = best ? best.map((t, j) => Math.min(t, times[j])) : [...times]
  }
  net.close()
  return programs.find((p) => p.name === 'train').steps.flatMap(({ fused: { equation } }, i) => {
    const schedule = scheduler.scheduleOf(equation)
    if (!isPass(schedule) || best[i] < LEAST_NS) return []
    const nest = applySchedule(equation, schedule)
    return [{ net: `${name} ${style}`, name: equation.name, how: nest.summary, ns: best[i], work: countWork(equation, nest, batch) }]
  })
}

/** Least squares of relative errors with no price below 0, by coordinate descent. */
function fit(list) {
  const rows = list.map(({ work, ns }) => kinds.map((kind) => work[kind] / ns))
  const x = kinds.map(() => 0)
  const left = rows.map(() => 1)
  for (let turn = 0; turn < 5000; turn++) {
    for (const j of kinds.keys()) {
      let [above, below] = [0, 1e-30]
      for (const [i, row] of rows.entries()) {
        above += row[j] * left[i]
        below += row[j] * row[j]
      }
      const step = Math.max(-x[j], above / below)
      x[j] += step
      for (const [i, row] of rows.entries()) left[i] -= step * row[j]
    }
  }
  return Object.fromEntries(kinds.map((kind, j) => [kind, x[j]]))
}
