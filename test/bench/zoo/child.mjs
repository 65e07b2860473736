/**
 * Measures one net of the zoo in a process of its own, so that no net pays for what another left behind. The request comes as a message:
 * `{ net: { name, text, batch }, program, settings }`; the answer is `{ rows }`, one a number of threads, or `{ error }`.
 */
import { installGpu } from '../adapter.mjs'
import { differences, isSmall, judge, nudged, smallest } from './judge.mjs'
import { compileVariant, isOwn, openBuild, openVariant } from './own-subjects.mjs'
import { openPeer } from './peer-subjects.mjs'

const SEED = 1
/** Times that something is computed from weights with other last digits, where it differs. */
const TRIES = 4

/** What is measured takes turns, whatever its number of threads: nets of all of them lie in memory beside, and none is measured at a better time. */
async function measureNet({ net, program, settings }) {
  if (settings.backend === 'webgpu') installGpu()
  const parts = []
  try {
    for (const threads of settings.threads) await openRow(net, program, threads, settings, parts)
    const subjects = parts.flatMap((part) => part.subjects.map((subject) => ({ subject, part })))
    for (const { subject } of subjects) await subject.measure(settings.warmUpMs)
    const times = await parts[0].build.timeInterleaved(subjects.map(({ subject }) => behindItself(subject)), {
      rounds: settings.turns,
      atLeastMs: settings.atLeastMs,
    })
    for (const [i, { subject, part: { build, row } }] of subjects.entries())
      row.ms[subject.name] = { minimum: Math.min(...times[i]), median: build.median(times[i]) }
    return parts.map(({ row }) => row)
  } finally {
    for (const { subjects } of parts) for (const subject of subjects) subject.close()
  }
}

/** An iteration of a training follows its own kind: the first one behind another subject's has to fetch its weights and wake its threads, and is not counted. */
const behindItself = (subject) => ({
  name: subject.name,
  measure: async (atLeastMs) => {
    await subject.measure(0)
    return await subject.measure(atLeastMs)
  },
})

/** Opens and compares what one number of threads is measured with, as the next of `parts`: `{ build, row, subjects, shared }`. */
async function openRow({ name, text, batch }, program, threads, { backend, wide, variants, peers, clock, dist, before }, parts) {
  const build = await openBuild(dist, backend, threads, wide)
  const older = before && await openBuild(before, backend, threads, wide)
  const subjects = []
  const notes = []
  const row = { net: name, program, batch, threads, device: build.device.description, compileMs: {}, cost: {}, ms: {}, notes }
  const part = { build, row, subjects }
  parts.push(part)
  for (const variant of variants) {
    const from = variant === 'before' ? older : build
    const { bundle, compileMs } = compileVariant(from, variant, { text, batch }, program)
    row.compileMs[variant] = compileMs
    if (variant === 'no-bn' && bundle.manifest.parameters.length === part.shared.count) {
      notes.push('no batch_norm to leave out')
      continue
    }
    part.shared ??= {
      count: bundle.manifest.parameters.length,
      manifest: bundle.manifest,
      batch,
      program,
      clock,
      inputs: build.syntheticInputs(bundle.manifest.inputs, batch, SEED),
      weights: await startingWeights(build, bundle, { batch, program }),
    }
    const subject = await openVariant(from, variant, bundle, part.shared)
    subjects.push(subject)
    row.cost[variant] = subject.cost
  }
  for (const peer of peers) {
    try {
      const subject = await openPeer(build, peer, text, { ...part.shared, threads, backend })
      subjects.push(subject)
      if (subject.layout) row.layout = subject.layout
    } catch (error) {
      notes.push(`${peer}: ${String(error.message ?? error).split('\n')[0]}`)
    }
  }
  Object.assign(row, await compare(subjects, part.shared, opener(build, older, text, { threads, backend })))
  for (const { name: variant, check } of subjects.filter((subject) => isOwn(subject.name))) {
    const first = parts[0].subjects.find((subject) => subject.name === variant)
    if (first.check.every((value, i) => Object.is(value, check[i]))) continue
    row.wrong.push(variant)
    row.faults.push(`${variant} is WRONG: its bits are others by ${threads} threads than by ${parts[0].row.threads}`)
  }
  notes.push(...row.faults)
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
    process.send({ rows: await measureNet(request) }, () => process.exit(0))
  } catch (error) {
    process.send({ net: request.net.name, program: request.program, error: error?.stack ?? String(error) }, () => process.exit(0))
  }
})
