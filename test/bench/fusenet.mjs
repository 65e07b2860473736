/** fusenet as a competitor, through its public library as a user has it: dist/, so `npm run build` comes first. */
import { readFileSync } from 'node:fs'
import { toNetText } from './net-text.mjs'
import { CHECKED_PARAMETERS } from './workloads.mjs'

const dist = new URL('../../dist/', import.meta.url)

/** `fusenet-narrow` is fusenet without wide modules; fusenet has them where this process runs them, as the command does (Node from 24 on). */
export async function open(backend, { threads, name }) {
  const [{ compile }, runtime, { planFor }, { isWide }] = await Promise.all([
    import(new URL('compiler/index.js', dist)),
    import(new URL('runtime/index.js', dist)),
    import(new URL('bundle/plans.js', dist)),
    import(new URL('runtime/wasm/wide.js', dist)),
  ])
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  const wide = backend === 'wasm' && name !== 'fusenet-narrow' && isWide()
  const device = backend === 'wasm' ? await runtime.wasm({ threads }) : await runtime.webgpu()

  return {
    version,
    threads: backend === 'wasm' ? device.threads ?? threads : 1,
    async prepare(workload) {
      const { net, mode, batch, style = 'merged' } = workload
      const bundle = compile(toNetText(workload), { style, targets: [planFor(device)], programs: PROGRAMS_OF[mode], ...(wide && { wide }) })
      const shapes = new Map(net.parameters().map(({ name, shape }) => [name, shape]))
      const weights = new Map([...workload.parameters].map(([name, data]) => [name, { shape: shapes.get(name), type: 'f32', data }]))
      const opened = await runtime.open(bundle, { device, batch, weights, programs: PROGRAMS_OF[mode] })
      return sessions[mode](opened, workload)
    },
  }
}

/** The programs that a workload runs. */
export const PROGRAMS_OF = { infer: ['prepare', 'infer'], train: ['train'], gradients: ['gradients'] }

const sessions = {
  infer(net, { image }) {
    const run = async () => {
      const outputs = await net.run({ image })
      return outputs.prob ?? outputs.out
    }
    return { iterate: run, check: async () => ({ output: Float32Array.from(await run()) }) }
  },

  train(net, { image, label }) {
    // Each step's loss is waited for, as it is with the peers.
    const iterate = async () => (await net.trainStep({ image, label })).loss
    const check = async () => {
      const found = { losses: Float32Array.of(await iterate(), await iterate()) }
      const now = await net.parameters()
      for (const name of CHECKED_PARAMETERS) if (now.has(name)) found[name] = now.get(name).data
      return found
    }
    return { check, iterate }
  },

  gradients(net, { image, upstream }) {
    const iterate = async () => {
      const { loss, grads } = await net.step({ image, upstream }, { update: false })
      const { upstream: _, ...wanted } = grads
      return { loss: Float32Array.of(loss), ...Object.fromEntries(Object.entries(wanted).map(([name, g]) => [`grad/${name}`, g])) }
    }
    return { check: iterate, iterate }
  },
}
