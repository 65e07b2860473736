import { describe, expect, test } from 'vitest'
import { ask, codes, expectClose, expectGradients, type Fed, fed, forward } from './run-operator.ts'

/** Pixel (h, w) of the large map, from the small one. */
function enlarged(
  { shape, data }: Fed,
  factor: readonly number[],
  pixel: (at: (h: number, w: number) => number, h: number, w: number) => number,
): number[] {
  const [N, C, H, W] = shape as [number, number, number, number]
  const result: number[] = []
  for (let map = 0; map < N * C; map++)
    for (let h = 0; h < H * factor[0]!; h++)
      for (let w = 0; w < W * factor[1]!; w++) {
        result.push(pixel((i, j) => data[(map * H + i) * W + j]!, h, w))
      }
  return result
}

const nearest = (x: Fed, [fh, fw]: readonly number[]): number[] =>
  enlarged(x, [fh!, fw!], (at, h, w) => at(Math.floor(h / fh!), Math.floor(w / fw!)))

/** Between the middles of pixels; beyond the outermost the edge goes on. */
function bilinear(x: Fed, [fh, fw]: readonly number[]): number[] {
  const between = (place: number, size: number): [number, number, number] => {
    const kept = Math.min(Math.max(place, 0), size - 1)
    const low = Math.floor(kept)
    return [low, Math.min(low + 1, size - 1), kept - low]
  }
  return enlarged(x, [fh!, fw!], (at, h, w) => {
    const [top, bottom, down] = between((h + 0.5) / fh! - 0.5, x.shape[2]!)
    const [left, right, along] = between((w + 0.5) / fw! - 0.5, x.shape[3]!)
    const row = (i: number): number => at(i, left) * (1 - along) + at(i, right) * along
    return row(top) * (1 - down) + row(bottom) * down
  })
}

describe.each([['nearest', nearest], ['bilinear', bilinear]] as const)('upsample, %s', (mode, plain) => {
  test.each([
    [[2, 2], [2, 3, 3, 4]],
    [[3, 3], [1, 2, 2, 3]],
    [[2, 3], [1, 2, 3, 2]],
    [[1, 4], [2, 1, 2, 2]],
    [[5, 1], [1, 2, 3, 3]],
    [[1, 1], [1, 2, 2, 2]],
    [[2, 2], [1, 2, 1, 1]],
  ])('%j of %j', (factor, shape) => {
    const call = { op: 'upsample', inputs: [fed(shape, 4)], attributes: { factor, mode } }
    expect(ask(call)).toEqual({ shape: ['n', shape[1], shape[2]! * factor[0]!, shape[3]! * factor[1]!] })
    expectClose(forward(call), plain(call.inputs[0]!, factor))
    expectGradients(call)
  })
})

test('repeats pixels where nothing else is said', () => {
  const x: Fed = { shape: [1, 1, 1, 2], data: [1, 2] }
  expectClose(forward({ op: 'upsample', inputs: [x], attributes: { factor: [2, 2] } }), [1, 1, 2, 2, 1, 1, 2, 2])
})

test('refuses what is no map', () =>
  expect(codes({ op: 'upsample', inputs: [fed([2, 6])], attributes: { factor: [2, 2] } })).toEqual(['shape/upsample-rank']))
