/*
 * Mutations of small models of ONNX, Caffe and Darknet, by the thousand:
 *   node test/import/fuzz/long.mjs [--count 10000] [--kind onnx|caffe|darknet] [--from 0]
 * Each must be refused with reasons or become a text that compiles, within 5 s and 20 times the file (and a fixed amount for Node) in memory.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '10000' },
    from: { type: 'string', default: '0' },
    kind: { type: 'string', multiple: true },
  },
})
const here = fileURLToPath(new URL('.', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'fuzz-'))
/** A run of so many seconds hangs: processes share the machine with others. */
const HANGS_S = 60

const script = join(folder, 'long.mjs')
await build({
  entryPoints: [join(here, 'long.ts')],
  outfile: script,
  bundle: true,
  platform: 'node',
  format: 'esm',
  logLevel: 'error',
  // Where the seeds are looked for.
  define: { 'import.meta.dirname': JSON.stringify(here) },
})
let failed = false
try {
  for (const kind of values.kind ?? ['onnx', 'caffe', 'darknet']) {
    let from = Number(values.from)
    const end = from + Number(values.count)
    while (from < end) {
      const code = await run(kind, from, end)
      if (code === 0) break
      failed = true
      if (code === 1) break
      const at = Number(readFileSync(join(folder, 'at'), 'utf8'))
      console.log(`${kind} ${at}: ${code === 'hangs' ? `no answer within ${HANGS_S} s` : `the process ended with ${code}`}`)
      from = at + 1
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = failed ? 1 : 0

/** Runs a row of mutants in a process of its own; one that does not go on is ended. */
function run(kind, from, end) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--max-old-space-size=1024', script, kind, String(from), String(end), folder], {
      stdio: 'inherit',
    })
    let last = ''
    let since = Date.now()
    let hangs = false
    const watch = setInterval(() => {
      let at = last
      try {
        at = readFileSync(join(folder, 'at'), 'utf8')
      } catch {
        // Not begun.
      }
      if (at !== last) [last, since] = [at, Date.now()]
      else if (last !== '' && Date.now() - since > HANGS_S * 1000) {
        hangs = true
        child.kill('SIGKILL')
      }
    }, 500)
    child.on('exit', (code, signal) => {
      clearInterval(watch)
      resolve(hangs ? 'hangs' : code ?? signal)
    })
  })
}
