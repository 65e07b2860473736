import { execFileSync, fork } from 'node:child_process'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { editsOf } from './edits.mjs'

/**
 * What this build takes of what another takes (`before`: a folder with dist/). Each build compiles in a process of its own, and they take turns: the
 * least of `turns`, and the median, count. `warm`: so many compilations of each come before, since engines optimize what runs often, step by step.
 *
 *   empty     nothing is remembered
 *   again     the same text once more
 *   memory    the peak of a process that compiles once, and what that is above a process that has loaded the compiler
 *
 * and each edit of `edits.mjs` (`onlyEmpty`: none): nothing is remembered but the net of before, then the one that differs from it in a layer is
 * compiled. So no edit finds what another one left, or itself a turn before.
 */
export async function compareBuilds({ before, source, style, turns, warm = 1, onlyEmpty = false }) {
  const here = fileURLToPath(new URL('../..', import.meta.url))
  const roots = [resolve(before), here]
  const { check } = await import(pathToFileURL(`${here}/dist/compiler/index.js`))
  const builds = await Promise.all(roots.map(start))
  const empty = () => source
  const edits = onlyEmpty ? { empty } : { empty, again: () => source, ...editsOf(source, (text) => isSound(check, text)) }
  const report = []
  try {
    for (let i = 0; i < warm; i++) { for (const compile of builds) await compile({ text: source, style, clear: true }) }
    for (const [what, edit] of Object.entries(edits)) {
      const times = builds.map(() => ({ cpu: [], thread: [], wall: [] }))
      for (let i = 0; i < turns; i++) {
        for (const [b, compile] of builds.entries()) {
          if (what !== 'empty') await compile({ text: source, style, clear: true })
          const { cpu, thread, wall } = await compile({ text: edit(i), style, clear: what === 'empty' })
          times[b].cpu.push(cpu)
          times[b].thread.push(thread ?? NaN)
          times[b].wall.push(wall)
        }
      }
      const [old, now] = times
      const share = (of, kind) => of(now[kind]) / of(old[kind])
      report.push({
        what,
        cpu: share(least, 'cpu'),
        // NaN goes to no JSON.
        ...(share(least, 'thread') > 0 && { thread: share(least, 'thread') }),
        wall: share(least, 'wall'),
        medianCpu: share(median, 'cpu'),
        medianWall: share(median, 'wall'),
        after: { value: least(now.wall), unit: 'ms' },
      })
    }
  } finally {
    for (const { child } of builds) child.disconnect()
  }
  if (onlyEmpty) return report
  const [old, now] = roots.map((root) => peakOf(root, source, style))
  report.push({ what: 'memory', cpu: now.peak / old.peak, after: { value: now.peak, unit: 'MB' } })
  const added = ({ peak, loaded }) => peak - loaded
  report.push({ what: 'memory above the compiler', cpu: added(now) / added(old), after: { value: added(now), unit: 'MB' } })
  return report
}

const least = (times) => Math.min(...times)
const median = (times) => times.toSorted((a, b) => a - b)[times.length >> 1]

/** Starts a process with a build; the result has it compile, and gives what that took. */
async function start(root) {
  const child = fork(fileURLToPath(new URL('compile-share-child.mjs', import.meta.url)), [root])
  const answer = () =>
    new Promise((done, fail) => {
      const ended = (code) => fail(new Error(`the process that compiles with ${root} ended with ${code}`))
      child.once('exit', ended).once('message', (message) => {
        child.off('exit', ended)
        done(message)
      })
    })
  await answer()
  const compile = (request) => {
    child.send(request)
    return answer()
  }
  return Object.assign(compile, { child })
}

function isSound(check, text) {
  try {
    return check(text).every(({ severity }) => severity !== 'error')
  } catch {
    return false
  }
}

/** Megabytes that a process took at most: with the compiler loaded, and when it had compiled once. */
function peakOf(root, source, style) {
  const script = `
    const { compile } = await import(${JSON.stringify(pathToFileURL(`${root}/dist/compiler/index.js`).href)})
    const peak = () => process.resourceUsage().maxRSS / 1024
    const loaded = peak()
    compile(${JSON.stringify(source)}, { style: ${JSON.stringify(style)} })
    console.log(JSON.stringify({ loaded, peak: peak() }))`
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }))
}
