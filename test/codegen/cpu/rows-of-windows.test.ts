import { expect, test } from 'vitest'
import { compile, interpreter } from '../../../compiler/index.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import type { Device } from '../../../bundle/device.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'
import { equationsOf } from './run-loop-nest.ts'

const net = (layer: string, height: number, width: number): string => `
net p {
  input x: f32[3, ${height}, ${width}]
  output y = x -> ${layer} as pool
}`

/** Points of a register tile along the rows of a map. */
const rowsOf = (layer: string, height: number, width: number): unknown => {
  const e = equationsOf(net(layer, height, width), ['infer']).get('pool')!
  const { registerTile } = new CpuScheduler().scheduleOf(e) as { registerTile: Readonly<Record<string, number>> }
  return registerTile['2:h']
}

test('rows are computed together where their windows share a quarter of what they load', () => {
  expect(rowsOf('max_pool(3, stride: 1, pad: 1)', 32, 32)).toBe(4)
  expect(rowsOf('avg_pool(5, stride: 1, pad: 2)', 10, 12)).toBe(4)
  expect(rowsOf('max_pool(13, stride: 1, pad: 6)', 13, 13)).toBe(4)
  // Five rows of the map for three of windows: tiles of four would load six rows as often.
  expect(rowsOf('max_pool(3, stride: 1, pad: 1)', 9, 32)).toBe(3)
  // Four windows of 3 at a stride of 2 have nine rows of the map, not twelve; of five windows the last tile would have most twice.
  expect(rowsOf('max_pool(3, stride: 2, pad: 1)', 32, 32)).toBe(4)
  expect(rowsOf('max_pool(3, stride: 2)', 11, 32)).toBeUndefined()
  // Windows of 2 at a stride of 2 share no row; those of 19 x 19 are too long to be written out.
  expect(rowsOf('max_pool(2)', 32, 32)).toBeUndefined()
  expect(rowsOf('max_pool(19, stride: 1, pad: 9)', 32, 32)).toBeUndefined()
})

const outputs = async (text: string, x: Float32Array, device: Device): Promise<Float32Array> => {
  const opened = await open(compile(text, { targets: ['wasm'] }), { device, batch: 2 })
  const { y } = await opened.run({ x })
  opened.close()
  device.close()
  return y as unknown as Float32Array
}

test.each([
  ['max_pool(3, stride: 1, pad: 1)', 8, 11],
  ['max_pool(3, stride: 1)', 6, 9],
  ['max_pool([5, 3], stride: 1, pad: [2, 1])', 72, 6],
  ['max_pool(3, stride: 2, pad: 1)', 16, 18],
  ['max_pool(9, stride: 1, pad: 4)', 7, 13],
  ['max_pool([3, 1], stride: 1, pad: [1, 0])', 9, 5],
  ['max_pool(3, stride: 1, pad: 1, dilation: 2)', 11, 8],
  ['avg_pool(3, stride: 1, pad: 1)', 8, 10],
  ['avg_pool(5, stride: 1, pad: 2)', 10, 70],
])(
  '%s of maps of %i x %i gives the numbers of the reference, NaN as well, the same bits by any number of threads',
  async (layer, height, width) => {
    const text = net(layer, height, width)
    const x = normals(2 * 3 * height * width, 4)
    x[2 * width + 3] = NaN
    const [want, one, three] = [
      await outputs(text, x, interpreter() as unknown as Device),
      await outputs(text, x, await wasm({ threads: 1 })),
      await outputs(text, x, await wasm({ threads: 3 })),
    ]
    expect(three).toEqual(one)
    expect([...want].some((v) => Number.isNaN(v))).toBe(true)
    for (const [i, v] of want.entries()) {
      if (Number.isNaN(v)) expect(one[i], `${i}`).toBeNaN()
      else expect(Math.abs(one[i]! - v), `${i}`).toBeLessThan(1e-6)
    }
  },
)
