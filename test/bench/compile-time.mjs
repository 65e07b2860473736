/**
 * node test/bench/compile-time.mjs [FILE.net] [--style merged|split] [--json]: milliseconds from text to bundle, warm (median of
 * ten after two) and cold (a fresh process: loading the compiler, the first compilation). Compiles with dist/.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values: { style, json, once }, positionals: [given] } = parseArgs({
  allowPositionals: true,
  options: {
    style: { type: 'string', default: 'merged' },
    json: { type: 'boolean', default: false },
    once: { type: 'boolean', default: false },
  },
})
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

if (once) {
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
