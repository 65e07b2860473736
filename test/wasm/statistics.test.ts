import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, inspectManifest } from '../../compiler/index.ts'
import { type Device, open, wasm } from '../../runtime/index.ts'
import { normals } from '../support/random-net.ts'

/** Mean and variance of what a convolution stores, taken on the way, against sums in float64: of values that are hard on float32. */

let cpu: Device
beforeAll(async () => {
  cpu = await wasm({ threads: 1 })
})
afterAll(() => cpu.close())

const BATCH = 3

/** A convolution whose weights are the identity, so that statistics are of the input itself; the newest batch's are kept. */
async function statisticsOf(
  x: Float32Array,
  channels: number,
  side: number,
  groups: number,
): Promise<{ readonly mean: ArrayLike<number>; readonly variance: ArrayLike<number> }> {
  const bundle = compile(
    `net n {
      input x: f32[${channels}, ${side}, ${side}]
      y = x -> conv(${channels}, 1, groups: ${groups}, bias: false) as c -> batch_norm(stats: moving(newest: 1)) as norm
      output out = y
      loss = sum(y)
    } train { solver sgd(lr: 0) batch ${BATCH} }`,
    { targets: ['wasm'], programs: ['train'] },
  )
  const names = inspectManifest(bundle.manifest, 'wasm', BATCH).programs['train']!.kernels.map((k) => k.name)
  expect(names.filter((name) => name.endsWith('moments')), 'statistics have no pass of their own').toEqual([])
  const inGroup = channels / groups
  const identity = Float32Array.from({ length: channels * inGroup }, (_, i) => (Math.floor(i / inGroup) % inGroup === i % inGroup ? 1 : 0))
  const net = await open(bundle, {
    device: cpu,
    batch: BATCH,
    programs: ['train'],
    weights: new Map([['c.weight', { type: 'f32' as const, shape: [channels, inGroup, 1, 1], data: identity }]]),
    partial: true,
  })
  await net.trainStep({ x }, { keepGoing: true })
  const { tensors } = await net.snapshot()
  net.close()
  const values = (name: string): ArrayLike<number> => tensors.get(name)!.data as Float32Array
  return { mean: values('norm.running_mean'), variance: values('norm.running_var') }
}

/** Values of one kind; `z` is normal. */
const KINDS: Readonly<Record<string, (z: number, i: number, points: number) => number>> = {
  'normal values': (z) => z,
  'a mean of ten thousand deviations': (z) => 1e4 + z,
  'a mean of a million and steps of its last place': (z) => 1e6 + Math.round(z * 4) / 16,
  'an outlier that comes first': (z, i, points) => (i % points === 0 ? 1000 : z),
  'an outlier in the middle': (z, i, points) => (i % points === 5 ? 1000 : z),
  'one value': () => 0.1,
}

describe.each([[8, 4, 1], [6, 7, 1], [8, 8, 2], [12, 5, 3], [4, 16, 1], [8, 12, 2]])(
  '%i channels on maps of side %i in %i groups',
  (channels, side, groups) => {
    test.each(Object.entries(KINDS))('%s', async (_, kind) => {
      const points = side * side
      const x = Float32Array.from(normals(BATCH * channels * points, 7), (z, i) => kind(z, i, points))
      const { mean, variance } = await statisticsOf(x, channels, side, groups)
      for (let c = 0; c < channels; c++) {
        const own = [...x].filter((_, i) => Math.floor(i / points) % channels === c)
        const m = own.reduce((sum, v) => sum + v, 0) / own.length
        const v = own.reduce((sum, value) => sum + (value - m) ** 2, 0) / own.length
        const farthest = own.reduce((most, value) => Math.max(most, Math.abs(value - m)), 0)
        expect(Math.abs(mean[c]! - m)).toBeLessThanOrEqual(2 ** -23 * Math.abs(m) + 2 ** -22 * farthest)
        // A sum of so many rounded squares, whichever value comes first.
        expect(Math.abs(variance[c]! - v)).toBeLessThanOrEqual(2 ** -22 * own.length ** 0.5 * 8 * v + 1e-30)
      }
    })
  },
)

test('a variance beyond float32 is infinite, and no NaN', async () => {
  const x = Float32Array.from(normals(BATCH * 8 * 16, 7), (z) => 1e25 * z)
  const { mean } = await statisticsOf(x, 8, 4, 1)
  expect(Array.from(mean).every(Number.isFinite)).toBe(true)
})
