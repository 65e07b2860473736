import type { Bundle, InputEntry } from '../bundle/format.ts'
import { type ExportedOnnxStep, randomOf } from '../export/index.ts'
import { open, wasm } from '../runtime/index.ts'
import { noise, type OnnxRuntime } from './check-onnx.ts'

const STEPS = 3
/** Samples of a batch: enough that no batch normalization is of two values. */
const SAMPLES = 8
/** The share of the schedule's first rate that is taken: noise is trained on, which large steps would throw about. */
const SHARE = 0.1
const SEED = 1
/** What fusenet adds to the seed for each further batch of an update. */
const PART = 0x9e3779b1

type Numbers = Float32Array | Int32Array
type Results = Readonly<Record<string, { readonly data: ArrayLike<number> }>>

/**
 * Trains a few steps in onnxruntime and in fusenet, on the same random data: the largest difference of losses, over the largest loss. Of an
 * update that takes several batches, whose losses are put together otherwise, it is that of parameters.
 */
export async function checkOnnxStep(
  runtime: OnnxRuntime,
  models: { readonly start: string; readonly step: string },
  exported: ExportedOnnxStep,
  bundle: Bundle,
): Promise<number> {
  const { manifest } = bundle
  const create = (file: string) => runtime.InferenceSession.create(file, { logSeverityLevel: 3 })
  const [start, step] = [await create(models.start), await create(models.step)]
  const parts = manifest.train?.accumulate ?? 1
  const net = await open(bundle, {
    device: await wasm(),
    batch: SAMPLES,
    seed: SEED,
    programs: parts > 1 ? ['train', 'accumulate'] : ['train'],
    allowOneValue: true,
  })
  const losses = manifest.outputs.filter(({ role }) => role === 'loss')
  const rate = SHARE * net.rateAt(0) || 1e-3
  try {
    let state: Record<string, { readonly data: ArrayLike<number> }> = { ...await start.run({}) }
    const pairs: [number, number][] = []
    for (let t = 0; t < STEPS; t++) {
      const batches = Array.from({ length: parts }, (_, part) => batchOf(manifest.inputs, 100 * t + 10 * part))
      let results: Results = {}
      for (const [part, batch] of batches.entries()) {
        const given = { ...batch, ...extras(exported, batches, { rate, step: t, seed: SEED + part * PART }) }
        const feeds = Object.fromEntries(exported.graph.inputs.flatMap(({ name, type, shape }): [string, object][] => {
          const data = given[name]
          const dims = shape.map((dim) => (typeof dim === 'number' ? dim : SAMPLES))
          return data ? [[name, new runtime.Tensor(type === 'i32' ? 'int32' : 'float32', data, dims)]] : []
        }))
        results = await step.run({ ...state, ...feeds })
        state = Object.fromEntries(exported.state.map((name) => [name, results[`next/${name}`]!]))
      }
      const own = await (await net.trainStep(parts === 1 ? batches[0]! : batches, { rate, keepGoing: true })).loss
      if (parts === 1) pairs.push([losses.reduce((sum, { name, weight = 1 }) => sum + weight * results[name]!.data[0]!, 0), own])
    }
    if (parts > 1) {
      for (const [name, { data }] of await net.parameters())
        for (let i = 0; i < data.length; i++) pairs.push([state[name]!.data[i]!, Number(data[i])])
    }
    return distance(pairs)
  } finally {
    net.close()
    await start.release()
    await step.release()
  }
}

/** Random data for the inputs of a net. */
function batchOf(inputs: readonly InputEntry[], seed: number): Record<string, Numbers> {
  return Object.fromEntries(inputs.map(({ name, shape, classes, type }, i) => {
    const numbers = noise(shape.reduce<number>((product, dim) => product * (dim === 'n' ? SAMPLES : dim), 1), seed + i + 1)
    return [name, type === 'i32' ? Int32Array.from(numbers, (x) => Math.floor(Math.abs(1e4 * x)) % (classes ?? 1)) : numbers]
  }))
}

/** What is fed beside data. */
function extras(
  { feeds, graph }: ExportedOnnxStep,
  batches: readonly Readonly<Record<string, Numbers>>[],
  { rate, step, seed }: { readonly rate: number; readonly step: number; readonly seed: number },
): Record<string, Float32Array> {
  const sizeOf = (name: string): number =>
    graph.inputs.find((input) => input.name === name)!.shape.reduce<number>((n, dim) => n * (typeof dim === 'number' ? dim : SAMPLES), 1)
  return {
    [feeds.rate]: Float32Array.of(rate),
    ...Object.fromEntries(feeds.random.map(({ name, layer }) => [name, randomOf(layer, { seed, step, count: sizeOf(name) })])),
    ...Object.fromEntries(feeds.divisors.map(({ name, input, ignore }) => {
      const counted = batches.flatMap((batch) => [...batch[input]!]).filter((label) => label !== ignore).length
      return [name, Float32Array.of(Math.max(1, counted) / batches.length)]
    })),
  }
}

function distance(pairs: readonly (readonly [number, number])[]): number {
  let [most, scale] = [0, Number.MIN_VALUE]
  for (const [found, own] of pairs) {
    if (Number.isFinite(own)) scale = Math.max(scale, Math.abs(own))
    if (Object.is(found, own) || (Number.isNaN(found) && Number.isNaN(own))) continue
    const apart = Math.abs(found - own)
    most = Math.max(most, Number.isNaN(apart) ? Infinity : apart)
  }
  return most / scale
}
