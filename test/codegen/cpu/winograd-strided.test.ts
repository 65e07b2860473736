import { describe, expect, test } from 'vitest'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { compile, interpreter } from '../../../compiler/index.ts'
import type { Device } from '../../../bundle/device.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'
import { equationsOf } from './run-loop-nest.ts'

interface Given {
  readonly channels: number
  readonly side: number
  readonly conv: string
}

const infers = ({ channels, side, conv }: Given): string => `
net t {
  input x: f32[${channels}, ${side}, ${side}]
  output y = x -> conv(${conv}) as first
}`

/** Its statistics are gathered by the convolution's kernel. */
const trains = ({ channels, side, conv }: Given): string => `
net t {
  input x: f32[${channels}, ${side}, ${side}]
  y = x -> conv(${conv}, bias: false) -> batch_norm -> sigmoid
  loss = sum(mul(y, y))
}`

const algorithmOf = (given: Given): string =>
  new CpuScheduler().scheduleOf(equationsOf(infers(given), ['prepare', 'infer']).get('first')!).algorithm

const taken: readonly (Given & { readonly what: string })[] = [
  { what: '7 x 7 of few channels', channels: 3, side: 40, conv: '32, 7, stride: 2, pad: 3' },
  { what: 'an odd map', channels: 3, side: 37, conv: '32, 7, stride: 2, pad: 3' },
  { what: 'no padding', channels: 4, side: 43, conv: '32, 7, stride: 2' },
  { what: 'padding on all sides alike that is more than half a filter', channels: 4, side: 28, conv: '32, 8, stride: 2, pad: 5' },
  { what: 'an even filter', channels: 32, side: 16, conv: '64, 4, stride: 2, pad: 1' },
  { what: '5 x 5', channels: 8, side: 32, conv: '32, 5, stride: 2, pad: 2' },
]

describe.each(taken)('of stride 2, $what', (given) => {
  test('is computed by Winograd over phases', () => {
    expect(algorithmOf(given)).toBe('winograd')
  })

  test('infers what the reference does, the same bits by any number of threads', async () => {
    const run = async (device: Device): Promise<Float32Array> => {
      const opened = await open(compile(infers(given), { targets: ['wasm'], programs: ['prepare', 'infer'] }), {
        device,
        batch: 2,
        seed: 3,
      })
      const { y } = await opened.run({ x: normals(2 * given.channels * given.side ** 2, 5) })
      opened.close()
      device.close()
      return y as unknown as Float32Array
    }
    const [want, one, three] = [
      await run(interpreter()),
      await run(await wasm({ threads: 1 })),
      await run(await wasm({ threads: 3 })),
    ]
    expect(three).toEqual(one)
    expect(worstOf(one, want)).toBeLessThan(2e-5)
  })

  test('has the gradients of the reference', async () => {
    const gradients = async (device: Device): Promise<ReadonlyMap<string, Float32Array>> => {
      const opened = await open(compile(trains(given), { targets: ['wasm'], programs: ['gradients'] }), { device, batch: 3, seed: 3 })
      const { loss, grads } = await opened.step({ x: normals(3 * given.channels * given.side ** 2, 5) }, { update: false })
      opened.close()
      device.close()
      return new Map([['loss', Float32Array.of(loss)], ...Object.entries(grads)] as [string, Float32Array][])
    }
    const [want, one, two] = [
      await gradients(interpreter()),
      await gradients(await wasm({ threads: 1 })),
      await gradients(await wasm({ threads: 2 })),
    ]
    expect(two).toEqual(one)
    for (const [name, values] of want) expect(worstOf(one.get(name)!, values), name).toBeLessThan(2e-5)
  })
})

const worstOf = (got: Float32Array, want: Float32Array): number => {
  const scale = want.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
  return want.reduce((worst, v, i) => Math.max(worst, Math.abs(v - got[i]!)), 0) / scale
}

test.each([
  { why: 'transformations would cost more than they save', channels: 3, side: 64, conv: '32, 3, stride: 2, pad: 1' },
  { why: 'the stride is 3', channels: 3, side: 63, conv: '64, 7, stride: 3, pad: 3' },
  { why: 'the filter is dilated', channels: 3, side: 64, conv: '64, 7, stride: 2, pad: 6, dilation: 2' },
  { why: 'strides differ', channels: 3, side: 64, conv: '64, 7, stride: [2, 1], pad: 3' },
])('is left to direct sums where $why', (given) => {
  expect(algorithmOf(given)).toBe('contraction')
})

test('is left to direct sums where all must be precise', () => {
  const e = equationsOf(infers(taken[0]!), ['prepare', 'infer']).get('first')!
  expect(new CpuScheduler({ precise: true }).scheduleOf(e).algorithm).toBe('contraction')
})
