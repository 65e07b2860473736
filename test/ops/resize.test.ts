import { describe, expect, test } from 'vitest'
import type { Attributes } from '../../dsl/signature.ts'
import { check } from '../../compiler/check.ts'
import { bandsOf, interpolationOf } from '../../compiler/ops/resize-bands.ts'
import { ask, expectClose, expectGradients, fed, forward } from './run-operator.ts'

/** One direction as ONNX' reference has it, for sizes: neighbours by position, indices kept within the map. */
function line(from: number, to: number, a: Attributes): number[][] {
  const word = (name: string, otherwise: string): string => (a[name] as string | undefined) ?? otherwise
  const [mode, coordinates, rounding] = [word('mode', 'nearest'), word('coordinates', 'half_pixel'), word('rounding', 'round_prefer_floor')]
  const c = (a['cubic_coefficient'] as number | undefined) ?? -0.75
  const out = a['exclude_outside'] === true
  return Array.from({ length: to }, (_, h) => {
    const half = ((h + 0.5) * from) / to - 0.5
    const p = coordinates === 'asymmetric' ? (h * from) / to :
      coordinates === 'align_corners' ? (to === 1 ? 0 : (h * (from - 1)) / (to - 1))
      : coordinates === 'pytorch_half_pixel' && to === 1 ? 0 : half
    const row = new Array<number>(from).fill(0)
    const add = (at: number, weight: number): void => {
      row[Math.min(from - 1, Math.max(0, at))]! += weight
    }
    if (mode === 'nearest')
      add(
        {
          round_prefer_floor: Math.ceil(p - 0.5),
          round_prefer_ceil: Math.floor(p + 0.5),
          floor: Math.floor(p),
          ceil: Math.ceil(p),
        }[rounding]!,
        1,
      )
    else if (mode === 'linear') { for (const k of [0, 1]) add(Math.floor(p) + k, Math.max(0, 1 - Math.abs(p - Math.floor(p) - k))) }
    else for (let k = -1; k <= 2; k++) {
        const at = Math.floor(p) + k
        const d = Math.abs(p - at)
        const weight = d <= 1 ? (c + 2) * d ** 3 - (c + 3) * d ** 2 + 1 : d < 2 ? c * d ** 3 - 5 * c * d ** 2 + 8 * c * d - 4 * c : 0
        if (!out || (at >= 0 && at < from)) add(at, weight)
      }
    const total = row.reduce((x, y) => x + y, 0)
    return row.map((weight) => weight / total)
  })
}

const MODES: readonly Attributes[] = [
  {},
  { coordinates: 'asymmetric', rounding: 'floor' },
  { coordinates: 'pytorch_half_pixel', rounding: 'round_prefer_ceil' },
  { coordinates: 'align_corners', rounding: 'ceil' },
  { mode: 'linear' },
  { mode: 'linear', coordinates: 'align_corners' },
  { mode: 'linear', coordinates: 'asymmetric' },
  { mode: 'cubic' },
  { mode: 'cubic', coordinates: 'pytorch_half_pixel', cubic_coefficient: -0.5 },
  { mode: 'cubic', exclude_outside: true },
]

describe.each(MODES)('resize %o', (attributes) => {
  test.each([[4, 3, 7, 5], [5, 6, 2, 11], [1, 4, 3, 1], [3, 8, 9, 8]])('%i x %i to %i x %i', (H, W, h, w) => {
    const x = fed([1, 2, H, W], H + W)
    const call = { op: 'resize', inputs: [x], attributes: { ...attributes, size: [h, w] } }
    expect(ask(call)).toMatchObject({ shape: ['n', 2, h, w] })
    const [rows, columns] = [line(H, h, attributes), line(W, w, attributes)]
    const want: number[] = []
    for (let c = 0; c < 2; c++)
      for (const row of rows)
        for (const column of columns) {
          let total = 0
          for (let i = 0; i < H; i++) for (let j = 0; j < W; j++) total += x.data[(c * H + i) * W + j]! * row[i]! * column[j]!
          want.push(total)
        }
    expectClose(forward(call), want, 1e-9)
    expectGradients(call)
  })
})

test('interpolation over many elements goes along the rows, then down', () =>
  expectGradients({ op: 'resize', inputs: [fed([1, 1, 2, 3])], attributes: { size: [19, 23], mode: 'cubic' } }))

test.each([[[2, 3], 'nearest', 'nearest'], [[2, 2], 'bilinear', 'linear'], [[3, 4], 'bilinear', 'linear']])(
  'by %j it is upsample, %s',
  (factor, old, mode) => {
    const inputs = [fed([2, 2, 3, 4])]
    expectClose(
      forward({ op: 'resize', inputs, attributes: { scale: factor, mode } }),
      forward({ op: 'upsample', inputs, attributes: { factor, mode: old } }),
    )
  },
)

/** The pixel that each of a row comes from. */
const chosen = (from: number, attributes: Attributes): number[] => [...forward({
  op: 'resize',
  inputs: [{ shape: [1, 1, 1, from], data: Array.from({ length: from }, (_, i) => i) }],
  attributes,
})]

test('nearest pixels are those of onnxruntime 1.30, whose positions are float32', () => {
  // Of equally near ones; 3.5 is 3.4999998 there, and 6.5 is 6.5000005.
  expect(chosen(7, { size: [1, 4], coordinates: 'asymmetric', rounding: 'round_prefer_ceil' })).toEqual([0, 2, 4, 5])
  expect(chosen(14, { size: [1, 19] })[9]).toBe(6)
  // What a fractional scale leaves over; 2 is 1.9999999 there.
  expect(chosen(5, { scale: [1, 0.6], coordinates: 'half_pixel_symmetric', rounding: 'floor' })).toEqual([0, 1, 3])
  expect(chosen(9, { scale: [1, 0.9], coordinates: 'half_pixel_symmetric', rounding: 'floor' })).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
})

test('whole factors need no tables, and no window is wider than what it holds', () => {
  const nearest = interpolationOf({})
  expect(bandsOf({ from: 8, to: 16 }, nearest)).toMatchObject({
    forward: { taps: 1, plain: true, beyond: false },
    backward: { taps: 2, plain: true },
  })
  expect(bandsOf({ from: 1000, to: 777 }, interpolationOf({ mode: 'cubic' })).forward.taps).toBe(4)
  expect(bandsOf({ from: 224, to: 385, scale: 1.72 }, interpolationOf({ mode: 'linear' })).forward.taps).toBe(2)
})

test.each([
  ['resize', 'resize needs the new size, or a scale'],
  ['resize([4, 4], scale: 2)', 'resize takes a size or a scale, not both'],
  ['resize(scale: [1, 2, 3])', '3 numbers are no scale'],
  ['resize(scale: -2)', 'a map cannot be made -2 times as large'],
  ['resize(scale: 0.1)', 'nothing is left of [n, 2, 5, 5]: 0 x 0'],
  ['resize([4, 4], mode: bilinear)', 'mode of resize is nearest, linear or cubic, not bilinear'],
  ['resize([0, 4])', 'size of resize is at least 1, not 0'],
  ['flatten -> resize(4)', 'resize works on maps [n, channels, height, width], and this is [n, 50]'],
])('%s', (layer, message) => {
  expect(check(`net t {\n  input x: f32[2, 5, 5]\n  output y = x -> ${layer}\n}`).map((d) => d.message)).toEqual([message])
})
