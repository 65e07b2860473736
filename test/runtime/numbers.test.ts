import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CallEntry, Initializer, TrainEntry } from '../../bundle/format.ts'
import { initialValues } from '../../runtime/initializers.ts'
import { hashName, naturalLog, permutation, stream, threefry } from '../../runtime/random.ts'
import { type Horizon, inSteps, isDue, rateAt, scalarsAt, scheduleFactor } from '../../bundle/learning-rate.ts'

describe('random numbers', () => {
  // Known answers of Random123 (kat_vectors, threefry2x32 with 20 rounds).
  test.each([
    [[0, 0], [0, 0], [0x6b200159, 0x99ba4efe]],
    [[0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], [0x1cb996fc, 0xbb002be7]],
    [[0x243f6a88, 0x85a308d3], [0x13198a2e, 0x03707344], [0xc4923a9c, 0x483df7a0]],
  ])('threefry of counter %j, key %j', (counter, key, want) => {
    expect(threefry(key[0]!, key[1]!, counter[0]!, counter[1]!)).toEqual(want)
  })

  test('FNV-1a of known texts', () => {
    expect(hashName('')).toBe(0x811c9dc5)
    expect(hashName('a')).toBe(0xe40c292c)
    expect(hashName('foobar')).toBe(0xbf9cf968)
  })

  test('the logarithm is that of Math to the last bits', () => {
    fc.assert(fc.property(fc.double({ min: 1e-18, max: 1, minExcluded: true, maxExcluded: true, noNaN: true }), (x) => {
      // Near 1 the result is small: 1 unit of the larger of both.
      expect(Math.abs(naturalLog(x) - Math.log(x))).toBeLessThanOrEqual(4e-16 * Math.max(Math.abs(Math.log(x)), 1e-3))
    }))
  })

  test('uniform and gaussian have their moments', () => {
    const random = stream(3, 'moments')
    const count = 40_000
    const moments = (at: (i: number) => number): number[] =>
      [1, 2, 3, 4].map((power) => {
        let sum = 0
        for (let i = 0; i < count; i++) sum += at(i) ** power
        return sum / count
      })
    const near = (got: number[], want: number[], deviations: number[]): void =>
      got.forEach((v, i) => expect(Math.abs(v - want[i]!)).toBeLessThan((4 * deviations[i]!) / Math.sqrt(count)))
    near(moments((i) => random.uniform(i)), [1 / 2, 1 / 3, 1 / 4, 1 / 5], [0.29, 0.3, 0.29, 0.27])
    // Deviations of g, g^2, g^3, g^4 are 1, sqrt 2, sqrt 15, sqrt 96.
    near(moments((i) => random.gaussian(i)), [0, 1, 0, 3], [1, 1.42, 3.88, 9.8])
  })

  test('a permutation holds each index once, and follows seed and epoch', () => {
    fc.assert(fc.property(fc.nat(200), fc.integer(), fc.nat(50), (length, seed, epoch) => {
      expect([...permutation(length, seed, epoch)].sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, i) => i))
      expect(permutation(length, seed, epoch)).toEqual(permutation(length, seed, epoch))
    }))
    expect(permutation(50, 1, 0)).not.toEqual(permutation(50, 1, 1))
    expect(permutation(50, 1, 0)).not.toEqual(permutation(50, 2, 0))
  })
})

