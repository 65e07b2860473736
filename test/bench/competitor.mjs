/**
 * A competitor in a process of its own: node competitor.mjs NAME, spoken to by run.mjs. It computes only when told to, so that
 * several can take turns without disturbing each other. Requests { id, call, ... } are answered { id, result } or { id, error }.
 */
import { installGpu } from './adapter.mjs'
import { prepareWorkload } from './workloads.mjs'

/** name -> module; each exports `open(backend, { style })`, which gives `{ prepare(workload) }`, and `version`. */
export const COMPETITORS = {
  fusenet: './fusenet.mjs',
  jax: './peers/jax.mjs',
  tfjs: './peers/tfjs.mjs',
  ort: './peers/ort.mjs',
  'ort-node': './peers/ort-node.mjs',
}

let session

const calls = {
  /** Everything up to, and including, a result that can be compared. */
  async prepare({ name, workload: workloadName, options }) {
    const start = performance.now()
    if (options.backend === 'webgpu') installGpu()
    const competitor = await (await import(COMPETITORS[name])).open(options.backend)
    const workload = prepareWorkload(workloadName, options)
    session = await competitor.prepare(workload)
    const check = await session.check()
    const ms = performance.now() - start
    await settled()
    return { check, version: competitor.version, ms }
  },

  /** Milliseconds of one iteration. */
  async iterate() {
    const start = performance.now()
    await session.iterate()
    return performance.now() - start
  },

  async close() {
    setImmediate(() => process.exit(0))
  },
}

process.on('message', async ({ id, call, ...args }) => {
  try {
    process.send({ id, result: await calls[call](args) })
  } catch (error) {
    process.send({ id, error: error?.name === 'Unsupported' ? error.message : error?.stack ?? String(error), unsupported: error?.name === 'Unsupported' })
  }
})
// Peers that lose their device tend to reject a promise that nobody holds.
process.on('unhandledRejection', (error) => { process.send({ error: error?.stack ?? String(error) }) })


/** Waits until what a competitor does behind our back, such as compiling, is done: it would disturb the others. */
async function settled({ atMostMs = 60_000, windowMs = 250 } = {}) {
  for (const start = performance.now(); performance.now() - start < atMostMs;) {
    const before = process.cpuUsage()
    await new Promise((resolve) => { setTimeout(resolve, windowMs) })
    const { user, system } = process.cpuUsage(before)
    if ((user + system) / 1000 < windowMs / 10) return
  }
}
