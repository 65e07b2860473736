import { describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { bench, type BenchOptions, type OpenPeer, type Variant } from '../../measure/bench.ts'
import { compareResults, differenceOfNorms, largestDifference } from '../../measure/compare.ts'
import { madeUpInputs, madeUpWeights } from '../../measure/made-up.ts'
import { median, takeTurns } from '../../measure/turns.ts'
import { wasm } from '../../runtime/wasm.ts'

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
    const reports = await measured([merged, { ...merged, name: 'again' }], { rounds: 5, stopped: () => count >= 3, onMeasured: () => { count++ } })
    expect(reports).toHaveLength(1)
    expect(reports[0]).toMatchObject({ program: 'infer', stopped: true })
    expect(reports[0]!.contestants.map((c) => c.times.length)).toEqual([2, 1])
  })

  test('a peer that fails while it is measured is out; the others go on, and its reason is told', async () => {
    let calls = 0
    const opened: OpenPeer = {
      name: 'peer', version: '1', results: {}, close() {},
      measure: async () => { if (++calls > 2) throw new Error('no memory\nmore'); return 5 },
    }
    const [report] = await measured([merged], {
      programs: ['infer'], rounds: 4,
      peers: [{ name: 'peer', programs: ['infer'], open: async () => opened }, { name: 'gone', programs: ['infer'], open: async () => { throw new Error('not installed') } }],
    })
    expect(report!.notes).toEqual(['gone: not installed', 'peer: no memory'])
    expect(report!.contestants.map((c) => [c.name, c.times.length])).toEqual([['merged', 4], ['peer', 1]])
    // It gave no results, so they are not those of the net.
    expect(report!.contestants[1]!.wrong).toBe(true)
  })
})

test('turns are taken A B C A B C', async () => {
  const seen: string[] = []
  const contestant = (name: string) => ({ name, measure: async () => seen.push(name) })
  const times = await takeTurns(['A', 'B', 'C'].map(contestant), { rounds: 2, atLeastMs: 0 })
  expect(seen.join('')).toBe('ABCABC')
  expect(times).toEqual([[1, 4], [2, 5], [3, 6]])
})

describe('differences', () => {
  test('the largest over the largest, and norm over norm', () => {
    expect(largestDifference([1, 2, -3.5], [1, 2, -4])).toBeCloseTo(0.5 / 4, 12)
    expect(differenceOfNorms([3, 4, 1], [3, 4, 0])).toBeCloseTo(1 / 5, 12)
    expect(compareResults({ a: [1], b: [2] }, { a: [1], b: [4] }, largestDifference)).toEqual({ worst: 0.5, at: 'b' })
  })

  test('NaN, and what is missing, is infinitely far; equal infinities are equal', () => {
    expect(largestDifference([NaN], [1])).toBe(Infinity)
    expect(differenceOfNorms([NaN], [1])).toBe(Infinity)
    expect(largestDifference([Infinity, 1], [Infinity, 1])).toBe(0)
    expect(compareResults({}, { a: [1] }, largestDifference).worst).toBe(Infinity)
    expect(compareResults({ a: [1, 2] }, { a: [1] }, largestDifference).worst).toBe(Infinity)
  })
})

test('what is made up depends on names and seeds alone', () => {
  const { inputs } = merged.bundle.manifest
  expect(madeUpInputs(inputs, 4, 1)).toEqual(madeUpInputs(inputs.toReversed(), 4, 1))
  expect(madeUpInputs(inputs, 4, 1)['x']).not.toEqual(madeUpInputs(inputs, 4, 2)['x'])
  expect(Math.max(...madeUpInputs(inputs, 100, 1)['label']!)).toBe(2)
  const weights = madeUpWeights(merged.bundle, 1)
  // Those that start with constants: the rest starts by its initializer.
  expect([...weights.keys()].sort()).toEqual(['bn1.beta', 'bn1.gamma', 'bn1.running_mean', 'bn1.running_var', 'conv1.bias', 'fc_1.bias'])
  expect(Math.min(...weights.get('bn1.running_var')!.data as Float32Array)).toBeGreaterThanOrEqual(1)
})

test('the median of an even number is between the two', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5)
})
