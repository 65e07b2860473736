/**
 * node test/device/run.mjs [--minutes N] [--out FOLDER] [--small] [--software] [--only TEXT,...]: asks graphics hardware everything that stages.mjs
 * lists, within a budget of minutes. report.json and report.txt in the folder are written again after each stage. Run by run.sh.
 */
import { spawn, spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readArguments } from '../bench/arguments.mjs'
import { stagesOf, TESTS } from './stages.mjs'
import { summaryOf } from './summary.mjs'
import { end } from '../bench/end.mjs'

const HELP = `run.mjs asks graphics hardware what stages.mjs lists
  --minutes N      the budget of the whole (10)
  --out FOLDER     where report.json, report.txt and log.txt go (device-report, or what OUT names)
  --only TEXT,...  stages whose name holds one of these texts
  --small          the same stages with little work, for a rehearsal
  --software       on the driver that runs on the CPU`
const { values: options, count, refuse } = readArguments(import.meta.url, {
  usage: HELP,
  options: {
    minutes: { type: 'string', default: '10' },
    out: { type: 'string', default: process.env.OUT ?? 'device-report' },
    small: { type: 'boolean', default: false },
    software: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
  },
})

const started = performance.now()
const budgetSeconds = count('minutes') * 60
const wanted = options.only.split(',')
const stages = stagesOf({ small: options.small }).filter(({ name }) => wanted.some((text) => name.includes(text)))
if (stages.length === 0) refuse(`--only ${options.only}: no stage has such a name (${stagesOf({}).map(({ name }) => name).join(', ')})`)
const left = () => budgetSeconds - (performance.now() - started) / 1000
const root = fileURLToPath(new URL('../../', import.meta.url))
const out = resolve(options.out)
mkdirSync(out, { recursive: true })
const log = join(out, 'log.txt')
writeFileSync(log, '')
/** What is kept for the end of the run: less would leave the report half written. */
const RESERVE_SECONDS = 4

const env = { ...process.env, BENCH_PYTHON: python(), FUSENET_PACK: process.env.FUSENET_PACK ?? root, BENCH_ADAPTER: 'any' }
const report = { minutes: Number(options.minutes), node: process.version, processors: availableParallelism(), stages: [] }

/** Processes that compute, each with a group of its own; and how to take up what the stage under way has found so far. */
const running = new Set()
let takeUp = () => {}
// Whoever lends the machine for so long ends this by a signal, or by none that can be caught: then the report is some seconds old.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'])
  process.on(signal, () => {
    for (const child of running) stop(child)
    const last = report.stages.at(-1)
    if (last && last.seconds === undefined && !last.left) last.stopped = true
    for (const { name } of stages.slice(report.stages.length)) report.stages.push({ name, left: `ended by ${signal}` })
    takeUp()
    write()
    rmSync(join(out, 'part.json'), { force: true })
    process.exit(1)
  })
setInterval(() => {
  takeUp()
  write()
}, 5000).unref()

for (const stage of stages) {
  // A CPU that rehearses may take its time.
  const seconds = Math.min(stage.atMost * (options.small ? 5 : 1), left() - RESERVE_SECONDS)
  const entry = { name: stage.name }
  report.stages.push(entry)
  if (seconds < 5) entry.left = 'no time was left'
  else {
    const from = performance.now()
    await (stage.tests ? runTests(entry, seconds) : runScript(entry, stage, seconds))
    entry.seconds = (performance.now() - from) / 1000
  }
  write()
  process.stdout.write(
    `${entry.left ? 'left out' : `${entry.seconds.toFixed(0)} s`.padStart(8)}  ${stage.name}${entry.stopped ? ' (cut off)' : ''}\n`,
  )
}
process.stdout.write(`\n${readFileSync(join(out, 'report.txt'), 'utf8')}`)
const failed = report.stages.some(({ failed: count }) => count > 0)
await end(failed ? 1 : 0)

