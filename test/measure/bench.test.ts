import { describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { bench, type BenchOptions, type OpenPeer, type Variant } from '../../measure/bench.ts'
import { compareResults, largestDifference, normOf } from '../../measure/compare-results.ts'
import { differenceBeyondNoise, noiseOf, shaken } from '../../measure/noise.ts'
import { syntheticInputs, syntheticWeights } from '../../measure/synthetic-data.ts'
import { median, timeInterleaved } from '../../measure/interleaved-timing.ts'
import { wasm } from '../../runtime/wasm/device.ts'

const NET = `net small {
  input x: f32[2, 5, 5]
  input label: class[3]
  logits = x -> conv(4, 3) as conv1 -> batch_norm as bn1 -> relu -> fc(3)
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { batch 4  solver sgd(lr: 0.1)  steps 10 }
`
const merged: Variant = { name: 'merged', bundle: compile(NET, { targets: ['wasm'] }), sameNet: true }
const other: Variant = { name: 'other', bundle: compile(NET.replace('relu', 'tanh'), { targets: ['wasm'] }), sameNet: true }

async function measured(variants: readonly Variant[], options: Partial<BenchOptions> = {}) {
  const device = await wasm({ threads: 1 })
  try {
    return await bench(variants, { device, batch: 4, programs: ['infer', 'train'], rounds: 2, atLeastMs: 0, warmUpMs: 0, ...options })
  } finally {
    device.close()
  }
}

describe('bench', () => {
  test('a net that computes something else is told, in inference and in training', async () => {
    for (const { contestants } of await measured([merged, other])) {
      expect(contestants.map((c) => [c.name, c.wrong])).toEqual([['merged', false], ['other', true]])
      expect(contestants[1]!.difference!.worst).toBeGreaterThan(0.01)
    }
  })

  test('stopped, it gives what there is: of the first round, and of no further program', async () => {
    let count = 0
    const reports = await measured([merged, { ...merged, name: 'again' }], {
      rounds: 5,
      stopped: () => count >= 3,
      onMeasured: () => {
        count++
      },
    })
    expect(reports).toHaveLength(1)
    expect(reports[0]).toMatchObject({ program: 'infer', stopped: true })
    expect(reports[0]!.contestants.map((c) => c.times.length)).toEqual([2, 1])
  })

  test('gradients of several batches are added up before an update: three times the work', async () => {
    const adding: Variant = { ...merged, bundle: compile(NET.replace('batch 4', 'batch 4 accumulate 3'), { targets: ['wasm'] }) }
    const [once, thrice] = [await measured([merged], { programs: ['train'] }), await measured([adding], { programs: ['train'] })]
    const flopsOf = ([report]: typeof once): number => report!.flops
    // The update itself is done once.
    expect(flopsOf(thrice) / flopsOf(once)).toBeGreaterThan(2.5)
    expect(flopsOf(thrice) / flopsOf(once)).toBeLessThanOrEqual(3)
  })

  test('a peer that fails while it is measured is out; the others go on, and its reason is told', async () => {
    let calls = 0
    const opened: OpenPeer = {
      name: 'peer',
      version: '1',
      results: {},
      close() {},
      measure: async () => {
        if (++calls > 2) throw new Error('no memory\nmore')
        return 5
      },
    }
    const [report] = await measured([merged], {
      programs: ['infer'],
      rounds: 4,
      peers: [{ name: 'peer', programs: ['infer'], open: async () => opened }, {
        name: 'gone',
        programs: ['infer'],
        open: async () => {
          throw new Error('not installed')
        },
      }],
    })
    expect(report!.notes).toEqual(['gone: not installed', 'peer: no memory'])
    expect(report!.contestants.map((c) => [c.name, c.times.length])).toEqual([['merged', 4], ['peer', 1]])
    // It gave no results, so they are not those of the net.
    expect(report!.contestants[1]!.wrong).toBe(true)
  })
})

test('turns are taken A B C A B C', async () => {
  const seen: string[] = []
  const subject = (name: string) => ({ name, measure: async () => seen.push(name) })
  const times = await timeInterleaved(['A', 'B', 'C'].map(subject), { rounds: 2, atLeastMs: 0 })
  expect(seen.join('')).toBe('ABCABC')
  expect(times).toEqual([[1, 4], [2, 5], [3, 6]])
})

describe('differences', () => {
  test('the largest over the largest', () => {
    expect(largestDifference([1, 2, -3.5], [1, 2, -4])).toBeCloseTo(0.5 / 4, 12)
    expect(compareResults({ a: [1], b: [2] }, { a: [1], b: [4] }, largestDifference)).toEqual({ worst: 0.5, at: 'b' })
  })

  test('NaN, and what is missing, is infinitely far; equal infinities are equal', () => {
    expect(largestDifference([NaN], [1])).toBe(Infinity)
    expect(largestDifference([Infinity, 1], [Infinity, 1])).toBe(0)
    expect(compareResults({}, { a: [1] }, largestDifference).worst).toBe(Infinity)
    expect(compareResults({ a: [1, 2] }, { a: [1] }, largestDifference).worst).toBe(Infinity)
  })
})

describe('differences beyond noise', () => {
  // Of two gradients one is 1, the other 0 in exact arithmetic.
  const want = { real: [0.6, 0.8], zero: [3e-7, -4e-7] }
  const noise = { real: 1e-6, zero: 6e-7 }
  const of = (got: Record<string, readonly number[]>) => differenceBeyondNoise(got, want, [noise], normOf, 1e-2)
  test('what is nothing but noise is not compared by its own size', () => {
    expect(of({ real: [0.6, 0.8], zero: [-4e-7, 3e-7] }).worst).toBeLessThan(1e-2)
    // Nor is it where one of the two has it as exactly 0.
    expect(differenceBeyondNoise({ ...want, zero: [0, 0] }, want, [noise, { real: 0, zero: 0 }], normOf, 1e-2).worst).toBeLessThan(1e-2)
  })
  test('what is larger than noise is wrong, small as it may be among others', () => {
    expect(of({ ...want, zero: [3e-4, 0] })).toMatchObject({ at: 'zero' })
    expect(of({ ...want, zero: [3e-4, 0] }).worst).toBeGreaterThan(1e-2)
    expect(of({ ...want, real: [0.62, 0.8] }).worst).toBeCloseTo(0.02, 6)
    for (const broken of [{ ...want, real: [NaN, 0.8] }, { real: want.real }, { ...want, zero: [0] }])
      expect(of(broken).worst).toBe(Infinity)
  })
  test('noise is the largest change that was seen', () => {
    expect(noiseOf({ a: [1, 2] }, [{ a: [1, 2.5] }, { a: [1.25, 2] }], normOf)).toEqual({ a: 0.5 })
    const values = Float32Array.from({ length: 100 }, (_, i) => i - 50)
    const other = shaken(values, 'x', 1)
    expect(other).not.toEqual(values)
    for (const [i, v] of other.entries()) expect(Math.abs(v - values[i]!)).toBeLessThanOrEqual(Math.abs(values[i]!) * 4.1e-6)
    expect(shaken(Int32Array.of(1, 2), 'label', 1)).toEqual(Int32Array.of(1, 2))
  })
})

describe('a bench of a net with gradients that are 0 in exact arithmetic', () => {
  // beta1 and the second convolution's bias cancel in the normalization behind them, but for the edge.
  const text = `net zeros { input x: f32[2, 6, 6] input label: class[3]
    logits = x -> conv(4, 3) as conv1 -> batch_norm as bn1 -> conv(6, 1) as conv2 -> batch_norm as bn2 -> relu -> fc(3) as last
    loss = softmax_loss(logits, label) }
  train { batch 4 solver sgd(lr: 0.1, weight_decay: 0) steps 10 }`
  const variant = (name: string, changed: string, style: 'merged' | 'split' = 'merged'): Variant => ({
    name,
    bundle: compile(changed, { targets: ['wasm'], style, programs: ['train', 'eval', 'infer'] }),
    sameNet: true,
  })
  test('split is right, and what is off by little in a small place is wrong', async () => {
    const [report] = await measured([
      variant('merged', text),
      variant('split', text, 'split'),
      // One bias moves by 3 % too much; a normalization has another eps.
      variant('bias', text.replace('fc(3)', 'fc(3, lr_mult: [1, 1.03])')),
      variant('eps', text.replace('batch_norm as bn2', 'batch_norm(eps: 0.1) as bn2')),
    ], { programs: ['train'], rounds: 1 })
    expect(report!.contestants.map((c) => [c.name, c.wrong])).toEqual([['merged', false], ['split', false], ['bias', true], ['eps', true]])
    expect(report!.contestants[2]!.difference!.at).toBe('the move of last.bias')
  })
})

test('what is synthetic depends on names and seeds alone', () => {
  const { inputs } = merged.bundle.manifest
  expect(syntheticInputs(inputs, 4, 1)).toEqual(syntheticInputs(inputs.toReversed(), 4, 1))
  expect(syntheticInputs(inputs, 4, 1)['x']).not.toEqual(syntheticInputs(inputs, 4, 2)['x'])
  expect(Math.max(...syntheticInputs(inputs, 100, 1)['label']!)).toBe(2)
  const weights = syntheticWeights(merged.bundle, 1)
  // Those that start with constants: the rest starts by its initializer.
  expect([...weights.keys()].sort()).toEqual(['bn1.beta', 'bn1.gamma', 'bn1.running_mean', 'bn1.running_var', 'conv1.bias', 'fc_1.bias'])
  expect(Math.min(...weights.get('bn1.running_var')!.data as Float32Array)).toBeGreaterThanOrEqual(1)
})

test('the median of an even number is between the two', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5)
})
