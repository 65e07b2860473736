import { expect, test } from 'vitest'
import { compile, interpreter } from '../../../compiler/index.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { compileFor } from '../../../compiler/compile.ts'
import type { Target } from '../../../compiler/targets/target.ts'
import { wasm as wasmTarget } from '../../../compiler/targets/wasm/target.ts'
import type { Device } from '../../../bundle/device.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'
import { equationsOf } from './run-loop-nest.ts'

const net = (channels: number, side: number, batch: number): string => `
net t {
  input x: f32[${channels}, ${side}, ${side}]
  output y = x -> conv(${channels}, 3, pad: 1) as first
  loss = sum(mul(y, y))
}
train {
  batch  ${batch}
  solver sgd(lr: 0.1)
}`

const tileOf = (channels: number, side: number, batch: number): unknown => {
  const e = equationsOf(net(channels, side, batch), ['prepare', 'infer']).get('first')!
  return (new CpuScheduler().scheduleOf(e) as { outputTile?: number }).outputTile
}

test('a prepared filter has the tile of fewer products; of as many the smaller one, whose filter is shorter', () => {
  // Four tiles of 6 x 6 elements for sixteen of 4 x 4.
  expect(tileOf(128, 8, 32)).toBe(4)
  expect(tileOf(128, 8, 1)).toBe(4)
  expect(tileOf(512, 7, 1)).toBe(4)
  // Four of 36 are nine of 16.
  expect(tileOf(256, 6, 1)).toBe(2)
})

test('maps of odd sides that direct sums would compute have small tiles, where channels are many', () => {
  // 9 tiles of 16 products for 25 windows of 9.
  expect(tileOf(192, 5, 1)).toBe(2)
  expect(tileOf(64, 5, 1)).toBeUndefined()
})

test('few tiles read panels of one register tile: of eight channels, with vectors of twice the width sixteen', () => {
  const panels = (side: number, target: Target): readonly unknown[] =>
    compileFor(net(64, side, 1), [target], { programs: ['prepare', 'infer'] }).pipelines[0]!.programs
      .flatMap((p) => p.steps.flatMap(({ fused: { equation } }) => equation.prepacked?.panel ?? []))
  expect(panels(14, wasmTarget)).toEqual([8])
  expect(panels(28, wasmTarget)).toEqual([16])
  expect(panels(14, wasmTarget.wide!)).toEqual([16])
})

test.each(['relu', 'leaky_relu(0.1)', 'silu', 'gelu'])(
  'in front of %s, which may use a sum in several places, weights are prepared',
  (activation) => {
    const text = `net a { input x: f32[32, 7, 7] output y = x -> conv(160, 3, pad: 1) -> ${activation} -> conv(160, 1) -> ${activation} }`
    const { pipelines } = compileFor(text, [wasmTarget], { programs: ['prepare', 'infer'] })
    const forms = pipelines[0]!.programs.flatMap((p) => p.steps.flatMap(({ fused: { equation } }) => equation.prepacked?.form ?? []))
    expect(forms).toEqual(['winograd', 'transposed'])
  },
)

const outputs = async (text: string, batch: number, x: Float32Array, device: Device): Promise<Float32Array> => {
  const opened = await open(compile(text, { targets: ['wasm'], programs: ['prepare', 'infer'] }), { device, batch, seed: 2 })
  const { y } = await opened.run({ x })
  opened.close()
  device.close()
  return y as unknown as Float32Array
}

test.each([[32, 8, 1], [32, 8, 9], [192, 5, 2]])(
  '%i channels on a side of %i: the numbers of the reference for a batch of %i, the same bits by any number of threads',
  async (channels, side, batch) => {
    const text = net(channels, side, 32)
    const x = normals(batch * channels * side ** 2, 7)
    const [want, one, three] = [
      await outputs(text, batch, x, interpreter() as unknown as Device),
      await outputs(text, batch, x, await wasm({ threads: 1 })),
      await outputs(text, batch, x, await wasm({ threads: 3 })),
    ]
    expect(three).toEqual(one)
    const scale = want.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
    expect(want.reduce((worst, v, i) => Math.max(worst, Math.abs(v - one[i]!)), 0) / scale).toBeLessThan(5e-6)
  },
)

test('long sums go on from block to block of input channels, panel after panel', async () => {
  const text = 'net t { input x: f32[704, 13, 13] output y = x -> conv(16, 3, pad: 1) }'
  const x = normals(704 * 169, 3)
  const want = await outputs(text, 1, x, interpreter() as unknown as Device)
  const got = await outputs(text, 1, x, await wasm({ threads: 2 }))
  const scale = want.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
  expect(want.reduce((worst, v, i) => Math.max(worst, Math.abs(v - got[i]!)), 0) / scale).toBeLessThan(1e-5)
})
