import { expect, test } from 'vitest'
import { applySchedule } from '../../../compiler/codegen/cpu/apply-schedule.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { lowerLoopNest } from '../../../compiler/codegen/cpu/lower.ts'
import { verifyKernelFunction } from '../../../compiler/codegen/verify.ts'
import { compile, interpreter } from '../../../compiler/index.ts'
import { axis } from '../../../compiler/ir/affine.ts'
import { equation, store } from '../../../compiler/ir/equation.ts'
import { load } from '../../../compiler/ir/expression.ts'
import { pointsFrom, splitDivided } from '../../../compiler/ir/reshape.ts'
import { bufferOf, tensor } from '../../../compiler/ir/tensor.ts'
import { divide } from '../../../compiler/ir/affine.ts'
import { CAPABILITIES } from '../../../compiler/targets/wasm/print.ts'
import type { Device } from '../../../bundle/device.ts'
import { open, wasm } from '../../../runtime/index.ts'
import { normals } from '../../support/random-net.ts'
import { equationsOf } from './run-loop-nest.ts'

/** The gradient of a pooling reaches its map by rows and columns divided by the stride; of odd maps one is left behind the last multiple. */
const net = (layer: string, height: number, width: number): string => `
net p {
  input x: f32[6, ${height}, ${width}]
  a = x -> conv(8, 1, bias: false) -> batch_norm -> leaky_relu(slope: 0.1)
  loss = sum(a -> ${layer} as pool -> pow(2))
}`

test('an axis is split where whole blocks are, and what is left is told', () => {
  const [w, x, y] = [axis('w', 11), tensor('x', [5]), tensor('y', [11])]
  const e = equation('rows', [], [w], [store(y, [w], load(x, divide(w, 2)))])
  expect(splitDivided(e, () => true).inner.size).toBe(0)
  const { equation: split, inner, isWhole } = splitDivided(e, () => true, true)
  expect([isWhole, ...[...inner].flatMap(([outer, own]) => [outer.extent, own.extent])]).toEqual([false, 5, 2])
  expect(split.axes.map((a) => a.extent)).toEqual([5, 2])
  expect(pointsFrom(e, w, 10, 1).equation.axes.map((a) => a.extent)).toEqual([1])
})

test('the gradient of a pooling of odd maps is computed in the phases of its stride, and the last row and column by themselves', () => {
  const e = [...equationsOf(net('max_pool(3, stride: 2)', 13, 27), ['gradients'])].find(([name]) => name.includes('pool.dx'))![1]
  const schedule = new CpuScheduler().scheduleOf(e) as { readonly split?: unknown; readonly vectorAxis?: string }
  expect(schedule.split).toEqual({ '2:h': 2, '3:w': 2 })
  const nest = applySchedule(e, schedule as never)
  expect(nest.stages.length).toBeGreaterThanOrEqual(3)
  expect(verifyKernelFunction(lowerLoopNest(e, nest, bufferOf), CAPABILITIES)).toEqual([])
})

const gradients = async (text: string, x: Float32Array, device: Device): Promise<readonly [string, Float32Array][]> => {
  const opened = await open(compile(text, { targets: ['wasm'], programs: ['gradients'] }), { device, batch: 2, seed: 5 })
  const { grads } = await opened.step({ x }, { update: false })
  opened.close()
  device.close()
  return Object.entries(grads) as [string, Float32Array][]
}

test.each([
  ['max_pool(3, stride: 2)', 27, 27],
  ['max_pool(3, stride: 2)', 13, 14],
  ['avg_pool(3, stride: 2)', 9, 9],
  ['avg_pool(3, stride: 2, pad: 1)', 11, 17],
  ['max_pool(2)', 15, 9],
  ['max_pool(4, stride: 3)', 16, 17],
  ['avg_pool(5, stride: 4)', 19, 18],
  ['conv(4, 3, stride: 2, bias: false)', 13, 15],
])('%s of maps of %i x %i gives the gradients of the reference, the same bits by any number of threads', async (layer, height, width) => {
  const text = net(layer, height, width)
  const x = normals(2 * 6 * height * width, 4)
  const [want, one, three] = [
    await gradients(text, x, interpreter() as unknown as Device),
    await gradients(text, x, await wasm({ threads: 1 })),
    await gradients(text, x, await wasm({ threads: 3 })),
  ]
  expect(three).toEqual(one)
  for (const [i, [name, values]] of want.entries()) {
    const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-6)
    const worst = values.reduce((most, v, at) => Math.max(most, Math.abs(v - one[i]![1][at]!)), 0)
    expect(worst / scale, name).toBeLessThan(1e-4)
  }
})
