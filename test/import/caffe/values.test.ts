import { expect, test } from 'vitest'
import { compile, interpreter } from '../../../compiler/index.ts'
import { bytesSource } from '../../../import/byte-source.ts'
import { readCaffe } from '../../../import/caffe/read.ts'
import { writeNet } from '../../../import/write/write-net.ts'
import { openLocal } from '../../../runtime/open.ts'
import type { TensorData } from '../../../runtime/index.ts'
import { caffemodel } from './caffemodel.ts'

/*
 * Layers that the reference cases have not, by their formulas in caffe.proto and src/caffe/layers, on maps [2, 3, 4, 2]: one net, many outputs.
 */

const [N, C, H, W] = [2, 3, 4, 2]
const size = C * H * W
// Halves and quarters: float32 holds them all, and some are equal, for what looks for the largest.
const x = Float32Array.from({ length: N * size }, (_, i) => (((i * 7) % 11) - 4) / 4)
const factors = Float32Array.from({ length: H * W }, (_, i) => 1 + i / 8)
const shifts = Float32Array.from({ length: C * H }, (_, i) => i / 4 - 1)
const gates = Float32Array.from({ length: N * C }, (_, i) => i / 2 - 1)

type At = (n: number, c: number, h: number, w: number) => number
const at: At = (n, c, h, w) => x[((n * C + c) * H + h) * W + w]!
/** Values at all points of [N, a, b, d]. */
const points = (a: number, b: number, d: number, value: At): number[] =>
  Array.from(
    { length: N * a * b * d },
    (_, i) => value(Math.floor(i / (a * b * d)), Math.floor(i / (b * d)) % a, Math.floor(i / d) % b, i % d),
  )
const map = (value: (v: number, n: number, c: number, h: number, w: number) => number): number[] =>
  points(C, H, W, (n, c, h, w) => value(at(n, c, h, w), n, c, h, w))
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length
const channel = (n: number, c: number): number[] => range(H * W).map((i) => at(n, c, Math.floor(i / W), i % W))
const lastLargest = (values: readonly number[]): number => values.lastIndexOf(Math.max(...values))

