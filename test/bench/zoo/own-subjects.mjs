/** fusenet as subjects of the zoo: a net in merged and split style, without its normalizations, and as another build has it. */
import { pathToFileURL } from 'node:url'

/** Steps whose losses are compared before anything is timed. */
export const CHECKED_STEPS = 3
/**
 * The rate of the steps that are compared, whatever the file says: so small that what rounding did to one step does not grow in the next.
 * Steps that are timed have the rate 0: they do the same work, and each starts from where the last one did.
 */
export const CHECKED_RATE = 1e-3

const VARIANTS = {
  merged: { style: 'merged' },
  split: { style: 'split' },
  'no-bn': { style: 'merged', normalize: false },
  before: { style: 'merged' },
  narrow: { style: 'merged', wide: false },
}

/** Whether a subject of this name is fusenet. */
export const isOwn = (name) => Object.hasOwn(VARIANTS, name)

/** A build of fusenet (a folder `dist`): its public doors, and the data that its own `bench` makes. `wide`: whether its bundles have wide modules. */
export async function openBuild(folder, backend, threads, wide) {
  const load = (path) => import(new URL(path, pathToFileURL(`${folder}/`)))
  const [{ compile }, runtime, { planFor }, { LocalNet }, { sizeAt }, data, timing, dsl, { vocabulary }, peers] = await Promise.all([
    'compiler/index.js',
    'runtime/index.js',
    'bundle/plans.js',
    'runtime/net.js',
    'bundle/sizes.js',
    'measure/synthetic-data.js',
    'measure/interleaved-timing.js',
    'dsl/index.js',
    'compiler/front-end/vocabulary.js',
    'measure/peer-net.js',
  ].map(load))
  const device = backend === 'wasm' ? await runtime.wasm({ threads }) : await runtime.webgpu()
  return {
    compile: (text, options) => compile(text, { ...(wide && { wide }), ...options }),
    open: runtime.open,
    target: planFor(device),
    device,
    LocalNet,
    sizeAt,
    ...data,
    ...timing,
    ...dsl,
    vocabulary,
    ...peers,
  }
}

/** Compiles a variant of a net for one program (`train` or `infer`) and its batch. `{ bundle, compileMs }`. */
export function compileVariant(build, variant, { text, batch }, program) {
  const programs = program === 'infer' ? ['prepare', 'infer'] : ['train']
  const start = performance.now()
  const bundle = build.compile(text, { ...VARIANTS[variant], targets: [build.target], programs, batch, allowOneValue: true })
  return { bundle, compileMs: performance.now() - start }
}

/**
 * Opens a variant with these weights (those that it has a place for) and gives it as a subject: `{ name, check, cost, measure, close }`. `check`
 * holds the losses of the first steps, or the output; `moves` how far the first step moved each parameter; `cost` counts the dispatches of the program, the bytes that they read and write by the plan,
 * and the bytes that the device holds.
 */
export async function openVariant(build, name, bundle, { weights, inputs, batch, program, clock }) {
  const own = new Set(bundle.manifest.parameters.map((p) => p.name))
  const net = await build.open(bundle, {
    device: build.device,
    batch,
    weights: new Map([...weights].filter(([parameter]) => own.has(parameter))),
    programs: program === 'infer' ? ['prepare', 'infer'] : ['train'],
  })
  const step = async (rate) => (await net.trainStep(inputs, { rate, keepGoing: true })).loss
  const { label: _, ...images } = inputs
  const output = async () => Object.values(await net.run(images))[0]
  let moves
  const losses = async () => {
    const found = []
    for (let i = 0; i < CHECKED_STEPS; i++) {
      found.push(await step(name === 'no-bn' ? 0 : CHECKED_RATE))
      if (i === 0 && name !== 'no-bn') moves = movesFrom(weights, await net.parameters())
    }
    return found
  }
  const check = program === 'train' ? await losses() : Float32Array.from(await output())
  return {
    name,
    check,
    ...(moves && { moves }),
    cost: costOf(build, net, program, batch),
    measure: (atLeastMs) => (clock === 'cpu' ? cpuMs : build.repeated)(program === 'train' ? () => step(0) : output, atLeastMs),
    close: () => net.close(),
  }
}

/** By how much each parameter is another one than before. */
const movesFrom = (before, after) =>
  new Map([...after].map(([name, { data }]) => [name, Float64Array.from(data, (value, i) => value - before.get(name).data[i])]))

function costOf({ LocalNet, sizeAt }, net, program, batch) {
  const { session } = LocalNet.executorOf(net)
  const { dispatches } = session.plan.programs[program]
  const bytes = dispatches.reduce(
    (sum, { facts }) => sum + (facts ? sizeAt(facts.bytesRead, batch) + sizeAt(facts.bytesWritten, batch) : 0),
    0,
  )
  return { dispatches: dispatches.length, bytes, memory: session.allocatedBytes }
}

/** Milliseconds of this process' threads for one iteration, as `repeated` counts those of the clock on the wall. */
async function cpuMs(iterate, atLeastMs) {
  const start = process.cpuUsage()
  for (let count = 1;; count++) {
    await iterate()
    const { user, system } = process.cpuUsage(start)
    const ms = (user + system) / 1000
    if (ms >= atLeastMs) return ms / count
  }
}
