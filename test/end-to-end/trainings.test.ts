import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { type Dataset, type Device, holdOut, open, wasm } from '../../runtime/index.ts'
import { loadDataset } from '../../runtime/node.ts'

/**
 * LeNet on MNIST, thin enough to train many times. From one seed both styles start from the same parameters and see the
 * same batches and dropout, so they differ by rounding, which training amplifies until two runs are as far apart as they get.
 */
const text = `
net thin {
  input image: f32[1, 28, 28]
  input label: class[10]
  features = image
    -> conv(4, 5) -> batch_norm -> relu -> max_pool(2)
    -> conv(8, 5) -> batch_norm -> relu -> max_pool(2)
  logits = features -> fc(32) -> batch_norm -> relu -> dropout(0.2) -> fc(10)
  output prob     = softmax(logits)
  loss            = softmax_loss(logits, label)
  metric accuracy = accuracy(logits, label)
}
train { batch 32 solver sgd(lr: 0.02, momentum: 0.9, weight_decay: 5e-4) }`
const SEEDS = [1, 2, 3, 4, 5, 6]
const STEPS = 350
/** Samples of the test set: their noise is the same for both styles. */
const TESTED = 2000

interface Run {
  readonly losses: readonly number[]
  /** What a training ends with: training loss over its last fifth, loss and accuracy on the test set. */
  readonly end: Readonly<Record<'loss' | 'testLoss' | 'accuracy', number>>
}

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length
const variance = (values: readonly number[]): number => {
  const m = mean(values)
  return values.reduce((sum, v) => sum + (v - m) ** 2, 0) / (values.length - 1)
}

describe(`${STEPS} steps on MNIST from ${SEEDS.length} seeds, merged and split`, () => {
  let device: Device
  let samples: { readonly train: Dataset; readonly test: Dataset }
  const runs: Record<'merged' | 'split', Run[]> = { merged: [], split: [] }

  beforeAll(async () => {
    device = await wasm({ threads: 1 })
    samples = { train: await loadDataset('mnist'), test: (await holdOut(await loadDataset('mnist', { split: 'test' }), TESTED)).held }
    for (const style of ['merged', 'split'] as const) {
      const bundle = compile(text, { style, targets: ['wasm'] })
      for (const seed of SEEDS) runs[style].push(await training(bundle, seed))
    }
  })
  afterAll(() => device.close())

  async function training(bundle: ReturnType<typeof compile>, seed: number): Promise<Run> {
    const net = await open(bundle, { device, seed, programs: ['train', 'eval'] })
    try {
      const losses: number[] = []
      for await (const { loss } of net.train(samples.train, { steps: STEPS })) losses.push(loss)
      const { loss: testLoss, metrics } = await net.evaluate(samples.test)
      return { losses, end: { loss: mean(losses.slice(-STEPS / 5)), testLoss: testLoss!, accuracy: metrics['accuracy']! } }
    } finally {
      net.close()
    }
  }

  test('they learn', () => {
    for (const { end } of [...runs.merged, ...runs.split]) expect(end.accuracy).toBeGreaterThan(0.9)
  })

  /**
   * Of 200 seeds half stay within 4e-7 for ten steps and nine in ten within 6e-7. In one of twenty, a rounding turns a maximum or a rectifier on the
   * way, in one style and not in the other, and from there on losses are up to 3e-3 apart.
   */
  test('they take the same first steps', () => {
    const apart = runs.merged.map(({ losses }, i) =>
      Math.max(...losses.slice(0, 10).map((loss, k) => Math.abs(loss / runs.split[i]!.losses[k]! - 1)))
    )
    expect(apart.filter((x) => x > 1e-6).length, apart.join()).toBeLessThanOrEqual(1)
    expect(Math.max(...apart)).toBeLessThanOrEqual(1e-2)
  })

  describe.each(['loss', 'testLoss', 'accuracy'] as const)('%s at the end', (what) => {
    const ends = (style: 'merged' | 'split'): number[] => runs[style].map(({ end }) => end[what])

    // The standard error of a difference of two means of independent runs; pairing by seed only makes the real one smaller.
    test('means are apart by no more than 2 standard errors of what the seed does', () => {
      const [merged, split] = [ends('merged'), ends('split')]
      const standardError = Math.sqrt((variance(merged) + variance(split)) / SEEDS.length)
      console.log(`${what}: merged ${mean(merged).toFixed(4)}, split ${mean(split).toFixed(4)}, standard error ${standardError.toFixed(4)}`)
      expect(Math.abs(mean(merged) - mean(split))).toBeLessThanOrEqual(2 * standardError)
    })

    // Of two seeds the mean squared difference is twice the variance.
    test('the styles of one seed are no further apart than two seeds of one style', () => {
      const [merged, split] = [ends('merged'), ends('split')]
      const squared = mean(merged.map((m, i) => (m - split[i]!) ** 2))
      expect(squared).toBeLessThanOrEqual(variance(merged) + variance(split))
    })
  })
})