describe('initial values', () => {
  const fill = (initializer: Initializer, shape: number[], name = 'w', seed = 1): Float32Array =>
    initialValues({ name, shape, initializer }, seed)

  test('follow seed and name, element by element', () => {
    const gaussian = { kind: 'gaussian', mean: 0, deviation: 1 } as const
    expect(fill(gaussian, [4, 5]).subarray(0, 7)).toEqual(fill(gaussian, [7]))
    expect(fill(gaussian, [9], 'v')).not.toEqual(fill(gaussian, [9]))
    expect(fill(gaussian, [9], 'w', 2)).not.toEqual(fill(gaussian, [9]))
  })

  test('uniform stays below its end, also in float32', () => {
    const values = fill({ kind: 'uniform', low: 1, high: 1 + 2 ** -22 }, [2000])
    expect(values.every((v) => v >= 1 && v < 1 + 2 ** -22)).toBe(true)
    expect(new Set(values).size).toBe(2) // float32 has 2 numbers there
  })

  // Long, Shelhamer & Darrell 2015: a tent of width k, whose steps for k = 4 are 1/4 and 3/4, for k = 3 1/2 and 1.
  test.each([[4, [0.25, 0.75, 0.75, 0.25]], [3, [0.5, 1, 0.5]]])('bilinear of %s', (k, tent) => {
    const values = fill({ kind: 'bilinear' }, [2, 1, k, k])
    const plane = tent.flatMap((a) => tent.map((b) => a * b))
    expect([...values]).toEqual([...plane, ...plane])
  })
})

