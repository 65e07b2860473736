/** Other libraries as subjects of the zoo: each in a process of its own (competitor.mjs), built from the plain layers of the net's text. */
import { Child } from '../child.mjs'
import { CHECKED_RATE, CHECKED_STEPS } from './own-subjects.mjs'

const LIMIT_SECONDS = 300

/** A peer that computes the net from the same weights and inputs: `{ name, check, measure, close, layout }`. Throws where it cannot. */
export async function openPeer(build, name, text, { manifest, weights, inputs, batch, program, threads, backend, clock }) {
  const { program: parsed } = build.loadProgram({ file: name, text }, { vocabulary: build.vocabulary })
  const net = build.plainNet(parsed)
  if (typeof net === 'string') throw new Error(net)
  const workload = { name: net.name, mode: program, batch, net, parameters: build.plainParameters(net, weights), image: inputs[net.input] }
  if (program === 'train') {
    if (typeof net.training === 'string') throw new Error(net.training)
    Object.assign(workload, { label: inputs[net.training.label], solver: solverOf(manifest.train), steps: CHECKED_STEPS, checked: [] })
  }
  // The better of both, found by trying: which one that is differs from net to net.
  if (name === 'torch') workload.layouts = ['channels_last', 'contiguous_format']
  const child = new Child(name, { env: process.env, backend, limitSeconds: LIMIT_SECONDS })
  try {
    const { check, version, layout } = await child.ask('prepare', { name, workload, options: { batch, backend, threads, warmUpMs: 0 } })
    return {
      name,
      version,
      layout,
      check: check.losses ?? check.output,
      measure: (atLeastMs) => child.ask('iterate', { atLeastMs, clock }),
      close: () => child.kill(),
    }
  } catch (error) {
    child.kill()
    throw error
  }
}

/** The file's solver as the peer spells it, at the rate of steps that are compared, and 0 for those that are timed. */
function solverOf({ solver: { call, args } }) {
  const known = { momentum: 0, weight_decay: 0, lr: 0, regularize: 'l2' }
  const other = Object.keys(args).filter((key) => !(key in known))
  if (!['sgd', 'nesterov'].includes(call) || args.regularize === 'l1' || other.length > 0)
    throw new Error(`peers have no ${call} with these arguments`)
  return {
    rate: CHECKED_RATE,
    momentum: args.momentum ?? 0,
    weightDecay: args.weight_decay ?? 0,
    nesterov: call === 'nesterov',
    timedRate: 0,
  }
}
