import { describe, expect, test } from 'vitest'
import type { Attributes } from '../../dsl/signature.ts'
import { ask, codes, expectClose, expectGradients, fed, forward } from './run-operator.ts'

describe('pad', () => {
  test.each<[Attributes, { front?: number; behind?: number; top: number; bottom: number; left: number; right: number }]>([
    [{ size: [1] }, { top: 1, bottom: 1, left: 1, right: 1 }],
    [{ size: [2, 1], value: -3 }, { top: 2, bottom: 2, left: 1, right: 1 }],
    [{ size: [0, 1, 2, 3] }, { top: 0, bottom: 1, left: 2, right: 3 }],
    [{ channels: [1, 2] }, { front: 1, behind: 2, top: 0, bottom: 0, left: 0, right: 0 }],
    [{ size: [1, 0], channels: [2], value: 7 }, { front: 2, behind: 2, top: 1, bottom: 1, left: 0, right: 0 }],
    [{}, { top: 0, bottom: 0, left: 0, right: 0 }],
  ])('%j', (attributes, { front = 0, behind = 0, top, bottom, left, right }) => {
    const [N, C, H, W] = [2, 2, 3, 4]
    const x = fed([N, C, H, W], 3)
    const shape = [C + front + behind, H + top + bottom, W + left + right] as const
    const want: number[] = []
    for (let n = 0; n < N; n++)
      for (let c = 0; c < shape[0]; c++)
        for (let h = 0; h < shape[1]; h++)
          for (let w = 0; w < shape[2]; w++) {
            const [i, j, k] = [c - front, h - top, w - left]
            const inside = i >= 0 && i < C && j >= 0 && j < H && k >= 0 && k < W
            want.push(inside ? x.data[((n * C + i) * H + j) * W + k]! : (attributes['value'] as number | undefined) ?? 0)
          }
    expect(ask({ op: 'pad', inputs: [x], attributes })).toEqual({ shape: ['n', ...shape] })
    expectClose(forward({ op: 'pad', inputs: [x], attributes }), want)
    expectGradients({ op: 'pad', inputs: [x], attributes })
  })
  test('refuses lists that say nothing, and taking away', () => {
    const refused = (attributes: Attributes, shape = [2, 2, 3, 3]) => codes({ op: 'pad', inputs: [fed(shape)], attributes })
    expect(refused({ size: [1, 2, 3] })).toEqual(['argument/pad-size'])
    expect(refused({ size: [] })).toEqual(['argument/pad-size'])
    expect(refused({ size: [-1] })).toEqual(['argument/pad-size'])
    expect(refused({ channels: [1, 2, 3] })).toEqual(['argument/pad-size'])
    expect(refused({ size: [1] }, [2, 9])).toEqual(['shape/pad-rank'])
  })
})
