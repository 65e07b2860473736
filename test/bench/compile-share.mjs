import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { editsOf } from './edits.mjs'

/**
 * What this build takes of what another takes (`before`: a folder with dist/). Each compilation is measured between two of the other build, and
 * the least of `turns` counts: a machine with others on it makes any of them slower, and none faster.
 *
 *   empty     nothing is remembered
 *   again     the same text once more
 *   memory    the peak of a process that compiles once, and what that is above a process that has loaded the compiler
 *
 * and each edit of `edits.mjs`: the net of before was compiled, then the one that differs from it in a layer.
 */
export async function compareBuilds({ before, source, style, turns }) {
  const here = fileURLToPath(new URL('../..', import.meta.url))
  const builds = []
  for (const root of [resolve(before), here]) builds.push(await load(root))
  const empty = (_, { clear }) => (clear(), source)
  const edits = { empty, again: () => source, ...editsOf(source, (text) => isSound(builds[1], text)) }
  const report = []
  for (const build of builds) build.compile(source, { style })
  for (const [what, edit] of Object.entries(edits)) {
    const least = builds.map(() => ({ cpu: Infinity, wall: Infinity }))
    for (let i = 0; i < turns; i++) {
      for (const [b, build] of builds.entries()) {
        const text = edit(i, build)
        if (what !== 'empty') build.compile(source, { style })
        const [cpu, wall] = [process.cpuUsage(), performance.now()]
        build.compile(text, { style })
        least[b].wall = Math.min(least[b].wall, performance.now() - wall)
        least[b].cpu = Math.min(least[b].cpu, process.cpuUsage(cpu).user / 1000)
      }
    }
    const [old, now] = least
    report.push({ what, cpu: now.cpu / old.cpu, wall: now.wall / old.wall, after: { value: now.wall, unit: 'ms' } })
  }
  const [old, now] = [resolve(before), here].map((root) => peakOf(root, source, style))
  report.push({ what: 'memory', cpu: now.peak / old.peak, after: { value: now.peak, unit: 'MB' } })
  const added = ({ peak, loaded }) => peak - loaded
  report.push({ what: 'memory above the compiler', cpu: added(now) / added(old), after: { value: added(now), unit: 'MB' } })
  return report
}

async function load(root) {
  const module = (path) => import(pathToFileURL(`${root}/dist/compiler/${path}`))
  const { compile, check } = await module('index.js')
  // Builds of before have it elsewhere, or remember nothing.
  const { clearCompileCache = () => {} } = await module('compile-cache.js').catch(() => module('targets/compile-cache.js')).catch(
    () => ({}),
  )
  return { compile, check, clear: clearCompileCache }
}

function isSound({ check }, text) {
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
