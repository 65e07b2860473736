import { afterAll, describe, expect, test } from 'vitest'
import { compile } from '../../compiler/compile.ts'
import { interpreter } from '../../compiler/interpreter-device.ts'
import { programsToLoad } from '../../bundle/programs.ts'
import type { Bundle, TensorData } from '../../bundle/format.ts'
import { arrays, open, wasm } from '../../runtime/index.ts'
import type { Net } from '../../runtime/net-api.ts'

/*
 * Weights that `prepare` packs once. A convolution whose filter is `factor` in its middle, from each channel to itself, gives `factor` times its input:
 * whatever is done with the filter on the way, a stale one would show.
 */

const CHANNELS = 8
const SIDE = 8
const text = `
net packed {
  input x: f32[${CHANNELS}, ${SIDE}, ${SIDE}]
  input label: class[${CHANNELS}]
  y = x -> conv(${CHANNELS}, 3, pad: 1) as first -> batch_norm as norm -> conv(${CHANNELS}, 3, pad: 1) as second
  scores = y -> global_avg_pool -> flatten
  output out = y
  loss = softmax_loss(scores, label)
}
train {
  batch 4
  epochs 1
  solver sgd(lr: 0.5)
}
`
const device = await wasm({ threads: 2 })
// Nets of both devices are called alike here.
const exact = interpreter() as unknown as typeof device
afterAll(() => device.close())

const middle = (factor: number): TensorData => {
  const data = new Float32Array(CHANNELS * CHANNELS * 9)
  for (let c = 0; c < CHANNELS; c++) data[(c * CHANNELS + c) * 9 + 4] = factor
  return { shape: [CHANNELS, CHANNELS, 3, 3], type: 'f32', data }
}
const image = (batch: number): Float32Array => Float32Array.from({ length: batch * CHANNELS * SIDE * SIDE }, (_, i) => Math.sin(i))
const set = (net: Net, factors: Readonly<Record<string, number>>): Promise<void> =>
  net.setParameters(new Map(Object.entries(factors).map(([name, factor]) => [`${name}.weight`, middle(factor)])), { strict: false })

/** What the net gives for `image`, on the CPU and in float64. */
async function outputs(bundle: Bundle, change: (net: Net) => Promise<unknown>): Promise<[Float32Array, Float64Array]> {
  const found = await Promise.all([device, exact].map(async (on) => {
    const net = await open(bundle, { device: on, batch: 2, seed: 5 })
    await change(net)
    const { out } = await net.run({ x: image(2) })
    net.close()
    return out
  }))
  return found as unknown as [Float32Array, Float64Array]
}

/** The largest difference in units of the largest value. */
function apart(got: ArrayLike<number>, want: ArrayLike<number>): number {
  const scale = Math.max(...Array.from(want, Math.abs))
  return Math.max(...Array.from(want, (v, i) => Math.abs(got[i]! - v))) / scale
}

/** What a filter gives that is `factor` in its middle, everywhere. */
const times = (factor: number, of: ArrayLike<number> = image(2)): Float64Array => Float64Array.from(of, (v) => factor * v)

