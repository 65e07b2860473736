/**
 * node tests/main.js FILE.js: runs the tests of a file that pack.mjs bundled. Each failure is a line of JSON on stdout, and a last line
 * `{ passed, failed, skipped }`. Whatever the tests print goes to stderr.
 */
import { pathToFileURL } from 'node:url'
import { resolve } from 'node:path'
import { type Outcome, runAll } from './shim.ts'

const line = (data: object): void => void process.stdout.write(`${JSON.stringify(data)}\n`)
console.log = (...values: unknown[]) => console.error(...values)

const count = { passed: 0, failed: 0, skipped: 0 }
const tell = (outcome: Outcome): void => {
  count[outcome.status]++
  if (outcome.status === 'failed') line(outcome)
}
try {
  await import(pathToFileURL(resolve(process.argv[2]!)).href)
  await runAll(tell)
} catch (error) {
  tell({ name: 'the file', status: 'failed', ms: 0, error: String(error instanceof Error ? error.stack : error).slice(0, 2000) })
}
line(count)
// Whoever holds a GPU object keeps the process.
process.stdout.write('', () => process.exit(count.failed > 0 ? 1 : 0))
