/**
 * node test/bench/first-result/run.mjs [--device webgpu|cpu] [--before FOLDER] [--repeat N] [--json]: from the navigation to a page's first result and to its
 * first training step, with what it asks of its server. LeNet of samples/mnist.net: an inference of one digit, a step of SGD on 32. Every
 * turn is a fresh browser with nothing in its cache; competitors take turns. `--before` is another build of fusenet (its dist), which is measured beside this one.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { chromiumFlags, headlessChromium } from '../../../scripts/software-adapter.mjs'
import { compareResults } from '../compare.mjs'
import { median } from '../measure.mjs'
import { PEERS, pages } from './build.mjs'
import { serve } from './serve.mjs'

const { values: options } = parseArgs({
  options: {
    device: { type: 'string', default: 'webgpu' },
    before: { type: 'string' },
    repeat: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
})
const webgpu = options.device === 'webgpu'
const fusenet = (name, dist) => ({ name, library: 'fusenet', device: webgpu ? 'webgpu' : 'wasm', dist })
const competitors = [
  fusenet('fusenet', fileURLToPath(new URL('../../../dist', import.meta.url))),
  ...(options.before ? [fusenet('fusenet, before', resolve(options.before))] : []),
  ...(existsSync(PEERS) ? [
    { name: 'tfjs', library: 'tfjs', device: webgpu ? 'webgpu' : 'cpu' },
    { name: 'jax-js', library: 'jax', device: webgpu ? 'webgpu' : 'wasm' },
  ] : []),
]
if (!existsSync(PEERS)) process.stderr.write('no peers: npm ci in test/bench/peers\n')

/** A machine without graphics hardware has an adapter on the CPU, which here passes for hardware: everybody does what he does on such. */
const AS_HARDWARE =
  `Object.defineProperty(GPUAdapter.prototype, 'info', { get: () => ({ vendor: 'acme', architecture: 'one', device: '', description: '', isFallbackAdapter: false }) })`

const { executable, environment } = await headlessChromium()
const server = await serve(await pages(competitors))
const rows = competitors.map(({ name }) => ({ name, result: [], trained: [] }))
try {
  // The first turn is not counted: it brings files from the disk into memory.
  for (let turn = 0; turn <= Number(options.repeat); turn++) {
    // Another begins each turn: whoever does finds the machine as the last one left it.
    const first = turn % rows.length
    for (const row of [...rows.slice(first), ...rows.slice(0, first)].filter((r) => !r.failed)) {
      const { failed, lost, prob, losses, result, trained } = await visit(row.name)
      const asked = server.asked()
      if (lost) {
        process.stderr.write(`turn ${turn}: ${row.name}: left out: ${lost}\n`)
        continue
      }
      row.failed = failed ?? (asked.missing.length > 0 ? `not there: ${asked.missing}` : undefined)
      process.stderr.write(`turn ${turn}: ${row.name}: ${row.failed ?? `${result.toFixed(0)} ms, ${trained.toFixed(0)} ms`}\n`)
      if (row.failed) continue
      Object.assign(row, { requests: asked.requests, bytes: asked.bytes, sent: asked.sent, found: { prob, losses } })
      if (turn > 0) {
        row.result.push(result)
        row.trained.push(trained)
      }
    }
  }
} finally {
  server.close()
}

async function visit(name) {
  const browser = await chromium.launch({
    executablePath: executable,
    env: { ...process.env, ...environment },
    chromiumSandbox: false,
    args: chromiumFlags,
  })
  try {
    const page = await browser.newPage()
    if (webgpu) await page.addInitScript(AS_HARDWARE)
    // The process of the GPU starts with the first that asks for it, and is the browser's affair.
    await page.goto('about:blank')
    await page.goto(server.url(name))
    return await page.evaluate('globalThis.found')
  } catch (error) {
    // A browser that died, where many compute; what a page throws is told by the page.
    return { lost: String(error).split('\n')[0] }
  } finally {
    await browser.close()
  }
}

const reference = rows.find((r) => r.found)
for (const row of rows.filter((r) => r.found)) {
  row.difference = compareResults(row.found, reference.found).worst
  row.wrong = !(row.difference <= 1e-3)
  if (row.wrong) {
    process.exitCode = 1
    process.stderr.write(`${row.name} disagrees with ${reference.name}: ${JSON.stringify([row.found, reference.found])}\n`)
  }
}
for (const row of rows) delete row.found
if (options.json) console.log(JSON.stringify(rows, null, 2))
else {
  const kilobytes = (bytes) => Math.round(bytes / 1000)
  const times = (list, base) =>
    `${median(list).toFixed(0)} (${Math.min(...list).toFixed(0)})${
      base && base !== list ? `, ${(median(list) / median(base)).toFixed(2)} x (${(Math.min(...list) / Math.min(...base)).toFixed(2)} x)`
        : ''
    }`
  console.log('Milliseconds are medians, in parentheses minima; x is over the first row.\n')
  console.log('| | requests | KB | KB sent | first result, ms | first step, ms | difference |\n| --- | --- | --- | --- | --- | --- | --- |')
  for (const { name, failed, requests, bytes, sent, result, trained, difference, wrong } of rows) {
    if (failed) console.log(`| ${name} | ${failed.split('\n')[0]} |`)
    else if (result.length === 0) console.log(`| ${name} | left out in every turn |`)
    else console.log(
        `| ${
          [
            name,
            requests,
            kilobytes(bytes),
            kilobytes(sent),
            times(result, reference.result),
            times(trained, reference.trained),
            wrong ? 'WRONG' : difference.toExponential(0),
          ].join(' | ')
        } |`,
      )
  }
}
if (rows.some((r) => r.failed || r.result.length === 0)) process.exitCode = 1