describe.each(['merged', 'split'] as const)('a filter that is prepared, %s', (style) => {
  const bundle = compile(text, { style, targets: ['wasm'] })
  const plan = bundle.manifest.plans['wasm']!
  const opened = (): Promise<Net> => open(bundle, { device, batch: 2, seed: 5 })
  // Stored statistics are 0 and 1 until somebody trains.
  const norm = 1 / Math.sqrt(1 + 1e-5)

  test('is transformed by prepare, into a buffer of its own', () => {
    const written = plan.programs['prepare']!.dispatches.map(({ name }) => name)
    expect(written.filter((name) => /\.winograd4\.\d+$/.test(name))).toHaveLength(2)
    expect(
      plan.programs['infer']!.dispatches.every(({ facts }) => !facts?.how?.includes('Winograd') || facts.how.includes('filter prepared')),
    )
      .toBe(true)
    expect(plan.programs['train']!.dispatches.some(({ facts }) => facts?.how?.includes('filter prepared'))).toBe(false)
  })

  test('follows the parameters that are set, one at a time', async () => {
    const net = await opened()
    const seen = async (): Promise<ArrayLike<number>> => (await net.run({ x: image(2) })).out as ArrayLike<number>
    await set(net, { first: 1, second: 1 })
    expect(apart(await seen(), times(norm))).toBeLessThan(1e-5)
    expect(apart(await seen(), times(norm))).toBeLessThan(1e-5)
    await set(net, { second: 3 })
    expect(apart(await seen(), times(3 * norm))).toBeLessThan(1e-5)
    await set(net, { first: -2 })
    expect(apart(await seen(), times(-6 * norm))).toBeLessThan(1e-5)
    // Calls that nobody waits for keep their order.
    const [, before, , behind] = await Promise.all([
      set(net, { first: 5 }),
      net.run({ x: image(2) }),
      set(net, { first: 7 }),
      net.run({ x: image(2) }),
    ])
    expect(apart(before.out!, times(15 * norm))).toBeLessThan(1e-5)
    expect(apart(behind.out!, times(21 * norm))).toBeLessThan(1e-5)
    net.close()
  })

  test.runIf(style === 'merged')('follows training, statistics that move, snapshots and a fresh start', async () => {
    const label = Int32Array.of(1, 2)
    const taught = async (net: Net): Promise<unknown> => {
      await set(net, { first: 1, second: 1 })
      await net.run({ x: image(2) })
      return net.step({ x: image(2), label })
    }
    const start = await outputs(bundle, (net) => set(net, { first: 1, second: 1 }))
    const [got, want] = await outputs(bundle, taught)
    expect(apart(want, start[1])).toBeGreaterThan(1e-2)
    expect(apart(got, want)).toBeLessThan(1e-4)
    for (
      const change of [
        async (net: Net) => {
          const snapshot = await net.snapshot()
          await taught(net)
          await net.run({ x: image(2) })
          await net.restore(snapshot)
        },
        async (net: Net) => {
          await taught(net)
          await net.run({ x: image(2) })
          await net.reset(9)
        },
      ]
    ) {
      const [cpu, reference] = await outputs(bundle, change)
      expect(apart(cpu, reference)).toBeLessThan(1e-4)
    }
  })

  test('is prepared for the last samples of an evaluation too, and for each net by itself', async () => {
    const [net, other] = [await opened(), await opened()]
    await set(net, { first: 1, second: 1 })
    await set(other, { first: 2, second: 2 })
    const label = Int32Array.of(0, 1, 2)
    const data = arrays({
      x: { type: 'f32', shape: [CHANNELS, SIDE, SIDE], data: image(3) },
      label: { type: 'i32', shape: [], data: label },
    })
    const loss = async (of: Net): Promise<number> => (await of.evaluate(data)).loss!
    const losses = [await loss(net), await loss(other)]
    await set(net, { first: 2, second: 2 })
    expect(await loss(net)).toBe(losses[1])
    expect(losses[0]).not.toBe(losses[1])
    net.close()
    other.close()
  })

  test('gives the bits that a filter transformed at every run gives; memory small does without', async () => {
    const small = compile(text, { style, targets: ['wasm'], memory: 'small' })
    expect(small.manifest.plans['wasm']!.buffers.some(({ name }) => name.includes('winograd'))).toBe(false)
    const change = (net: Net): Promise<void> => set(net, { first: 3, second: 1 })
    expect((await outputs(small, change))[0]).toEqual((await outputs(bundle, change))[0])
    // Who trains alone has no memory for it.
    expect(plan.programs['infer']!.peakBytes.fixed).toBeGreaterThan(small.manifest.plans['wasm']!.programs['infer']!.peakBytes.fixed)
    expect(programsToLoad(plan, ['train'])).toEqual(['train'])
    expect(programsToLoad(plan, ['train', 'eval'])).toEqual(expect.arrayContaining(['train', 'eval', 'prepare']))
  })
})
