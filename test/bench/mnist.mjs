/**
 * W5: node test/bench/mnist.mjs [--device wasm|webgpu] [--threads N] [--seeds K] [--epochs N] [--every STEPS] [--json]: trains
 * samples/mnist.net from K seeds. Gives seconds of training until 99.0 % of the test images are right, seconds in all, and the
 * accuracy at the end. It tests on all test images, every so many steps; while it tests, the clock stands.
 */
import { readFileSync } from 'node:fs'
import { readArguments } from './arguments.mjs'
import { dist, openDevice } from './device.mjs'
import { median } from './measure.mjs'
import { Table } from './table.mjs'
import { end } from './end.mjs'

const { values: options, count } = readArguments(import.meta.url, {
  options: {
    device: { type: 'string', default: 'wasm' },
    threads: { type: 'string', default: '1' },
    /** Of WebGPU: software or any. */
    adapter: { type: 'string', default: 'software' },
    seeds: { type: 'string', default: '3' },
    epochs: { type: 'string', default: '2' },
    /** Instead of epochs, to try it out. */
    steps: { type: 'string' },
    every: { type: 'string', default: '100' },
    goal: { type: 'string', default: '0.99' },
    json: { type: 'boolean', default: false },
  },
})
const goal = count('goal')
const length = options.steps ? { steps: count('steps') } : { epochs: count('epochs') }

const [{ compile }, { open }, { loadDataset }, { planFor }] = await Promise.all(
  ['compiler/index.js', 'runtime/index.js', 'runtime/node.js', 'bundle/plans.js'].map((file) => import(new URL(file, dist))),
)
const text = readFileSync(new URL('../../samples/mnist.net', import.meta.url), 'utf8')
const device = await openDevice(options.device, { threads: count('threads'), adapter: options.adapter })
// The file says when it wants a test, so that nothing is under way then.
const bundle = compile(text.replace(/^train \{$/m, `train {\n  test every ${options.every} steps`), { targets: [planFor(device)] })
const [train, test] = await Promise.all([loadDataset('mnist'), loadDataset('mnist', { split: 'test' })])

const seconds = (s) => (s === undefined ? '-' : `${s.toFixed(1)} s`)
const percent = (x) => `${(100 * x).toFixed(2)} %`

const runs = []
for (let seed = 1; seed <= count('seeds'); seed++) runs.push(await trainFrom(seed))
device.close()

if (options.json) console.log(JSON.stringify({ device: device.name, description: device.description, goal, runs }, null, 2))
else {
  const table = new Table({
    head: ['seed', 'steps', `to ${percent(goal)}`, 'at step', 'in all', 'accuracy', 'best'],
    colAligns: Array(7).fill('right'),
  })
  for (const r of runs)
    table.push([r.seed, r.steps, seconds(r.secondsToGoal), r.stepOfGoal ?? '-', seconds(r.seconds), percent(r.accuracy), percent(r.best)])
  const medianOf = (key) => median(runs.map((r) => r[key] ?? Infinity))
  const toGoal = medianOf('secondsToGoal')
  table.push([
    'median',
    '',
    Number.isFinite(toGoal) ? seconds(toGoal) : '-',
    '',
    seconds(medianOf('seconds')),
    percent(medianOf('accuracy')),
    percent(medianOf('best')),
  ])
  console.log(`W5: samples/mnist.net on ${device.description}; training alone, without the tests\n${table}`)
}
await end()

async function trainFrom(seed) {
  const net = await open(bundle, { device, seed, programs: ['train', 'eval', 'prepare'] })
  const run = { seed, steps: 0, seconds: 0, accuracy: 0, best: 0, tests: [] }
  let since = performance.now()
  for await (const { step, steps, testDue } of net.train(train, length)) {
    if (!testDue && step !== steps) continue
    run.seconds += (performance.now() - since) / 1000
    run.steps = step
    run.accuracy = (await net.evaluate(test)).metrics.accuracy
    run.best = Math.max(run.best, run.accuracy)
    run.tests.push({ step, seconds: run.seconds, accuracy: run.accuracy })
    if (run.accuracy >= goal) {
      run.secondsToGoal ??= run.seconds
      run.stepOfGoal ??= step
    }
    process.stderr.write(`seed ${seed}: step ${step} of ${steps}, ${seconds(run.seconds)}: ${percent(run.accuracy)}\n`)
    since = performance.now()
  }
  net.close()
  return run
}