const cases: readonly (readonly [name: string, layer: string, want: readonly number[]])[] = [
  ['power', 'type: "Power" power_param { power: 2 scale: 0.5 shift: -1 }', map((v) => (v / 2 - 1) ** 2)],
  ['constant', 'type: "Power" power_param { scale: 0 shift: 3 power: 2 }', map(() => 9)],
  ['exp', 'type: "Exp" exp_param { base: 2 scale: 2 shift: 1 }', map((v) => 2 ** (1 + 2 * v))],
  ['log', 'type: "Log" log_param { base: 10 scale: 2 shift: 5 }', map((v) => Math.log10(5 + 2 * v))],
  ['abs', 'type: "AbsVal"', map(Math.abs)],
  [
    'softmax',
    'type: "Softmax" softmax_param { axis: 2 }',
    map((v, n, c, _h, w) => Math.exp(v) / range(H).reduce((sum, h) => sum + Math.exp(at(n, c, h, w)), 0)),
  ],
  ['argmax', 'type: "ArgMax" argmax_param { axis: 1 }', points(1, H, W, (n, _c, h, w) => lastLargest(range(C).map((c) => at(n, c, h, w))))],
  [
    'argmax_all',
    'type: "ArgMax" argmax_param { out_max_val: true }',
    range(N).flatMap((n) => {
      const all = range(C).flatMap((c) => channel(n, c))
      return [lastLargest(all), Math.max(...all)]
    }),
  ],
  ['scale_map', 'type: "Scale" scale_param { axis: 2 num_axes: 2 }', map((v, _n, _c, h, w) => v * factors[h * W + w]!)],
  ['bias_map', 'type: "Bias" bias_param { axis: 1 num_axes: 2 }', map((v, _n, c, h) => v + shifts[c * H + h]!)],
  ['scale_gate', 'type: "Scale" bottom: "gate" scale_param { axis: 0 }', map((v, n, c) => v * gates[n * C + c]!)],
  [
    'sums',
    'type: "Reduction" reduction_param { operation: SUM axis: 2 }',
    points(C, 1, 1, (n, c) => channel(n, c).reduce((a, b) => a + b, 0)),
  ],
  [
    'squares',
    'type: "Reduction" reduction_param { operation: SUMSQ axis: 1 coeff: 0.5 }',
    range(N).map((n) => range(C).flatMap((c) => channel(n, c)).reduce((sum, v) => sum + v * v / 2, 0)),
  ],
  [
    'mvn',
    'type: "MVN" mvn_param { eps: 0.5 }',
    map((v, n, c) => {
      const m = mean(channel(n, c))
      return (v - m) / (Math.sqrt(mean(channel(n, c).map((u) => (u - m) ** 2))) + 0.5)
    }),
  ],
  ['turned', 'type: "Permute" permute_param { order: 0 order: 2 order: 3 order: 1 }', points(H, W, C, (n, h, w, c) => at(n, c, h, w))],
  ['tiled', 'type: "Tile" tile_param { axis: 2 tiles: 2 }', points(C, 2 * H, W, (n, c, h, w) => at(n, c, h % H, w))],
  [
    'cropped',
    'type: "Crop" bottom: "like" crop_param { axis: 2 offset: 1 offset: 0 }',
    points(C, 2, 1, (n, c, h, w) => at(n, c, h + 1, w)),
  ],
  [
    'within',
    'type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 0.9 beta: 0.5 k: 7 }',
    map((v, n, c, h, w) => {
      const around = range(9).map((i) => [h + Math.floor(i / 3) - 1, w + (i % 3) - 1] as const).filter(([a, b]) =>
        a >= 0 && a < H && b >= 0 && b < W
      )
      return v / Math.sqrt(1 + 0.1 * around.reduce((sum, [a, b]) => sum + at(n, c, a, b) ** 2, 0))
    }),
  ],
  [
    'behind_the_map',
    'type: "Pooling" pooling_param { kernel_size: 1 stride: 2 }',
    points(C, 3, 2, (n, c, h, w) => (h < 2 && w < 1 ? at(n, c, 2 * h, 2 * w) : -3.4028234663852886e38)),
  ],
  [
    'padded_along',
    'type: "Pooling" pooling_param { kernel_h: 1 kernel_w: 2 stride: 2 pad_w: 1 }',
    points(C, 2, 2, (n, c, h, w) => at(n, c, 2 * h, w)),
  ],
  // Forks. Corners of Interp's maps lie on each other: rows 0, 1/2, 1, ... of 4 make 7, columns 0 and 1 make 3.
  [
    'zoomed',
    'type: "Interp" interp_param { zoom_factor: 2 }',
    points(C, 7, 3, (n, c, h, w) => mean([[0, 0], [0, 1], [1, 0], [1, 1]].map(([a, b]) => at(n, c, (h + a!) >> 1, (w + b!) >> 1)))),
  ],
  ['shrunk', 'type: "Interp" interp_param { shrink_factor: 3 }', points(C, 2, 1, (n, c, h) => at(n, c, 3 * h, 0))],
  ['interp_like', 'type: "Interp" bottom: "like"', points(C, 2, 1, (n, c, h) => at(n, c, 3 * h, 0))],
  ['enlarged', 'type: "Upsample" upsample_param { scale: 2 }', points(C, 2 * H, 2 * W, (n, c, h, w) => at(n, c, h >> 1, w >> 1))],
  [
    'axpy',
    'type: "Axpy" bottom: "x" bottom: "x"',
    map((v, n, c) => v * gates[n * C + c]! + v),
  ],
  [
    'unit',
    'type: "Normalize" norm_param { across_spatial: false channel_shared: false eps: 0.25 scale_filler { type: "constant" value: 20 } }',
    map((v, n, c, h, w) => (c + 2) * v / Math.sqrt(0.25 + range(C).reduce((sum, i) => sum + at(n, i, h, w) ** 2, 0))),
  ],
  [
    'unit_all',
    'type: "Normalize" norm_param { scale_filler { value: 3 } }',
    map((v, n) => 3 * v / Math.sqrt(range(C).flatMap((c) => channel(n, c)).reduce((sum, u) => sum + u * u, 0))),
  ],
  [
    'psp_norm',
    'type: "BN" bn_param { frozen: true eps: 0.25 slope_filler { value: 1 } bias_filler { value: 0 } }',
    map((v, _n, c) => (c + 1) * (v - c / 2) / Math.sqrt(0.25 + c) - c),
  ],
  ['segnet_norm', 'type: "BN" bn_param { bn_mode: INFERENCE }', map((v, _n, c) => v * (c + 1) - c)],
  [
    'floor',
    'type: "Pooling" pooling_param { kernel_size: 2 stride: 3 ceil_mode: false }',
    points(C, 1, 1, (n, c) => Math.max(...channel(n, c).slice(0, 4))),
  ],
  ['swish', 'type: "Swish" swish_param { beta: 2 }', map((v) => v / (1 + Math.exp(-2 * v)))],
  [
    'rows',
    'type: "InnerProduct" inner_product_param { num_output: 2 axis: 3 bias_term: false transpose: true }',
    points(C, H, 2, (n, c, h, o) => at(n, c, h, 0) * (o + 1) + at(n, c, h, 1) * (o + 3)),
  ],
]

