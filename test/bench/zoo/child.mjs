/**
 * Measures one net of the zoo in a process of its own, so that no net pays for what another left behind. The request comes as a message:
 * `{ net: { name, text, batch }, program, settings }`; the answer is the row, or `{ error }`.
 */
import { installGpu } from '../adapter.mjs'
import { compileVariant, openBuild, openVariant } from './own-subjects.mjs'
import { openPeer } from './peer-subjects.mjs'

/** The largest difference of losses (of outputs by the largest of them) between those who compute the same. */
const TOLERANCE = 1e-3
const SEED = 1

async function measureNet({ net: { name, text, batch }, program, settings }) {
  const { backend, threads, wide, variants, peers, turns, atLeastMs, warmUpMs, clock, dist, before } = settings
  if (backend === 'webgpu') installGpu()
  const build = await openBuild(dist, backend, threads, wide)
  const older = before && await openBuild(before, backend, threads, wide)
  const subjects = []
  const notes = []
  const row = { net: name, program, batch, threads, device: build.device.description, compileMs: {}, cost: {}, ms: {}, notes }
  try {
    let shared
    for (const variant of variants) {
      const from = variant === 'before' ? older : build
      const { bundle, compileMs } = compileVariant(from, variant, text, program)
      row.compileMs[variant] = compileMs
      if (variant === 'no-bn' && bundle.manifest.parameters.length === shared.count) {
        notes.push('no batch_norm to leave out')
        continue
      }
      shared ??= {
        count: bundle.manifest.parameters.length,
        manifest: bundle.manifest,
        batch,
        program,
        clock,
        inputs: build.syntheticInputs(bundle.manifest.inputs, batch, SEED),
        weights: await startingWeights(build, bundle, { batch, program }),
      }
      const subject = await openVariant(from, variant, bundle, shared)
      subjects.push(subject)
      row.cost[variant] = subject.cost
      if (variant !== 'no-bn') compare(subject, subjects[0])
    }
    for (const peer of peers) {
      try {
        const subject = await openPeer(build, peer, text, { ...shared, threads, backend })
        subjects.push(subject)
        compare(subject, subjects[0])
        if (subject.layout) row.layout = subject.layout
      } catch (error) {
        notes.push(`${peer}: ${String(error.message ?? error).split('\n')[0]}`)
      }
    }
    for (const subject of subjects) await subject.measure(warmUpMs)
    const times = await build.timeInterleaved(subjects, { rounds: turns, atLeastMs })
    for (const [i, subject] of subjects.entries()) row.ms[subject.name] = { minimum: Math.min(...times[i]), median: build.median(times[i]) }
    row.wrong = subjects.filter((s) => s.difference > TOLERANCE || Number.isNaN(s.difference)).map((s) => s.name)
    row.difference = Object.fromEntries(subjects.filter((s) => s.difference !== undefined).map((s) => [s.name, s.difference]))
    return row
  } finally {
    for (const subject of subjects) subject.close()
  }
}

/** Every parameter as the net starts, but for what a trained net has otherwise: statistics, gamma, beta, biases. */
async function startingWeights(build, bundle, { batch, program }) {
  const weights = build.syntheticWeights(bundle, SEED)
  const programs = program === 'infer' ? ['prepare', 'infer'] : ['train']
  const net = await build.open(bundle, { device: build.device, batch, weights, seed: SEED, programs })
  const all = new Map(
    [...await net.parameters()].map(([name, { shape, data }]) => [name, { shape, type: 'f32', data: Float32Array.from(data) }]),
  )
  net.close()
  return all
}

function compare(subject, reference) {
  if (subject === reference) return
  const largest = reference.check.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
  subject.difference = subject.check.length === reference.check.length
    ? reference.check.reduce((worst, value, i) => Math.max(worst, Math.abs(value - subject.check[i])), 0) / largest : Infinity
}

process.on('message', async (request) => {
  try {
    process.send(await measureNet(request), () => process.exit(0))
  } catch (error) {
    process.send({ net: request.net.name, program: request.program, error: error?.stack ?? String(error) }, () => process.exit(0))
  }
})