describe('schedules', () => {
  const at = (call: string, args: Record<string, unknown>, t: number, horizon: Horizon = {}): number =>
    scheduleFactor([{ call, args }], t, horizon)
  const epochs = (count: number): unknown => ({ count, unit: 'epochs' })

  // Caffe's SGDSolver::GetLearningRate, worked out by hand.
  test.each<[string, Record<string, unknown>, number, number]>([
    ['fixed', {}, 1000, 1],
    ['step', { gamma: 0.5, every: 10 }, 9, 1],
    ['step', { gamma: 0.5, every: 10 }, 10, 0.5],
    ['step', { gamma: 0.5, every: 10 }, 35, 0.125],
    ['multistep', { gamma: 0.1, at: [5, 6, 15] }, 4, 1],
    ['multistep', { gamma: 0.1, at: [5, 6, 15] }, 5, 0.1],
    ['multistep', { gamma: 0.1, at: [5, 6, 15] }, 6, 0.01],
    ['exp', { gamma: 0.5 }, 3, 0.125],
    ['inv', { gamma: 1, power: 2 }, 3, 1 / 16],
    ['poly', { power: 2 }, 25, 9 / 16],
    ['poly', { power: 2 }, 100, 0],
    ['poly', { power: 2 }, 120, 0],
    ['poly', { power: 1, max_iter: 50 }, 25, 0.5],
    ['sigmoid', { gamma: 1, step: 50 }, 50, 0.5],
    ['cosine', {}, 0, 1],
    ['cosine', {}, 50, 0.5],
    ['cosine', {}, 100, 0],
    ['warmup', { steps: 4 }, 0, 0.25],
    ['warmup', { steps: 4 }, 3, 1],
    ['warmup', { steps: 4 }, 50, 1],
  ])('%s %j at %s', (call, args, t, want) => {
    expect(at(call, args, t, { totalSteps: 100 })).toBeCloseTo(want, 14)
  })

  test('epochs become steps; without a dataset they never end', () => {
    expect(at('step', { gamma: 0.1, every: epochs(2) }, 20, { stepsPerEpoch: 10 })).toBeCloseTo(0.1)
    expect(at('multistep', { gamma: 0.1, at: [epochs(1), epochs(2)] }, 20, { stepsPerEpoch: 10 })).toBeCloseTo(0.01)
    expect(at('step', { gamma: 0.1, every: epochs(2) }, 1e9)).toBe(1)
    expect(at('poly', { power: 2 }, 1e9)).toBe(1)
    // What rises up to an epoch that nobody knows would be 0 for ever.
    expect(at('warmup', { n: epochs(1) }, 0)).toBe(1)
    expect(at('sigmoid', { gamma: 1, step: epochs(1) }, 3)).toBe(1)
    expect(at('sigmoid', { gamma: -1, step: epochs(1) }, 3)).toBe(1)
  })

  // 781 updates an epoch: 50000 pictures in batches of 64. Half an epoch is 390.5 updates, so the 391st is behind it.
  test('parts of epochs, and updates beside epochs', () => {
    const day = { stepsPerEpoch: 781, totalSteps: 7810 }
    const drops = (call: string, args: Record<string, unknown>, t: number): number =>
      Math.abs(Math.round(Math.log10(at(call, args, t, day))))
    const marks = { gamma: 0.1, at: [epochs(0.5), 500, epochs(1)] }
    expect([390, 391, 499, 500, 780, 781].map((t) => drops('multistep', marks, t))).toEqual([0, 1, 1, 2, 2, 3])
    expect([390, 391, 780, 781, 1171, 1172].map((t) => drops('step', { gamma: 0.1, every: epochs(0.5) }, t))).toEqual([0, 1, 1, 2, 2, 3])
    expect(at('sigmoid', { gamma: 1, step: epochs(2) }, 1562, day)).toBe(0.5)
    expect(at('warmup', { n: epochs(0.5) }, 194, day)).toBeCloseTo(195 / 390.5, 12)
    expect(at('poly', { power: 1, max_iter: epochs(5) }, 781, day)).toBeCloseTo(0.8, 12)
    expect(at('cosine', { max_iter: epochs(2) }, 781, day)).toBeCloseTo(0.5, 12)
  })

  test('what is due every so often: with the first update behind it, as often as it fits', () => {
    const due = (every: unknown, stepsPerEpoch: number, steps: number): number[] =>
      Array.from({ length: steps }, (_, i) => i + 1).filter((step) => isDue(step, inSteps(every, { stepsPerEpoch })))
    expect(due(3, 10, 10)).toEqual([3, 6, 9])
    expect(due(epochs(1), 4, 9)).toEqual([4, 8])
    expect(due(epochs(0.5), 5, 15)).toEqual([3, 5, 8, 10, 13, 15])
    // 0.07 * 100 is 7.000000000000001.
    expect(due(epochs(0.07), 100, 15)).toEqual([7, 14])
    expect(due(epochs(0.1), 3, 3)).toEqual([1, 2, 3])
    expect(due(undefined, 3, 3)).toEqual([])
  })

  const train = (solver: CallEntry, schedule: CallEntry[]): TrainEntry => ({
    augment: [],
    solver,
    schedule,
    batch: 1,
    seed: 1,
    accumulate: 1,
  })

  test('warmup multiplies what follows it', () => {
    const entry = train({ call: 'sgd', args: { lr: 2 } }, [{ call: 'warmup', args: { steps: 10 } }, { call: 'exp', args: { gamma: 0.5 } }])
    expect(rateAt(entry, 1)).toBeCloseTo(2 * 0.2 * 0.5, 14)
  })

  test('a schedule up to the end knows the length in the file, where single steps are taken, and a longer one that is asked for', () => {
    const schedule = [{ call: 'poly', args: { power: 1 } }]
    const entry = { ...train({ call: 'sgd', args: { lr: 2 } }, schedule), steps: 8 }
    expect([0, 2, 8, 9].map((t) => rateAt(entry, t))).toEqual([2, 1.5, 0, 0])
    expect(rateAt(entry, 2, { stepsPerEpoch: 4 })).toBe(1.5)
    expect(rateAt(entry, 2, { totalSteps: 16 })).toBe(1.75)
    expect(rateAt({ ...train(entry.solver, schedule), epochs: 2 }, 2)).toBe(2)
  })

  test('only Adam is corrected', () => {
    expect(scalarsAt(train({ call: 'adam', args: {} }, []), 0, 1, 0.1)).toMatchObject({
      correction1: expect.closeTo(0.1, 14),
      correction2: expect.closeTo(0.001, 14),
    })
    expect(scalarsAt(train({ call: 'sgd', args: { beta1: 0.5 } }, []), 5, -1, 0.1)).toEqual({
      step: 5,
      seed: 0xffffffff,
      rate: 0.1,
      correction1: 1,
      correction2: 1,
    })
  })

  test('an unknown schedule', () => {
    expect(() => at('sometimes', {}, 0)).toThrow(/no schedule sometimes/)
    expect(() => at('constructor', {}, 0)).toThrow(/no schedule constructor/)
  })
})