test('layers by their formulas', async () => {
  const input = (name: string, dims: readonly number[]): string =>
    `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${dims.map((d) => `dim: ${d}`).join(' ')} } } }`
  const text = [
    input('x', [N, C, H, W]),
    input('gate', [N, C]),
    input('like', [N, 1, 2, 1]),
    ...cases.map(([name, layer]) => `layer { name: "${name}" bottom: "${layer.includes('Axpy') ? 'gate' : 'x'}" top: "${name}" ${layer} }`),
    // Channels of a wider map: those of two groups alternate.
    'layer { name: "four" type: "Concat" bottom: "x" bottom: "x" top: "four" }',
    'layer { name: "shuffled" type: "ShuffleChannel" bottom: "four" top: "shuffled" shuffle_channel_param { group: 2 } }',
  ].join('\n')
  const weights = caffemodel([
    { name: 'scale_map', blobs: [{ shape: [H, W], data: factors }] },
    { name: 'bias_map', blobs: [{ shape: [C, H], data: shifts }] },
    { name: 'unit', blobs: [{ shape: [C], data: [2, 3, 4] }] },
    { name: 'unit_all', blobs: [{ shape: [1], data: [3] }] },
    ...['psp_norm', 'segnet_norm'].map((name) => ({
      name,
      blobs: [[1, 2, 3], [0, -1, -2], ...(name === 'psp_norm' ? [[0, 0.5, 1], [0, 1, 2]] : [])].map((data) => ({
        shape: [1, C, 1, 1],
        data,
      })),
    })),
    { name: 'rows', blobs: [{ shape: [2, 2], data: [1, 2, 3, 4] }] },
  ])
  const written = writeNet(
    readCaffe(bytesSource('net.prototxt', new TextEncoder().encode(text)), { weights: bytesSource('w.caffemodel', weights) }),
  )
  const net = await openLocal(compile(written.text, { targets: [], programs: ['infer'] }), {
    device: interpreter(),
    batch: N,
    programs: ['infer'],
  })
  try {
    await net.setParameters(
      new Map<string, TensorData>(
        written.tensors.map(({ name, tensor }) => [name, { shape: tensor.shape, type: 'f32', data: tensor.values() }]),
      ),
    )
    const outputs = await net.run({
      x,
      gate: gates,
      ...(written.inputs.some(({ model }) => model === 'like') && { like: new Float32Array(N * 2) }),
    })
    const shuffled = points(2 * C, H, W, (n, c, h, w) => at(n, c >> 1, h, w))
    for (const [name, , want] of [...cases, ['shuffled', '', shuffled] as const]) {
      const got = outputs[written.outputs.find(({ model }) => model === name)!.name]!
      expect(got.length, name).toBe(want.length)
      expect(Math.max(...want.map((v, i) => Math.abs(v - got[i]!))), name).toBeLessThanOrEqual(1e-6)
    }
  } finally {
    net.close()
  }
})