/** Both files, each whole at any time: whoever ends this in the middle of it leaves those before. */
function write() {
  for (const [name, text] of [['report.json', `${JSON.stringify(report)}\n`], ['report.txt', summary()]]) {
    writeFileSync(join(out, `${name}.part`), text)
    renameSync(join(out, `${name}.part`), join(out, name))
  }
}

/** A figure that a summary cannot draw ends no run: report.json has all. */
function summary() {
  try {
    return summaryOf(report)
  } catch (error) {
    return `report.json could not be drawn: ${error.stack}\n`
  }
}

/** A script in a process of its own, ended when its time is over; what it found until then counts. */
async function runScript(entry, { script, arguments: given, prints }, seconds) {
  const file = join(out, 'part.json')
  rmSync(file, { force: true })
  takeUp = () => {
    const found = !prints && existsSync(file) && parsed(readFileSync(file, 'utf8'))
    if (found) entry.found = found
  }
  const { text, stopped, code } = await runNode([script, ...given.map(String), ...(prints ? [] : ['--json', '--out', file])], seconds)
  Object.assign(entry, { stopped, code })
  takeUp()
  if (prints) entry.found = parsed(text)
  takeUp = () => {}
  rmSync(file, { force: true })
}

/** Every file of tests, several at once: the device is for all of them, and most of their time is the compiler's. */
async function runTests(entry, seconds) {
  const until = performance.now() + seconds * 1000
  const waiting = [...TESTS]
  const files = entry.files = []
  const sum = (key) => files.reduce((total, file) => total + (file[key] ?? 0), 0)
  takeUp = () =>
    Object.assign(entry, {
      passed: sum('passed'),
      skipped: sum('skipped'),
      failed: files.reduce((n, { wrong = [] }) => n + wrong.length, 0),
    })
  const next = async () => {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      const rest = (until - performance.now()) / 1000
      if (rest < 3) {
        files.push({ file, left: true })
        continue
      }
      const one = { file, stopped: true }
      files.push(one)
      const from = performance.now()
      const { text, stopped } = await runNode(['tests/device/tests/main.js', `tests/${file.replace(/\.ts$/, '.js')}`], rest)
      const lines = text.split('\n').map(parsed).filter(Boolean)
      const counts = lines.findLast((line) => line.passed !== undefined)
      const wrong = lines.filter(({ status }) => status === 'failed')
      if (!counts && !stopped) wrong.push({ name: 'the process', error: 'it ended before its tests did' })
      Object.assign(one, { seconds: (performance.now() - from) / 1000, stopped, ...counts, wrong })
    }
  }
  takeUp()
  await Promise.all(Array.from({ length: Math.max(1, Math.min(4, availableParallelism() >> 1)) }, next))
  takeUp()
  takeUp = () => {}
}

/** Ends a process and those that it has started. */
function stop(child) {
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

/** Runs Node on `given` in the folder of the pack. stderr goes to the log. `{ text, stopped, code }`. */
function runNode(given, seconds) {
  appendFileSync(log, `\n$ node ${given.join(' ')}\n`)
  return new Promise((done) => {
    // A group of its own: benchmarks have processes of theirs.
    const child = spawn(process.execPath, given, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    running.add(child)
    let text = ''
    let stopped = false
    child.stdout.on('data', (data) => (text += data))
    child.stderr.on('data', (data) => appendFileSync(log, data))
    const timer = setTimeout(() => {
      stopped = true
      stop(child)
    }, seconds * 1000)
    child.on('error', (error) => appendFileSync(log, `${error.message}\n`))
    child.on('close', (code) => {
      clearTimeout(timer)
      running.delete(child)
      done({ text, stopped, code })
    })
  })
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A Python that has PyTorch: the one that is named, the first on the path, the system's. */
function python() {
  const candidates = [process.env.BENCH_PYTHON, 'python3', '/usr/bin/python3'].filter(Boolean)
  return candidates.find((name) => spawnSync(name, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0) ?? candidates[0]
}
