import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/**
 * What this build takes of what another takes (`before`: a folder with dist/). Each compilation is measured between two of the other build, and
 * the least of `turns` counts: a machine with others on it makes any of them slower, and none faster.
 *
 *   empty     nothing is remembered
 *   again     the same text once more
 *   rate      the same net with another learning rate each time
 *   layer     one layer has another number of outputs each time
 *   memory    the peak of a process that compiles once
 */
export async function compareBuilds({ before, source, style, turns }) {
  const here = fileURLToPath(new URL('../..', import.meta.url))
  const builds = []
  for (const root of [resolve(before), here]) builds.push(await load(root))
  const edits = {
    empty: (_, { clear }) => (clear(), source),
    again: () => source,
    ...(/\blr:\s*[\d.]+/.test(source) && { rate: (i) => source.replace(/\blr:\s*[\d.]+/, `lr: 0.0${i + 1}`) }),
    // The first convolution: all that reads it has another shape too.
    ...(/\bconv\(\d+/.test(source) && { layer: (i) => source.replace(/\bconv\((\d+)/, (_, n) => `conv(${Number(n) + 4 * (i + 1)}`) }),
  }
  const report = []
  for (const build of builds) build.compile(source, { style })
  for (const [what, edit] of Object.entries(edits)) {
    const least = builds.map(() => ({ cpu: Infinity, wall: Infinity }))
    for (let i = 0; i < turns; i++) {
      for (const [b, build] of builds.entries()) {
        const text = edit(i, build)
        const [cpu, wall] = [process.cpuUsage(), performance.now()]
        build.compile(text, { style })
        least[b].wall = Math.min(least[b].wall, performance.now() - wall)
        least[b].cpu = Math.min(least[b].cpu, process.cpuUsage(cpu).user / 1000)
      }
    }
    const [old, now] = least
    report.push({ what, cpu: now.cpu / old.cpu, wall: now.wall / old.wall, after: { value: now.cpu, unit: 'ms' } })
  }
  const [old, now] = [resolve(before), here].map((root) => peakOf(root, source, style))
  report.push({ what: 'memory', cpu: now / old, after: { value: now, unit: 'MB' } })
  return report
}

async function load(root) {
  const module = (path) => import(pathToFileURL(`${root}/dist/compiler/${path}`))
  const { compile } = await module('index.js')
  // A build from before compilations remembered anything has nothing to forget.
  const { clearCompileCache = () => {} } = await module('targets/compile-cache.js').catch(() => ({}))
  return { compile, clear: clearCompileCache }
}

/** Megabytes. */
function peakOf(root, source, style) {
  const script = `
    const { compile } = await import(${JSON.stringify(pathToFileURL(`${root}/dist/compiler/index.js`).href)})
    compile(${JSON.stringify(source)}, { style: ${JSON.stringify(style)} })
    console.log(process.resourceUsage().maxRSS / 1024)`
  return Number(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }))
}
