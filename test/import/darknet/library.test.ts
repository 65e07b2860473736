import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { wasm } from '../../../runtime/index.ts'
import { bytesSource, writeNet } from '../../../import/index.ts'
import { normals, openCfg, randomWeights, readProblems, readText } from './cfg-net.ts'
import { type Answer, askDarknet, CFG_FOLDER, darknetIsHere, smallCfg, type Small } from './library.ts'

/** Nets of the package, made small; `raw`: the section whose input is compared, where Darknet's last section computes more. */
const NETS: readonly (readonly [string, Small])[] = [
  // Concatenations, nearest upsampling, a pooling of stride 1 that is padded at the end; up to the map of the second detector.
  ['yolov3-tiny.cfg', { size: 64, divide: 16, upTo: 23 }],
  // The reorganisation of pixels to channels.
  ['yolov2-voc.cfg', { size: 64, divide: 16, upTo: 31 }],
  // Sums with maps of another size and another number of channels.
  ['resnet18.cfg', { size: 64, divide: 8 }],
  // Groups.
  ['resnext50.cfg', { size: 64, divide: 4, upTo: 24 }],
  // The middle of a larger picture, ramps, inner products.
  ['strided.cfg', { size: 132, divide: 8 }],
  // Inner products behind large strides.
  ['alexnet.cfg', { size: 227, divide: 16 }],
]

describe.skipIf(!darknetIsHere)("nets of Darknet's package against its library", () => {
  test('all nets are read but those of recurrent kinds and [local]', () => {
    const refused = Object.fromEntries(
      readdirSync(CFG_FOLDER).filter((name) => name.endsWith('.cfg')).flatMap((name) => {
        const problems = readProblems(readFileSync(join(CFG_FOLDER, name), 'utf8'))
        return problems.length > 0 ? [[name, problems.map((problem) => /\[(\w+)\]/.exec(problem)?.[1])]] : []
      }),
    )
    expect(refused).toEqual({
      'gru.cfg': ['gru', 'gru', 'gru'],
      'rnn.cfg': ['rnn', 'rnn', 'rnn'],
      'rnn.train.cfg': ['rnn', 'rnn', 'rnn'],
      'yolov1.cfg': ['local'],
    })
  })

  let answers: Answer[] | undefined
  const asked = NETS.map(([name, small], seed) => {
    const cfg = darknetIsHere ? smallCfg(name, small) : ''
    return {
      cfg,
      weights: darknetIsHere ? randomWeights(cfg, seed + 1) : new Uint8Array(),
      input: normals(3 * small.size ** 2, seed + 50).map((x) => 0.5 + 0.2 * x),
    }
  })

  test.each(NETS.map(([name], i) => [name, i] as const))('%s gives the same numbers', async (_, i) => {
    answers ??= askDarknet(asked)
    const { cfg, weights, input } = asked[i]!
    const { net, written } = await openCfg(cfg, weights, { device: await wasm({ threads: 1 }) })
    const output = written.outputs.findLast(({ kind }) => kind === 'output')!.name
    const ours = (await net.run({ image: input } as never) as Record<string, Float32Array>)[output]!
    net.close()
    expectNear(ours, answers[i]!.output, 2e-5)
  })
})

/** Two updates on one batch, with momentum, decay and subdivisions: every parameter behind them, as a share of the largest change. */
describe.skipIf(!darknetIsHere)('training steps against those of Darknet', () => {
  test.each([
    ['without normalization', 'alexnet.cfg', { size: 227, divide: 32, batch: 2, subdivisions: 2 }, 5e-5],
    // The variance of a batch is divided by N - 1 there and by N here; the fewest values of a channel are N = 16 x 14 x 14.
    [
      'with normalization',
      'cifar.cfg',
      { size: 28, divide: 16, batch: 16, subdivisions: 1, without: [1, 2, 4, 6, 7, 8, 9, 10, 11, 12] },
      5e-3,
    ],
  ])('%s: %s', async (_, name, small, share) => {
    const cfg = smallCfg(name, small)
    const weights = randomWeights(cfg, 7)
    const samples = small.batch / small.subdivisions
    const input = normals(samples * 3 * small.size ** 2, 11)
    const { net, written } = await openCfg(cfg, weights, {
      batch: samples,
      programs: ['train', 'accumulate'],
      device: await wasm({ threads: 1 }),
    })
    const classes = written.inputs.length
    expect(classes).toBe(2)
    const count = net.manifest.inputs.find(({ name: input }) => input === 'label')!.classes as number
    const label = Int32Array.from({ length: samples }, (__, i) => (5 * i + 1) % count)
    const truth = new Float32Array(samples * count)
    for (const [i, c] of label.entries()) truth[i * count + c] = 1
    const [answer] = askDarknet([{ cfg, weights, input, truth, updates: 2 }])

    for (let update = 0; update < 2; update++) {
      const parts = Array.from({ length: small.subdivisions }, () => ({ image: input, label }))
      await net.trainStep(parts as never)
    }
    const trained = await net.parameters()
    net.close()
    const theirs = writeNet(readText(cfg, { weights: bytesSource('trained.weights', answer!.trained) }))
    for (const [i, { name: parameter, tensor }] of theirs.tensors.entries()) {
      const [ours, want, before] = [trained.get(parameter)!.data as Float32Array, tensor.values(), written.tensors[i]!.tensor.values()]
      const change = want.reduce((largest, w, at) => Math.max(largest, Math.abs(w - before[at]!)), 0)
      const apart = want.reduce((largest, w, at) => Math.max(largest, Math.abs(w - ours[at]!)), 0)
      expect.soft([parameter, change > 0, apart / change < share]).toEqual([parameter, true, true])
    }
  })
})

/** Within a share of the largest. */
export function expectNear(ours: ArrayLike<number>, theirs: ArrayLike<number>, share: number): void {
  expect(ours.length).toBe(theirs.length)
  let largest = 0
  let worst = 0
  for (let i = 0; i < ours.length; i++) {
    largest = Math.max(largest, Math.abs(theirs[i]!))
    worst = Math.max(worst, Math.abs(ours[i]! - theirs[i]!))
  }
  expect(largest).toBeGreaterThan(0)
  expect(worst / largest).toBeLessThan(share)
}
