/**
 * node test/bench/compile-time.mjs [FILE.net] [--style merged|split] [--json]: milliseconds from text to bundle, warm (median of
 * ten after two) and cold (a fresh process: loading the compiler, the first compilation). Compiles with dist/.
 *
 * --before FOLDER: side by side with another build, FOLDER/dist/, as shares of its time: minima, and medians, of processor time (of all threads, and of
 * the one that compiles) and of time, of compilations that take turns (compile-share.mjs).
 *   --turns N   so many of each (5)
 *   --warm N    so many before them: with twenty the engine is still busy with optimizing, behind eighty it has nearly ended (1)
 *   --empty     compilations with an empty cache alone
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readArguments } from './arguments.mjs'

const { values: { style, json, once, before, turns, warm, empty }, positionals: [given], refuse } = readArguments(import.meta.url, {
  positionals: true,
  options: {
    style: { type: 'string', default: 'merged' },
    json: { type: 'boolean', default: false },
    once: { type: 'boolean', default: false },
    before: { type: 'string' },
    turns: { type: 'string', default: '5' },
    warm: { type: 'string', default: '1' },
    empty: { type: 'boolean', default: false },
  },
})
const isCount = (text) => /^[1-9]\d*$/.test(text)
const mistake = given !== undefined && !existsSync(given) ? `there is no file ${given}`
  : before !== undefined && !existsSync(`${before}/dist/compiler/index.js`) ? `--before ${before}: there is no build in its dist/`
  : !isCount(turns) || !isCount(warm) ? `--turns ${turns} --warm ${warm}: numbers of compilations are wanted` : undefined
if (mistake) refuse(mistake)
const file = given ?? fileURLToPath(new URL('../../samples/resnet18.net', import.meta.url))
const source = readFileSync(file, 'utf8')

const start = performance.now()
const { compile } = await import('../../dist/compiler/index.js')
const loadMs = performance.now() - start

const timeMs = (work) => {
  const from = performance.now()
  work()
  return performance.now() - from
}
const compileMs = () => timeMs(() => compile(source, { style }))

if (before !== undefined) {
  const { compareBuilds } = await import('./compile-share.mjs')
  const report = await compareBuilds({ before, source, style, turns: Number(turns), warm: Number(warm), onlyEmpty: empty })
  if (json) console.log(JSON.stringify(report, null, 2))
  else {
    for (const { what, cpu, thread, wall, medianCpu, medianWall, after } of report)
      console.log(
        `${what.padEnd(24)} ${cpu.toFixed(3)} of ${after.unit === 'MB' ? 'the memory' : 'the processor time'} before${
          thread === undefined ? '' : `, ${thread.toFixed(3)} of that of the compiling thread`
        }${wall === undefined ? '' : `, ${wall.toFixed(3)} of the time; medians ${medianCpu.toFixed(3)}, ${medianWall.toFixed(3)}`} (${
          after.value.toFixed(0)
        } ${after.unit})`,
      )
  }
} else if (once) {
  console.log(JSON.stringify({ loadMs, compileMs: compileMs() }))
} else {
  const first = JSON.parse(
    execFileSync(process.execPath, [fileURLToPath(import.meta.url), file, '--once', '--style', style], { encoding: 'utf8' }),
  )
  for (let i = 0; i < 2; i++) compileMs()
  const times = Array.from({ length: 10 }, compileMs).sort((a, b) => a - b)
  const result = {
    file: file.split('/').at(-1),
    style,
    warmMedianMs: (times[4] + times[5]) / 2,
    warmMinimumMs: times[0],
    coldLoadMs: first.loadMs,
    coldCompileMs: first.compileMs,
  }
  if (json) console.log(JSON.stringify(result, null, 2))
  else {
    const ms = (x) => `${x.toFixed(0)} ms`
    console.log(
      `${result.file}, ${style}: ${ms(result.warmMedianMs)} (median of 10; minimum ${ms(result.warmMinimumMs)}); `
        + `cold ${ms(result.coldCompileMs)}, after ${ms(result.coldLoadMs)} of loading the compiler`,
    )
  }
}
