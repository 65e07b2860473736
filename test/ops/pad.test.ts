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
  // NumPy's: the outermost row is not repeated, or is all that is repeated.
  test.each<[string, Attributes, (at: number, size: number) => number]>([
    ['reflect', { size: [2, 1, 3, 0] }, (at, size) => (at < 0 ? -at : at >= size ? 2 * (size - 1) - at : at)],
    ['reflect', { size: [2, 3], channels: [1] }, (at, size) => (at < 0 ? -at : at >= size ? 2 * (size - 1) - at : at)],
    ['edge', { size: [0, 4, 5, 1], channels: [0, 2] }, (at, size) => Math.min(Math.max(at, 0), size - 1)],
  ])('%s %j', (mode, attributes, source) => {
    const [N, C, H, W] = [2, 2, 4, 4]
    const x = fed([N, C, H, W], 3)
    const call = { op: 'pad', inputs: [x], attributes: { ...attributes, mode } }
    const answer = ask(call)
    if (!('shape' in answer)) throw new Error(answer[0]!.message)
    const [, cs, hs, ws] = answer.shape as readonly number[]
    const front = (attributes['channels'] as readonly number[] | undefined)?.[0] ?? 0
    const size = attributes['size'] as readonly number[]
    const [top, left] = size.length === 4 ? [size[0]!, size[2]!] : [size[0]!, size[1]!]
    const want: number[] = []
    for (let n = 0; n < N; n++)
      for (let c = 0; c < cs!; c++)
        for (let h = 0; h < hs!; h++)
          for (let w = 0; w < ws!; w++)
            want.push(x.data[((n * C + source(c - front, C)) * H + source(h - top, H)) * W + source(w - left, W)]!)
    expectClose(forward(call), want)
    expectGradients(call)
  })
  test('a mirrored frame is smaller than the map, and adds no value', () => {
    expect(codes({ op: 'pad', inputs: [fed([1, 1, 3, 3])], attributes: { size: [3], mode: 'reflect' } })).toEqual(['argument/pad-reflect'])
    expect(codes({ op: 'pad', inputs: [fed([1, 1, 3, 3])], attributes: { size: [2], mode: 'reflect' } })).toEqual([])
    expect(codes({ op: 'pad', inputs: [fed([1, 1, 3, 3])], attributes: { size: [3], mode: 'edge' } })).toEqual([])
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
