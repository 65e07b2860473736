/**
 * Measures one net of the zoo in a process of its own, so that no net pays for what another left behind. The request comes as a message:
 * `{ net: { name, text, batch }, program, settings }`; the answer is the row, or `{ error }`.
 */
import { installGpu } from '../adapter.mjs'
import { differences, isSmall, judge, nudged, smallest } from './judge.mjs'
import { compileVariant, isOwn, openBuild, openVariant } from './own-subjects.mjs'
import { openPeer } from './peer-subjects.mjs'

const SEED = 1
/** Times that something is computed from weights with other last digits, where it differs. */
const TRIES = 4

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
      const { bundle, compileMs } = compileVariant(from, variant, { text, batch }, program)
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
    }
    for (const peer of peers) {
      try {
        const subject = await openPeer(build, peer, text, { ...shared, threads, backend })
        subjects.push(subject)
        if (subject.layout) row.layout = subject.layout
      } catch (error) {
        notes.push(`${peer}: ${String(error.message ?? error).split('\n')[0]}`)
      }
    }
    Object.assign(row, await compare(subjects, shared, opener(build, older, text, { threads, backend })))
    notes.push(...row.faults)
    for (const subject of subjects) await subject.measure(warmUpMs)
    const times = await build.timeInterleaved(subjects, { rounds: turns, atLeastMs })
    for (const [i, subject] of subjects.entries()) row.ms[subject.name] = { minimum: Math.min(...times[i]), median: build.median(times[i]) }
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

/** Opens a subject of this name once more, from other weights. */
const opener = (build, older, text, settings) => async (name, shared) => {
  const from = name === 'before' ? older : build
  if (!isOwn(name)) return await openPeer(build, name, text, { ...shared, ...settings })
  return await openVariant(from, name, compileVariant(from, name, { text, batch: shared.batch }, shared.program).bundle, shared)
}

/** Compares subjects with the first: `wrong` and `faults` name those that differ by more than rounding, `difference` tells by how much. */
async function compare([merged, ...others], shared, open) {
  const compared = others.filter(({ name }) => name !== 'no-bn')
  /** What a subject gives from the weights with the last digits of each try. */
  const results = new Map([[merged.name, [merged]], ...compared.map((subject) => [subject.name, [subject]])])
  const result = async (name, k) => {
    const own = results.get(name)
    if (!own[k]) {
      own[k] = await open(name, { ...shared, weights: nudged(shared.weights, k) })
      own[k].close()
    }
    return own[k]
  }
  const [difference, wrong, faults] = [{}, [], []]
  let rounding
  for (const { name } of compared) {
    const found = []
    do found.push(differences(await result(name, found.length), await result(merged.name, found.length), shared.weights))
    while (!isSmall(smallest(found)) && found.length < TRIES)
    const least = smallest(found)
    difference[name] = least.losses.reduce((most, d) => (Number.isNaN(most) || most >= d ? most : d), 0)
    if (isSmall(least)) continue
    rounding ??= smallest([
      differences(await result(merged.name, 1), merged, shared.weights),
      differences(await result(merged.name, 2), merged, shared.weights),
      differences(await result(merged.name, 2), await result(merged.name, 1), shared.weights),
    ])
    const why = judge(least, rounding)
    if (why === undefined) continue
    wrong.push(name)
    faults.push(`${name} is WRONG: ${why}`)
  }
  return { difference, wrong, faults }
}

process.on('message', async (request) => {
  try {
    process.send(await measureNet(request), () => process.exit(0))
  } catch (error) {
    process.send({ net: request.net.name, program: request.program, error: error?.stack ?? String(error) }, () => process.exit(0))
  }
})
