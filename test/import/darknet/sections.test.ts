import { describe, expect, test } from 'vitest'
import { normals, openCfg, randomWeights, readText, weightsFile } from './cfg-net.ts'

type Numbers = ArrayLike<number>
type Map3 = readonly [c: number, h: number, w: number]

const NET = ([c, h, w]: Map3, more = ''): string => `[net]\nchannels=${c}\nheight=${h}\nwidth=${w}\n${more}\n`
const times = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)
const input = (map: Map3): Float32Array => normals(times(map), times(map))

/** What a text gives for an input, by the float64 interpreter. */
async function outputOf(cfg: string, x: Float32Array, weights?: Uint8Array): Promise<Numbers> {
  const { net } = await openCfg(cfg, weights)
  const outputs = await net.run({ image: x } as never) as unknown as Record<string, Float64Array>
  net.close()
  return Object.values(outputs)[0]!
}

const expectEqual = (ours: Numbers, want: Numbers): void => {
  expect(ours.length).toBe(want.length)
  for (let i = 0; i < want.length; i++) expect(Math.abs(ours[i]! - want[i]!)).toBeLessThan(1e-6 * (1 + Math.abs(want[i]!)))
}

/** Loops over indices from 0. */
function each([a, b, c]: Map3, at: (i: number, j: number, k: number) => void): void {
  for (let i = 0; i < a; i++) { for (let j = 0; j < b; j++) { for (let k = 0; k < c; k++) at(i, j, k) } }
}

