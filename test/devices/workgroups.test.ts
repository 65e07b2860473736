import { beforeAll, describe, expect, test } from 'vitest'
import { compileFor } from '../../compiler/compile.ts'
import { interpreter } from '../../compiler/index.ts'
import { candidates } from '../../compiler/codegen/gpu/choose.ts'
import { HARDWARE, SOFTWARE } from '../../compiler/codegen/gpu/cost-model.ts'
import type { Equation } from '../../compiler/ir/equation.ts'
import type { Schedule } from '../../compiler/codegen/gpu/schedule.ts'
import { scheduled } from '../../compiler/targets/wgsl/target.ts'
import { type Bundle, type Device, open, webgpu } from '../../runtime/index.ts'
import { normalInputs } from '../support/normal-inputs.ts'
import { weighedNet } from '../support/weighed-net.ts'
import { softwareGpu } from './webgpu.ts'

/**
 * Whatever schedule a kernel has, it gives what the float64 interpreter gives: workgroups that share memory, tiles that hang over
 * edges, blocks of statistics that one invocation goes through.
 */

let gpu: Device
const exact = interpreter()
beforeAll(async () => {
  gpu = await webgpu({ gpu: await softwareGpu() })
})

async function results(bundle: Bundle, device: Device, batch: number): Promise<Record<string, ArrayLike<number>>> {
  const net = await open(bundle, { device, batch, seed: 3, programs: ['infer', 'gradients'] })
  const inputs = normalInputs(bundle, batch)
  const { out } = await net.run({ x: inputs['x']! })
  const { grads } = await net.step(inputs, { update: false })
  net.close()
  return { out: out!, ...grads } as Record<string, ArrayLike<number>>
}

/** What the interpreter gives, whatever the schedules. */
const wanted = new Map<string, Record<string, ArrayLike<number>>>()

/** The largest difference of any result, in units of its scale. */
async function apart(text: string, batch: number, choose: (e: Equation) => Schedule): Promise<number> {
  const { bundle } = compileFor(text, [scheduled(choose)], { programs: ['infer', 'gradients'] })
  const want = wanted.get(text) ?? await results(bundle, exact, batch)
  wanted.set(text, want)
  const got = await results(bundle, gpu, batch)
  return Math.max(
    ...Object.entries(want).map(([name, values]) => {
      const largest = (of: (v: number, i: number) => number): number => Array.from(values, of).reduce((a, b) => (a >= b ? a : b), 0)
      // A gradient that cancels to nothing, such as a bias's in front of a normalization, has no scale of its own.
      const scale = Math.max(0.1, largest(Math.abs))
      return largest((v, i) => Math.abs(got[name]![i]! - v) / scale)
    }),
  )
}

const onHardware = (e: Equation): Schedule => candidates(e, HARDWARE)[0]!
const onSoftware = (e: Equation): Schedule => candidates(e, SOFTWARE, { mostStaged: 1 })[0]!
/** Another candidate for each equation. */
const another = (turn: number) => (e: Equation): Schedule => {
  const list = candidates(e, HARDWARE)
  return list[(turn * 7 + 3) % list.length]!
}

/** Windows of 3 at most: unrolled, one of 5 takes a software adapter's shader compiler many times as long, and is held by `golden/` and `fusion/`. */
const cases: readonly [name: string, text: string, batch: number][] = [
  [
    'sizes that nothing divides',
    weighedNet([3, 9, 11], 'conv(7, 3, pad: 1) -> batch_norm -> relu -> conv(5, 3) -> batch_norm', [5, 7, 9]),
    3,
  ],
  [
    'channels in fours, one image',
    weighedNet([4, 12, 12], 'conv(16, 3, pad: 1) -> batch_norm -> relu -> conv(8, 3, pad: 1)', [8, 12, 12]),
    1,
  ],
  [
    'two sides, of which one leaves room for the other',
    weighedNet([16, 15, 16], 'conv(16, 1, bias: false) -> batch_norm -> prelu -> conv(16, [3, 2], pad: [0, 0, 1, 1])', [16, 13, 17]),
    2,
  ],
  ['stride', weighedNet([4, 13, 10], 'conv(8, 3, stride: 2, pad: 1) -> batch_norm -> relu', [8, 7, 5]), 3],
  [
    'a stride behind a normalization',
    weighedNet([4, 9, 9], 'conv(16, 1) -> batch_norm -> relu -> conv(6, 3, stride: 2, pad: 1)', [6, 5, 5]),
    3,
  ],
  ['dilation', weighedNet([4, 11, 12], 'conv(8, 3, dilation: 2, pad: 2) -> batch_norm -> relu -> conv(4, 1)', [4, 11, 12]), 2],
  ['groups', weighedNet([8, 8, 8], 'conv(16, 3, pad: 1, groups: 2) -> batch_norm -> relu -> conv(8, 3, pad: 1, groups: 8)', [8, 8, 8]), 3],
  ['a map of several blocks', weighedNet([2, 40, 36], 'conv(4, 3, pad: 1) -> batch_norm -> relu -> conv(4, 3, pad: 1)', [4, 40, 36]), 2],
  ['inner products', weighedNet([6, 5, 5], 'fc(40) -> relu -> fc(12)', [12]), 5],
  [
    'normalization behind a pooling',
    weighedNet([8, 10, 10], 'conv(8, 3, pad: 1) -> max_pool(2, 2) -> batch_norm -> relu -> fc(4)', [4]),
    3,
  ],
  ['a transposed convolution', weighedNet([4, 5, 6], 'deconv(8, 4, stride: 2, pad: 1) -> batch_norm -> relu', [8, 10, 12]), 3],
]

describe.each(cases)('%s', (_, text, batch) => {
  // Sums of some hundred float32 products in any order; gradients of a normalization over few values cancel a digit.
  const near = 3e-5
  test('as graphics hardware wants it', async () => {
    expect(await apart(text, batch, onHardware)).toBeLessThan(near)
  })
  test('as a software adapter wants it', async () => {
    expect(await apart(text, batch, onSoftware)).toBeLessThan(near)
  })
  test('in other ways', async () => {
    expect(await apart(text, batch, another(batch))).toBeLessThan(near)
  })
})
