/**
 * A competitor in a process of its own: node competitor.mjs NAME, spoken to by measure.mjs. It computes only when told to, so
 * that several can take turns without disturbing each other. Requests { id, call, ... } are answered { id, result } or { id, error }.
 */
import { installGpu } from './adapter.mjs'
import { netOf } from './nets.mjs'
import { prepareWorkload } from './workloads.mjs'

/** name -> module; each exports `open(backend, { threads })`, which gives `{ prepare(workload), version, threads }`. */
export const COMPETITORS = {
  fusenet: './fusenet.mjs',
  'fusenet-narrow': './fusenet.mjs',
  jax: './peers/jax.mjs',
  tfjs: './peers/tfjs.mjs',
  ort: './peers/ort.mjs',
  'ort-node': './peers/ort-node.mjs',
  torch: './peers/torch.mjs',
  'torch-compile': './peers/torch.mjs',
}

let session

const calls = {
  /**
   * Everything up to, and including, a result that can be compared; then `warmUpMs` of iterations, for compilers that watch.
   * `workload`: the name of one, or one made elsewhere, whose net is told as `netOf` takes it.
   */
  async prepare({ name, workload: given, options }) {
    const start = performance.now()
    if (options.backend === 'webgpu') installGpu()
    const competitor = await (await import(COMPETITORS[name])).open(options.backend, { threads: options.threads, name })
    const workload = typeof given === 'string' ? prepareWorkload(given, options) : { ...given, net: netOf(given.net) }
    session = await competitor.prepare(workload)
    const check = await session.check()
    const ms = performance.now() - start
    await settled({ atMostMs: 60_000, windowMs: 250 })
    if (options.warmUpMs) {
      await repeated(options.warmUpMs)
      await settled({ atMostMs: 60_000, windowMs: 250 })
    }
    return { check, version: competitor.version, threads: competitor.threads ?? 1, ms, layout: session.layout?.() }
  },

  /** Milliseconds of one iteration: the mean of as many as take `atLeastMs` together; with `clock: cpu` those of the process' threads. */
  async iterate({ atLeastMs, clock }) {
    const ms = await repeated(atLeastMs, clock)
    // Pools of threads spin for a while after their work: not on the next one's time.
    await settled({ atMostMs: 300, windowMs: 10 })
    return ms
  },

  async close() {
    setImmediate(() => process.exit(0))
  },
}

async function repeated(atLeastMs, clock) {
  // A competitor that computes in another process holds the clock there.
  if (session.repeat) return session.repeat(atLeastMs, clock)
  const now = clock === 'cpu' ? cpuNow : () => performance.now()
  const start = now()
  for (let count = 1;; count++) {
    await session.iterate()
    const ms = now() - start
    if (ms >= atLeastMs) return ms / count
  }
}

function cpuNow() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

process.on('message', async ({ id, call, ...args }) => {
  try {
    process.send({ id, result: await calls[call](args) })
  } catch (error) {
    process.send({
      id,
      error: error?.name === 'Unsupported' ? error.message : error?.stack ?? String(error),
      unsupported: error?.name === 'Unsupported',
    })
  }
})
// Peers that lose their device tend to reject a promise that nobody holds.
process.on('unhandledRejection', (error) => {
  process.send({ error: error?.stack ?? String(error) })
})

/** Waits until what a competitor does behind our back, such as compiling, is done: it would disturb the others. */
async function settled({ atMostMs, windowMs }) {
  for (const start = performance.now(); performance.now() - start < atMostMs;) {
    const before = process.cpuUsage()
    await new Promise((resolve) => {
      setTimeout(resolve, windowMs)
    })
    const { user, system } = process.cpuUsage(before)
    if ((user + system) / 1000 < windowMs / 10) return
  }
}