describe('sections without weights, against loops as Darknet has them', () => {
  test.each(
    [
      ['even', [2, 4, 6], 'size=2\nstride=2'],
      ['a last column of its own', [2, 5, 7], 'size=2\nstride=2'],
      ['stride 1, padded at the end', [2, 5, 5], 'size=2\nstride=1'],
      ['size 3', [1, 7, 6], 'size=3\nstride=2'],
      ['size 5 of stride 1', [1, 6, 6], 'size=5\nstride=1'],
      ['without padding', [1, 7, 8], 'size=3\nstride=2\npadding=0'],
      ['more than it asks', [1, 6, 6], 'size=3\nstride=1\npadding=3'],
      ['on one pixel', [3, 1, 1], 'size=2\nstride=2'],
    ] as const,
  )('maxpool: %s', async (_, map, lines) => {
    const option = (key: string, otherwise: number): number => Number(new RegExp(`${key}=(\\d+)`).exec(lines)?.[1] ?? otherwise)
    const [size, stride] = [option('size', 1), option('stride', 1)]
    const padding = option('padding', size - 1)
    const [c, h, w] = map
    const [outH, outW] = [h, w].map((d) => Math.floor((d + padding - size) / stride) + 1) as [number, number]
    const x = input(map)
    const want = new Float64Array(c * outH * outW)
    each([c, outH, outW], (k, i, j) => {
      let most = -Infinity
      for (let n = 0; n < size; n++) {
        for (let m = 0; m < size; m++) {
          const [row, column] = [i * stride + n - Math.floor(padding / 2), j * stride + m - Math.floor(padding / 2)]
          if (row >= 0 && row < h && column >= 0 && column < w) most = Math.max(most, x[(k * h + row) * w + column]!)
        }
      }
      want[(k * outH + i) * outW + j] = most
    })
    expectEqual(await outputOf(`${NET(map)}[maxpool]\n${lines}`, x), want)
  })

  test.each(
    [
      ['space to depth', [8, 4, 6], 2, ''],
      ['by 3', [9, 3, 6], 3, ''],
      ['reverse', [8, 3, 2], 2, 'reverse=1'],
    ] as const,
  )('reorg: %s', async (_, map, s, lines) => {
    const [c, h, w] = map
    const x = input(map)
    const want = new Float64Array(x.length)
    const part = c / (s * s)
    each([c, h, w], (k, j, i) => {
      const offset = Math.floor(k / part)
      const [row, column] = [j * s + Math.floor(offset / s), i * s + offset % s]
      const here = i + w * (j + h * k)
      const there = column + w * s * (row + h * s * (k % part))
      if (lines) want[there] = x[here]!
      else want[here] = x[there]!
    })
    expectEqual(await outputOf(`${NET(map)}[reorg]\nstride=${s}\n${lines}`, x), want)
  })

  test('reorg: flatten turns channels and pixels, extra puts zeros behind', async () => {
    const x = input([2, 2, 3])
    const turned = Array.from({ length: 12 }, (_, i) => x[(i % 2) * 6 + Math.floor(i / 2)]!)
    expectEqual(await outputOf(`${NET([2, 2, 3])}[reorg]\nflatten=1`, x), turned)
    expectEqual(await outputOf(`${NET([2, 2, 3])}[reorg]\nextra=4`, x), [...x, 0, 0, 0, 0])
  })

  test.each(
    [
      ['twice, scaled', [2, 2, 3], 'stride=2\nscale=0.5'],
      ['sums of squares', [2, 4, 6], 'stride=-2'],
    ] as const,
  )('upsample: %s', async (_, map, lines) => {
    const [c, h, w] = map
    const x = input(map)
    if (lines.includes('-2')) {
      const want = new Float64Array(c * 2 * 3)
      each(map, (k, i, j) => {
        want[(k * 2 + (i >> 1)) * 3 + (j >> 1)]! += x[(k * h + i) * w + j]!
      })
      expectEqual(await outputOf(`${NET(map)}[upsample]\n${lines}`, x), want)
    } else {
      const want = new Float64Array(4 * x.length)
      each([c, 2 * h, 2 * w], (k, i, j) => {
        want[(k * 2 * h + i) * 2 * w + j] = 0.5 * x[(k * h + (i >> 1)) * w + (j >> 1)]!
      })
      expectEqual(await outputOf(`${NET(map)}[upsample]\n${lines}`, x), want)
    }
  })

  test.each(
    [
      ['equal sizes, weighed', [2, 4, 4], '[activation]\nactivation=hardtan\n', 'alpha=0.5\nbeta=2'],
      ['a larger map, fewer channels', [2, 6, 6], '[maxpool]\nsize=2\nstride=2\n[route]\nlayers=-1,-1\n', ''],
      ['a larger map, weighed', [3, 6, 6], '[maxpool]\nsize=3\nstride=3\n[route]\nlayers=-1\ngroups=3\ngroup_id=1\n', 'alpha=0.5\nbeta=3'],
      ['a smaller map', [1, 3, 4], '[upsample]\nstride=2\n[route]\nlayers=-1,-1\n', 'beta=0.5'],
      ['a smaller map, weighed', [2, 3, 3], '[upsample]\nstride=3\n', 'alpha=2\nbeta=0.5'],
      ['sizes that are no multiples', [2, 5, 5], '[maxpool]\nsize=2\nstride=2\npadding=0\n', ''],
    ] as const,
  )('shortcut: %s', async (_, map, between, lines) => {
    const x = input(map)
    const before = await outputOf(`${NET(map)}[activation]\n${between}`, x)
    const cfg = `${NET(map)}[activation]\n${between}[shortcut]\nfrom=0\n${lines}`
    const option = (key: string): number => Number(new RegExp(`${key}=([\\d.]+)`).exec(lines)?.[1] ?? 1)
    const [c1, h1, w1] = map
    const side = (d: number): number =>
      between.includes('stride=3') ? (between.includes('upsample') ? d * 3 : d / 3)
        : between.includes('upsample') ? d * 2 : Math.floor(d / 2)
    const isSame = between.includes('hardtan')
    const [h2, w2] = isSame ? [h1, w1] : [side(h1), side(w1)]
    const c2 = before.length / (h2 * w2)
    const [stride, sample] = [Math.max(1, Math.floor(w1 / w2)), Math.max(1, Math.floor(w2 / w1))]
    const want = Float64Array.from(before)
    each([Math.min(c1, c2), Math.min(h1, h2), Math.min(w1, w2)], (k, j, i) => {
      const out = i * sample + w2 * (j * sample + h2 * k)
      want[out] = option('alpha') * want[out]! + option('beta') * x[i * stride + w1 * (j * stride + h1 * k)]!
    })
    expectEqual(await outputOf(cfg, x), want)
  })

  test('activations, as activations.h has them', async () => {
    const formulas: Record<string, (x: number) => number> = {
      linear: (x) => x,
      logistic: (x) => 1 / (1 + Math.exp(-x)),
      loggy: (x) => 2 / (1 + Math.exp(-x)) - 1,
      relu: (x) => (x > 0 ? x : 0),
      elu: (x) => (x >= 0 ? x : Math.exp(x) - 1),
      selu: (x) => (x >= 0 ? 1.0507 * x : 1.0507 * 1.6732 * (Math.exp(x) - 1)),
      relie: (x) => (x > 0 ? x : 0.01 * x),
      ramp: (x) => (x > 0 ? x : 0) + 0.1 * x,
      leaky: (x) => (x > 0 ? x : 0.1 * x),
      tanh: (x) => (Math.exp(2 * x) - 1) / (Math.exp(2 * x) + 1),
      plse: (x) => (x < -4 ? 0.01 * (x + 4) : x > 4 ? 0.01 * (x - 4) + 1 : 0.125 * x + 0.5),
      hardtan: (x) => Math.min(1, Math.max(-1, x)),
      lhtan: (x) => (x < 0 ? 0.001 * x : x > 1 ? 0.001 * (x - 1) + 1 : x),
      stair: (x) => (Math.floor(x) % 2 === 0 ? Math.floor(x / 2) : x - Math.floor(x) + Math.floor(x / 2)),
      mish: (x) => x * Math.tanh(Math.log(1 + Math.exp(x))),
      swish: (x) => x / (1 + Math.exp(-x)),
      relu6: (x) => Math.min(6, Math.max(0, x)),
    }
    const x = Float32Array.from([-7, -4.5, -3, -1, -0.3, 0.4, 0.9, 1.5, 3, 4.5, 6.5, 9])
    const names = Object.keys(formulas)
    // All of one net: one after the other they read the input, and a route lays them side by side.
    const all = names.map((name) => `[route]\nlayers=0\n[activation]\nactivation=${name}\n`).join('')
    const cfg = `${NET([1, 3, 4])}[empty]\n${all}[route]\nlayers=${Array.from(names.keys(), (i) => 2 + 2 * i).join(',')}`
    expectEqual(await outputOf(cfg, x), names.flatMap((name) => Array.from(x, formulas[name]!)))
    const { notes } = readText(`${NET([1, 3, 4])}[activation]\nactivation=stair`)
    expect(notes).toContainEqual(expect.objectContaining({ kind: 'differs', text: expect.stringContaining('Darknet takes 1 for both') }))
  })

  test('softmax runs over the whole map, by groups and by temperature', async () => {
    const x = input([2, 2, 2])
    const softmax = (values: Numbers, t = 1): number[] => {
      const e = Array.from(values, (v) => Math.exp(v / t))
      return e.map((v) => v / e.reduce((a, b) => a + b))
    }
    expectEqual(await outputOf(`${NET([2, 2, 2])}[softmax]\ntemperature=2`, x), softmax(x, 2))
    expectEqual(await outputOf(`${NET([2, 2, 2])}[softmax]\ngroups=2`, x), [...softmax(x.slice(0, 4)), ...softmax(x.slice(4))])
  })

  test('crop takes the middle, between -1 and 1; route lays unequal maps side by side', async () => {
    const x = input([1, 5, 5])
    expectEqual(await outputOf(`${NET([1, 5, 5])}[crop]\ncrop_height=2\ncrop_width=3`, x), [6, 7, 8, 11, 12, 13].map((i) => 2 * x[i]! - 1))
    const mean = x.reduce((a, b) => a + b) / 25
    expectEqual(await outputOf(`${NET([1, 5, 5])}[avgpool]\n[route]\nlayers=-1\n[l2norm]\n[route]\nlayers=0,2`, x), [mean, Math.sign(mean)])
  })
})

