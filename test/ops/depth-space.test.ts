import { describe, expect, test } from 'vitest'
import { codes, expectClose, expectGradients, fed, forward } from './run-operator.ts'

describe.each(['dcr', 'crd'])('order %s', (order) => {
  const [N, C, H, W, b] = [2, 3, 2, 4, 2]
  const x = fed([N, C * b * b, H, W])
  const attributes = { block: b, order }
  /** NumPy: reshape to [N, b, b, C, H, W] or [N, C, b, b, H, W], then transpose to [N, C, H, b, W, b]. */
  const want = Array.from({ length: x.data.length }, (_, k) => {
    const [w, h, c, n] = [
      k % (W * b),
      Math.floor(k / (W * b)) % (H * b),
      Math.floor(k / (W * b * H * b)) % C,
      Math.floor(k / (W * b * H * b * C)),
    ]
    const [i, j] = [h % b, w % b]
    const channel = order === 'dcr' ? (i * b + j) * C + c : (c * b + i) * b + j
    return x.data[((n * C * b * b + channel) * H + Math.floor(h / b)) * W + Math.floor(w / b)]!
  })
  test('depth_to_space', () => {
    expectClose(forward({ op: 'depth_to_space', inputs: [x], attributes }), want)
    expectGradients({ op: 'depth_to_space', inputs: [x], attributes })
  })
  test('space_to_depth undoes it', () => {
    const y = { shape: [N, C, H * b, W * b], data: want }
    expectClose(forward({ op: 'space_to_depth', inputs: [y], attributes }), x.data)
    expectGradients({ op: 'space_to_depth', inputs: [y], attributes })
  })
})

test('refuses what makes no blocks', () => {
  expect(codes({ op: 'depth_to_space', inputs: [fed([1, 6, 2, 2])], attributes: { block: 2 } })).toEqual(['shape/depth-to-space-channels'])
  expect(codes({ op: 'space_to_depth', inputs: [fed([1, 6, 2, 3])], attributes: { block: 2 } })).toEqual(['shape/space-to-depth-size'])
  expect(codes({ op: 'space_to_depth', inputs: [fed([1, 6])], attributes: { block: 2 } })).toEqual(['shape/space-to-depth-rank'])
})
