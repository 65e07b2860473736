import { expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { arrays, type Device, type Net, open, type Snapshot, wasm } from '../../runtime/index.ts'
import { serve } from '../../runtime/remote/serve.ts'
import { normals } from '../support/random-net.ts'

/**
 * Calls in any order, in bursts of which nothing is awaited, on WebAssembly and in a worker, beside the float64 interpreter that does one after the other. A
 * net that starts over is held against one that was just opened. A failing test names the seed.
 */

const NETS = [
  `net momentum { input x: f32[2, 3, 4] input t: class[3]
    z = x -> conv(4, 3, pad: 1, lr_mult: [1, 2]) as c -> batch_norm(stats: caffe, eps: 1e-2) -> tanh -> fc(3, decay_mult: [1, 0])
    output p = softmax(z) loss = softmax_loss(z, t, ignore: 1) }
  train { batch 3 steps 9 accumulate 2 solver sgd(lr: 0.05, momentum: 0.9, weight_decay: 1e-2) schedule warmup(2) -> poly }`,
  `net adam { input x: f32[2, 3, 4] input t: class[3]
    y = x -> conv(4, 3, pad: 1) as c -> conv(4, 1) as shared -> batch_norm(stats: cumulative, eps: 1e-2) -> silu
    z = add(y, y -> conv(4, 1, weights: shared) -> sigmoid) -> fc(3)
    output p = softmax(z) loss = softmax_loss(z, t) loss s = sum(y -> tanh, weight: 0.01) }
  train { batch 3 steps 9 solver adam(lr: 0.01, delta: 1e-2, clip_gradients: 0.5) schedule cosine }`,
]
const BATCH = 3
const PROGRAMS = ['default', 'gradients/global']

type Numbers = Readonly<Record<string, ArrayLike<number>>>
type Inputs = Readonly<Record<'x', Float32Array<ArrayBuffer>> & Record<'t', Int32Array<ArrayBuffer>>>
interface Held {
  net: Net
  snapshot: Snapshot | undefined
}
/** A call as it is made, and what its answer comes to. The arrays that it hands in are spoilt when it has returned. */
type Call = (held: Held, open: (seed: number) => Promise<Net>) => Promise<Numbers>

const samples = (count: number, seed: number): Inputs => ({
  x: Float32Array.from(normals(count * 24, seed)),
  t: Int32Array.from(normals(count, seed + 1), (v) => Math.min(2, Math.floor(Math.abs(v) * 1.5))),
})
const copyOf = ({ x, t }: Inputs): Inputs => ({ x: x.slice(), t: t.slice() })
const datasetOf = ({ x, t }: Inputs) =>
  arrays({ x: { shape: [2, 3, 4], type: 'f32', data: x }, t: { shape: [], type: 'i32', classes: 3, data: t } })

function callOf(kind: string, seed: number, accumulate: number): Call {
  const given = samples(BATCH, seed)
  const spoilt = async <T>(inputs: readonly Inputs[], call: () => Promise<T>): Promise<T> => {
    const answer = call()
    for (const { x } of inputs) x.fill(1e9)
    return answer
  }
  switch (kind) {
    case 'train':
      return async ({ net }) => {
        const parts = Array.from({ length: accumulate }, (_, i) => samples(BATCH, seed + i))
        const { loss, rate } = await spoilt(parts, () => net.trainStep(accumulate > 1 ? parts : parts[0]!))
        return { loss: [await loss], rate: [rate] }
      }
    case 'step':
      return async ({ net }) => ({ loss: [(await net.step(given, { rate: 0.02 })).loss] })
    case 'gradients':
    case 'gradients of stored statistics':
      return async ({ net }) => {
        const own = copyOf(given)
        return (await spoilt([own], () => net.step(own, { update: false, ...(kind !== 'gradients' && { stats: 'global' }) }))).grads
      }
    case 'run':
      return async ({ net }) => await net.run({ x: given.x })
    case 'evaluate':
      return async ({ net }) => ({ loss: [(await net.evaluate(datasetOf(samples(2 * BATCH + 1 + seed % 2, seed)))).loss!] })
    case 'parameters':
      return async ({ net }) => Object.fromEntries([...await net.parameters()].map(([name, { data }]) => [name, data as Float32Array]))
    case 'set':
      return async ({ net }) => {
        await net.setParameters({ 'c.bias': normals(4, seed) }, { strict: false })
        return {}
      }
    case 'snapshot':
      return async (held) => {
        held.snapshot = await held.net.snapshot()
        return { step: [held.snapshot.step] }
      }
    case 'restore':
      return async (held) => {
        if (held.snapshot) await held.net.restore(held.snapshot)
        return { step: [held.net.steps] }
      }
    case 'reset':
      return async (held, open) => {
        held.net = await open(seed)
        return {}
      }
    default:
      return async ({ net }) => {
        const losses: number[] = []
        for await (const { loss } of net.train(datasetOf(samples(2 * BATCH * accumulate, 5)), { steps: 2 })) losses.push(loss)
        return { losses }
      }
  }
}

/** Calls that may be made while others are under way, and those that are made by themselves. */
const TOGETHER = [
  'train',
  'train',
  'step',
  'gradients',
  'gradients of stored statistics',
  'run',
  'evaluate',
  'evaluate',
  'set',
  'parameters',
]
const ALONE = ['snapshot', 'restore', 'reset', 'loop', 'loop']

const far = (got: Numbers, want: Numbers): string[] =>
  Object.entries(want).flatMap(([name, values]) => {
    const wanted = Array.from(values)
    const scale = wanted.reduce((a, v) => Math.max(a, Math.abs(v)), 0.1)
    const apart = wanted.map((v, i) => Math.abs(v - got[name]![i]!)).reduce((a, b) => (a >= b ? a : b), 0)
    return apart / scale <= 1e-3 ? [] : [`${name} is off by ${(apart / scale).toExponential(1)} of its scale`]
  })

/** As a worker is, in this thread. */
function worker() {
  const heard: ((event: { data: unknown }) => void)[] = []
  serve({ addEventListener: (_, hear) => void heard.push(hear) })
  return {
    postMessage(data: unknown) {
      for (const hear of heard) hear({ data: data as object })
    },
    terminate() {},
  }
}

test.each(Array.from({ length: 8 }, (_, i) => i + 1))('seed %i', async (seed) => {
  let state = seed * 7919 + 13
  const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const text = NETS[seed % NETS.length]!
  const accumulate = text.includes('accumulate') ? 2 : 1
  const devices: Device[] = [interpreter(), await wasm({ threads: 1 })]
  const bundle = compile(text, { targets: ['wasm'], programs: PROGRAMS })
  const split = compile(text, { style: 'split', targets: ['wasm'], programs: PROGRAMS })
  const fresh = async (seed: number): Promise<Net> => open(split, { device: devices[0]!, seed })
  const wanted: Held = { net: await fresh(seed), snapshot: undefined }
  const nets: Held[] = [
    { net: await open(bundle, { device: devices[1]!, seed }), snapshot: undefined },
    { net: await open(bundle, { device: 'wasm', worker, seed }), snapshot: undefined },
  ]
  const done: string[] = []
  for (let burst = 0; burst < 10; burst++) {
    const own = seed * 1000 + burst * 20
    const kinds = random() < 0.4 ? [pick(ALONE)] : Array.from({ length: 1 + Math.floor(random() * 4) }, () => pick(TOGETHER))
    // Sums of no batch cannot be trained with.
    if (burst === 0) kinds.unshift('train')
    if (kinds[0] === 'reset') kinds.push('train')
    const calls = kinds.map((kind, i) => callOf(kind, own + i, accumulate))
    done.push(kinds.join(' + '))
    const want: Numbers[] = []
    for (const call of calls) want.push(await call(wanted, fresh))
    for (const held of nets) {
      const again = async (seed: number): Promise<Net> => {
        await held.net.reset(seed)
        return held.net
      }
      const got = await Promise.all(calls.map((call) => call(held, again)))
      got.forEach((numbers, i) => expect(far(numbers, want[i]!), `${done.join('; ')}: ${kinds[i]}`).toEqual([]))
      expect(held.net.steps).toBe(wanted.net.steps)
    }
  }
  for (const { net } of [wanted, ...nets]) net.close()
  for (const device of devices) device.close()
})