describe('sections with weights', () => {
  test('a normalization adds 1e-6 to the deviation, a variance of 0 too', async () => {
    // Bias, scale, mean, variance; a filter of 1 x 1.
    const variances = [2, 1e-4, 1e-10, 0]
    const weights = weightsFile([1, 2, 3, 4, 0.5, 1, 2, 1, 0.1, 0.2, 0.3, 0.4, ...variances, 1, -1, 2, 1e-3])
    const x = Float32Array.from([0.7])
    const cfg = `${NET([1, 1, 1])}[convolutional]\nbatch_normalize=1\nfilters=4\nsize=1\nactivation=linear`
    const [w, beta, gamma, mean] = [[1, -1, 2, 1e-3], [1, 2, 3, 4], [0.5, 1, 2, 1], [0.1, 0.2, 0.3, 0.4]]
    const want = variances.map((v, i) => gamma[i]! * (w[i]! * x[0]! - mean[i]!) / (Math.sqrt(v) + 1e-6) + beta[i]!)
    expectEqual(await outputOf(cfg, x, weights), want)
    // Later Darknets, whose files say 0.2.5, add 1e-5 to the variance.
    const later = variances.map((v, i) => gamma[i]! * (w[i]! * x[0]! - mean[i]!) / Math.sqrt(v + 1e-5) + beta[i]!)
    const file = weights.slice()
    file[8] = 5
    expectEqual(await outputOf(cfg, x, file), later)
  })

  test('deconvolutional and connected, by hand', async () => {
    const deconv = `${NET([1, 2, 2])}[deconvolutional]\nfilters=1\nsize=2\nstride=2\nactivation=linear`
    expectEqual(
      await outputOf(deconv, Float32Array.of(1, 2, 3, 4), weightsFile([10, 1, 2, 3, 4])),
      [11, 12, 12, 14, 13, 14, 16, 18, 13, 16, 14, 18, 19, 22, 22, 26],
    )
    // Bias, weights [2, 3], then scale, mean, variance.
    const connected = `${NET([3, 1, 1])}[connected]\noutput=2\nbatch_normalize=1\nactivation=linear`
    const [x, numbers] = [Float32Array.of(1, 2, 3), [1, 2, 1, 0, 0, 0, 1, 1, 2, 3, 0.5, 1, 4, 9]]
    const want = [2 * (1 - 0.5) / (2 + 1e-6) + 1, 3 * (5 - 1) / (3 + 1e-6) + 2]
    expectEqual(await outputOf(connected, x, weightsFile(numbers)), want)
    // Old files have the weights as [3, 2], and a head of 16 bytes.
    const old = [1, 2, 1, 0, 0, 1, 0, 1, 2, 3, 0.5, 1, 4, 9]
    expectEqual(await outputOf(connected, x, weightsFile(old, { major: 1001, minor: 0 })), want)
    const flipped = `${NET([1, 1, 2])}[convolutional]\nfilters=1\nsize=1\nflipped=1\nactivation=linear`
    expectEqual(await outputOf(flipped, Float32Array.of(1, 2), weightsFile([1, 3])), [4, 7])
  })

  test('a section without an activation is logistic', async () => {
    const cfg = `${NET([1, 1, 1])}[convolutional]`
    expectEqual(await outputOf(cfg, Float32Array.of(2), weightsFile([1, 3])), [1 / (1 + Math.exp(-7))])
    expect(randomWeights(cfg, 1).length).toBe(28)
  })
})
