/**
 * node test/bench/compare-builds.mjs NET... --before FOLDER [--programs infer,train] [--style merged|split] [--threads N] [--batch N]
 * [--seconds S] [--wide this|both] [--json]: the time of a run with this build as a share of the time with another (FOLDER: the root of the other, with dist/).
 *
 * NET is a workload (`W1`) or a .net file. Both builds compile it and load it on the CPU in one process with equal parameters, and their
 * results are compared first. Then they take turns for S seconds, one run each, the first of a turn now this one and now the other. The
 * shortest run of each counts: a machine with others on it makes any run slower, and none faster. `halves` are the ratios of the two halves
 * of the turns, each by itself: where they differ by more than the ratio from 1, the ratio says nothing.
 *
 * `--wide`: this build, or both, with modules for vectors of twice the width (Node from 24 on). V8's flag for them holds for the process, and the
 * other build gains by it, too: what they gain over a process without is told by `run.mjs --backend wasm --peers fusenet-narrow`.
 *
 * Exit code 1 where results differ.
 */
import { existsSync, readFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { readArguments } from './arguments.mjs'
import { compareResults } from './compare.mjs'
import { median } from './measure.mjs'
import { toNetText } from './net-text.mjs'
import { gaussian, labels } from './random.mjs'
import { WORKLOADS, prepareWorkload } from './workloads.mjs'
import { end } from './end.mjs'

const { values: options, positionals: nets, count, refuse } = readArguments(import.meta.url, {
  positionals: true,
  options: {
    before: { type: 'string' },
    /** infer, train, gradients; default: what the workload runs, of a file all that it has. */
    programs: { type: 'string' },
    style: { type: 'string' },
    threads: { type: 'string', default: '1' },
    batch: { type: 'string' },
    seconds: { type: 'string', default: '8' },
    wide: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
if (options.before === undefined) refuse('--before FOLDER: the build to compare with')
if (nets.length === 0) refuse('name a workload or a .net file')
if (options.wide !== undefined && !['this', 'both'].includes(options.wide)) refuse(`--wide ${options.wide}: this or both is wanted`)
if (!existsSync(`${options.before}/dist/runtime/index.js`)) refuse(`--before ${options.before}: there is no build in its dist/`)
const unknown = nets.find((net) => !WORKLOADS[net] && !existsSync(net))
if (unknown !== undefined) refuse(`${unknown} is no file and none of ${Object.keys(WORKLOADS).join(', ')}`)

const builds = []
for (const root of [resolve(options.before), fileURLToPath(new URL('../..', import.meta.url))])
  builds.push(await load(root, options.wide === 'both' || (options.wide === 'this' && builds.length > 0)))

const report = []
for (const name of nets) {
  const work = describe(name)
  for (const program of work.programs) {
    const row = await compareBuilds(work, program)
    report.push(row)
    if (!options.json) console.log(lineOf(row))
  }
}
if (options.json) console.log(JSON.stringify(report, null, 2))
await end(report.some((row) => row.wrong) ? 1 : 0)

async function load(root, wide) {
  const module = (path) => import(pathToFileURL(`${root}/dist/${path}`))
  const [{ compile }, { open, wasm }] = [await module('compiler/index.js'), await module('runtime/index.js')]
  if (wide && !(await module('runtime/wasm/wide.js')).isWide())
    refuse('--wide: there are no vectors of twice the width here; Node from 24 on has them on x86-64')
  return {
    compile: (text, how) => compile(text, { ...how, ...(wide && { wide }) }),
    open,
    device: await wasm({ threads: count('threads') }),
  }
}

/** A net's text, its style, its batch (undefined: what the file says), the programs to compare and, of a workload, its parameters. */
function describe(name) {
  const batch = options.batch === undefined ? WORKLOADS[name]?.fullBatch : count('batch')
  const asked = options.programs?.split(',')
  if (WORKLOADS[name]) {
    const workload = prepareWorkload(name, { batch })
    const parameters = workload.net.parameters().map((
      p,
    ) => [p.name, { shape: p.shape, type: 'f32', data: workload.parameters.get(p.name) }])
    const style = options.style ?? workload.style ?? 'merged'
    return { name, text: toNetText(workload), style, batch, programs: asked ?? [workload.mode], parameters: new Map(parameters) }
  }
  const text = readFileSync(name, 'utf8')
  const programs = asked ?? ['infer', ...(/^train\b/m.test(text) ? ['train'] : [])]
  return { name: basename(name, '.net'), text, style: options.style ?? 'merged', batch, programs }
}

async function compareBuilds({ name, text, style, batch, programs: _, parameters }, program) {
  const subjects = []
  for (const build of builds) subjects.push(await subject(build, { text, style, batch, parameters }, program))
  const [want, got] = [await subjects[0].check(), await subjects[1].check()]
  // As in measure.mjs: one value at ReLU's kink moves the gradients below it.
  const difference = compareResults(got, want, { byNorm: program === 'gradients' }).worst
  const row = {
    name,
    style,
    program,
    batch: subjects[0].batch,
    difference,
    wrong: !(difference <= (program === 'gradients' ? 1e-2 : 1e-3)),
  }
  for (const { run } of subjects) await repeat(run, 500)
  // What is hot is compiled by the optimizing compiler meanwhile.
  await new Promise((resolve) => setTimeout(resolve, 300))

  const times = subjects.map(() => [])
  const end = performance.now() + 1000 * count('seconds')
  for (let turn = 0; turn < 6 || performance.now() < end; turn++) {
    for (const i of turn % 2 ? [1, 0] : [0, 1]) {
      // Threads of the other may still spin; and after a wait the first run pays for a cold cache, as runs of a page do not.
      if (count('threads') > 1) await new Promise((resolve) => setTimeout(resolve, 5))
      times[i].push(...(await repeat(subjects[i].run, 5, 2)))
    }
  }
  for (const { net } of subjects) net.close()
  const least = (list) => list.reduce((a, b) => Math.min(a, b))
  const ratio = (of) => of(times[1]) / of(times[0])
  const half = (list, which) => list.slice(which ? list.length >> 1 : 0, which ? list.length : list.length >> 1)
  return {
    ...row,
    ratio: ratio(least),
    halves: [0, 1].map((which) => ratio((list) => least(half(list, which)))),
    medians: ratio(median),
    beforeMs: least(times[0]),
    afterMs: least(times[1]),
    runs: times[1].length,
  }
}

/** The milliseconds of each run: at least `count` runs, and as many as `atLeastMs` hold. */
async function repeat(run, atLeastMs, count = 1) {
  const times = []
  for (const start = performance.now(); times.length < count || performance.now() - start < atLeastMs;) {
    const from = performance.now()
    await run()
    times.push(performance.now() - from)
  }
  return times
}

/** A net of one build, ready to run one program on the same numbers as the other build's. */
async function subject({ compile, open, device }, { text, style, batch, parameters }, program) {
  const programs = { infer: ['prepare', 'infer'], train: ['train'], gradients: ['gradients'] }[program]
  if (!programs) throw new Error(`${program} is not compared here: infer, train, gradients are`)
  const bundle = compile(text, { style, programs: [program], targets: ['wasm'], ...(batch && { batch, allowOneValue: true }) })
  const net = await open(bundle, { device, programs, seed: 1, ...(batch && { batch }), ...(parameters && { weights: parameters }) })
  const sizeOf = (shape) => shape.reduce((size, d) => size * (d === 'n' ? 1 : d), net.batch)
  // Those that a program does not read are not looked at.
  const inputs = Object.fromEntries(bundle.manifest.inputs.map((input) => {
    const size = sizeOf(input.shape)
    return [input.name, input.classes ? labels(input.name, size, input.classes) : gaussian(input.name, size)]
  }))
  if (program === 'infer') return { net, batch: net.batch, check: () => net.run(inputs), run: () => net.run(inputs) }
  if (program === 'gradients') {
    const run = () => net.step(inputs, { update: false })
    return { net, batch: net.batch, run, check: async () => (await run()).grads }
  }
  // A small rate: numbers stay where they are, however long it runs.
  const run = async () => (await net.trainStep(inputs, { rate: 1e-5, keepGoing: true })).loss
  return { net, batch: net.batch, run, check: async () => ({ losses: Float32Array.of(await run(), await run()) }) }
}

function lineOf({ name, style, program, batch, ratio, halves, medians, beforeMs, afterMs, runs, difference, wrong }) {
  const share = (x) => x.toFixed(3)
  return `${name.padEnd(20)} ${style} ${program.padEnd(9)} batch ${String(batch).padEnd(4)} ${share(ratio)} of the time before `
    + `(halves ${halves.map(share).join(' ')}, medians ${share(medians)}; ${beforeMs.toPrecision(4)} -> ${
      afterMs.toPrecision(4)
    } ms, ${runs} runs)`
    + (difference > 0 ? `, results differ by ${difference.toExponential(1)}${wrong ? ' WRONG' : ''}` : '')
}
