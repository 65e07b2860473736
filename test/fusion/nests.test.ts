import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, inspectManifest, interpreter, type KernelReport } from '../../compiler/index.ts'
import { type Bundle, type Device, open, wasm } from '../../runtime/index.ts'
import { normalInputs } from '../support/normal-inputs.ts'
import { weighedNet } from '../support/weighed-net.ts'

/** How WebAssembly goes through convolutions, and that each way gives what the float64 interpreter gives. */

let cpu: Device
const exact = interpreter()
beforeAll(async () => {
  cpu = await wasm({ threads: 2 })
})
afterAll(() => {
  cpu.close()
  exact.close()
})

interface Case {
  readonly input: readonly [number, number, number]
  readonly layer: string
  readonly output: readonly [number, number, number]
}

const textOf = ({ input, layer, output }: Case): string => weighedNet(input, layer, output)

/** The net that was compiled last: it is inspected and run. */
let last: { readonly text: string; readonly bundle: Bundle } | undefined
function compiled(text: string): Bundle {
  if (last?.text !== text) last = { text, bundle: compile(text, { targets: ['wasm'], programs: ['infer', 'gradients'], estimates: true }) }
  return last.bundle
}

const kernelsOf = (text: string, program: string): readonly KernelReport[] =>
  inspectManifest(compiled(text).manifest, 'wasm', 1).programs[program]!.kernels

const wayOf = (text: string, program: string, name: RegExp): string => kernelsOf(text, program).find((k) => name.test(k.name))!.how!

/** The largest difference, in units of the tensor's scale, of outputs and all gradients. */
async function apart(text: string, batch: number): Promise<number> {
  const bundle = compiled(text)
  const [, ...found] = await Promise.all([undefined, cpu, exact].map(async (device) => {
    if (!device) return {}
    const net = await open(bundle, { device, batch, seed: 3, programs: ['infer', 'gradients'] })
    const inputs = normalInputs(bundle, batch)
    const { out } = await net.run({ x: inputs['x']! })
    const { grads } = await net.step(inputs, { update: false })
    net.close()
    return { out: out!, ...grads } as Record<string, ArrayLike<number>>
  }))
  const [got, want] = found as [Record<string, ArrayLike<number>>, Record<string, ArrayLike<number>>]
  return Math.max(
    ...Object.entries(want).map(([name, values]) => {
      const largest = (of: (v: number, i: number) => number): number => Array.from(values, of).reduce((a, b) => (a >= b ? a : b), 0)
      const scale = Math.max(1e-3, largest(Math.abs))
      return largest((v, i) => Math.abs(got[name]![i]! - v) / scale)
    }),
  )
}

describe('Winograd', () => {
  // F(4x4, 3x3) and F(2x2, 5x5) lose a digit against direct sums; the reference cases allow 2e-5 of scale for such sums.
  const cases: readonly [string, Case, RegExp][] = [
    ['3 x 3, tiles of 4 x 4', { input: [16, 16, 16], layer: 'conv(16, 3, pad: 1)', output: [16, 16, 16] }, /F\(4x4, 3x3\)/],
    ['3 x 3, tiles of 2 x 2', { input: [20, 10, 10], layer: 'conv(24, 3, pad: 1)', output: [24, 10, 10] }, /F\(4x4, 3x3\), 9 tiles/],
    [
      'tiles that end behind the map',
      { input: [20, 14, 18], layer: 'conv(12, 3, pad: 1)', output: [12, 14, 18] },
      /F\(4x4, 3x3\), 20 tiles/,
    ],
    ['5 x 5, tiles of 4 x 4', { input: [16, 16, 20], layer: 'conv(32, 5, pad: 2)', output: [32, 16, 20] }, /F\(4x4, 5x5\)/],
    ['5 x 5, tiles of 2 x 2', { input: [16, 10, 14], layer: 'conv(32, 5, pad: 2)', output: [32, 10, 14] }, /F\(4x4, 5x5\), 12 tiles/],
    ['few tiles', { input: [16, 8, 8], layer: 'conv(32, 5, pad: 2)', output: [32, 8, 8] }, /F\(4x4, 5x5\), 4 tiles/],
    [
      'fewer than four tiles a row, not four all together',
      { input: [16, 8, 12], layer: 'conv(32, 5, pad: 2)', output: [32, 8, 12] },
      /F\(4x4, 5x5\), 6 tiles/,
    ],
    ['tiles that overlap', { input: [16, 7, 7], layer: 'conv(20, 3, pad: 1)', output: [20, 7, 7] }, /F\(4x4, 3x3\), 4 tiles/],
    ['tiles that overlap, four a row', { input: [16, 7, 13], layer: 'conv(16, 3, pad: 1)', output: [16, 7, 13] }, /F\(4x4, 3x3\), 8 tiles/],
    ['few input channels', { input: [3, 16, 16], layer: 'conv(32, 5, pad: 2)', output: [32, 16, 16] }, /F\(4x4, 5x5\)/],
    [
      'output channels in items of their own',
      { input: [16, 8, 8], layer: 'conv(64, 3, pad: 1) -> batch_norm', output: [64, 8, 8] },
      /F\(4x4, 3x3\)/,
    ],
    ['windows of which few are kept', { input: [140, 4, 16], layer: 'conv(136, 3, pad: 1)', output: [136, 4, 16] }, /F\(4x4, 3x3\)/],
    ['as many products by smaller tiles', { input: [140, 6, 6], layer: 'conv(136, 3, pad: 1)', output: [136, 6, 6] }, /F\(2x2, 3x3\)/],
    ['padding on one side of nothing', { input: [16, 18, 18], layer: 'conv(16, 3)', output: [16, 16, 16] }, /F\(4x4, 3x3\)/],
    ['rows in blocks', { input: [32, 56, 56], layer: 'conv(32, 3, pad: 1)', output: [32, 56, 56] }, /F\(4x4, 3x3\)/],
    ['groups', { input: [32, 8, 8], layer: 'conv(32, 3, pad: 1, groups: 2)', output: [32, 8, 8] }, /F\(4x4, 3x3\)/],
    ['behind a normalization', {
      input: [16, 8, 8],
      layer: 'conv(16, 1) -> batch_norm -> relu -> conv(16, 3, pad: 1) -> batch_norm',
      output: [16, 8, 8],
    }, /./],
  ]
  test.each(cases)('%s', async (_, net, how) => {
    const text = textOf(net)
    expect(wayOf(text, 'infer', /conv/)).toMatch(how)
    // More images than chunks of a batch, and fewer.
    for (const batch of net.input[1] > 20 ? [2] : [2, 19]) expect(await apart(text, batch)).toBeLessThan(2e-5)
  }, 120_000)

  test('gradients take it too', () => {
    const text = textOf({ input: [16, 16, 16], layer: 'conv(16, 3, pad: 1)', output: [16, 16, 16] })
    expect(wayOf(text, 'gradients', /conv_1\.dx$/)).toMatch(/Winograd/)
    expect(wayOf(text, 'gradients', /dweight\.partial/)).toMatch(/Winograd F\(3x3, /)
    for (const channels of [3, 8, 16, 18]) {
      const five = textOf({ input: [channels, 16, 16], layer: 'conv(16, 5, pad: 2)', output: [16, 16, 16] })
      expect(wayOf(five, 'gradients', /dweight\.partial/)).toMatch(
        new RegExp(`Winograd F\\(5x5, 4x4\\), \\d+ tiles of ${channels} and 16 channels`),
      )
    }
  })
})

describe('what Winograd leaves alone', () => {
  const cases: readonly [string, Case][] = [
    ['few channels', { input: [3, 16, 16], layer: 'conv(32, 3, pad: 1)', output: [32, 16, 16] }],
    ['one channel', { input: [1, 28, 28], layer: 'conv(20, 5)', output: [20, 24, 24] }],
    ['few output channels', { input: [32, 16, 16], layer: 'conv(6, 3, pad: 1)', output: [6, 16, 16] }],
    ['steps', { input: [16, 16, 16], layer: 'conv(16, 3, stride: 2, pad: 1)', output: [16, 8, 8] }],
    ['dilation', { input: [16, 16, 16], layer: 'conv(16, 3, pad: 2, dilation: 2)', output: [16, 16, 16] }],
    ['windows that are not square', { input: [16, 16, 16], layer: 'conv(16, [3, 5], pad: [1, 2])', output: [16, 16, 16] }],
    ['one channel a group', { input: [16, 16, 16], layer: 'conv(16, 3, pad: 1, groups: 16)', output: [16, 16, 16] }],
    ['windows of one element', { input: [16, 16, 16], layer: 'conv(32, 1)', output: [32, 16, 16] }],
    ['7 x 7', { input: [16, 15, 13], layer: 'conv(18, 7, stride: 2, pad: 3)', output: [18, 8, 7] }],
    ['narrow maps', { input: [5, 9, 3], layer: 'conv(7, 3, pad: 1)', output: [7, 9, 3] }],
  ]
  test.each(cases)('%s', async (_, net) => {
    const text = textOf(net)
    for (const [program, name] of [['infer', /conv/], ['gradients', /conv_1\.dx$/], ['gradients', /dweight/]] as const)
      expect(wayOf(text, program, name)).not.toMatch(/Winograd/)
    for (const batch of [1, 18]) expect(await apart(text, batch)).toBeLessThan(1e-5)
  }, 120_000)
})

describe('what Winograd leaves alone but for the gradient of the filter', () => {
  // That sums over windows of all images: zeros behind the map cost it less than direct sums of so few columns.
  const cases: readonly [string, Case][] = [
    ['sizes that tiles do not cover evenly', { input: [16, 9, 9], layer: 'conv(16, 3, pad: 1)', output: [16, 9, 9] }],
    ['maps that overlapping tiles would cover too often', { input: [16, 5, 5], layer: 'conv(16, 3, pad: 1)', output: [16, 5, 5] }],
  ]
  test.each(cases)('%s', async (_, net) => {
    const text = textOf(net)
    for (const [program, name] of [['infer', /conv/], ['gradients', /conv_1\.dx$/]] as const)
      expect(wayOf(text, program, name)).not.toMatch(/Winograd/)
    expect(wayOf(text, 'gradients', /dweight/)).toMatch(/Winograd F\(3x3, 2x2\)/)
    for (const batch of [1, 18]) expect(await apart(text, batch)).toBeLessThan(1e-5)
  }, 120_000)
})

describe("gradients that divide a pixel's place", () => {
  // Columns between two multiples of the stride are written out; four multiples at a time.
  const cases: readonly [string, Case, RegExp][] = [
    ['maxima of overlapping windows', { input: [5, 16, 24], layer: 'max_pool(3, stride: 2, round: ceil)', output: [5, 8, 12] }, /w_block/],
    ['maxima, padded', { input: [3, 12, 12], layer: 'max_pool(3, stride: 2, pad: 1)', output: [3, 6, 6] }, /w_block/],
    ['averages', { input: [3, 16, 16], layer: 'avg_pool(3, stride: 2, round: ceil)', output: [3, 8, 8] }, /w_block/],
    ['steps of three', { input: [3, 15, 18], layer: 'avg_pool(5, stride: 3, pad: 2)', output: [3, 5, 6] }, /w_block/],
    [
      'sizes that the stride does not divide',
      { input: [3, 13, 15], layer: 'max_pool(3, stride: 2)', output: [3, 6, 7] },
      /w_block/,
    ],
    [
      'maps of few columns',
      { input: [3, 6, 6], layer: 'max_pool(3, stride: 2, round: ceil)', output: [3, 3, 3] },
      /along w at|along c|one point/,
    ],
    ['behind a normalization', {
      input: [3, 16, 16],
      layer: 'conv(8, 1) -> batch_norm -> max_pool(3, stride: 2, round: ceil) -> relu',
      output: [8, 8, 8],
    }, /w_block/],
  ]
  test.each(cases)('%s', async (_, net, how) => {
    const text = textOf(net)
    expect(wayOf(text, 'gradients', /pool_1\.dx/)).toMatch(how)
    for (const batch of [1, 5]) expect(await apart(text, batch)).toBeLessThan(1e-5)
  }, 120_000)
})

describe('sums over the batch that a gradient gathers', () => {
  // Large enough that an image is cut into items: a part of a map must not be summed up before the rest of it is there.
  const cases: readonly [string, Case][] = [
    ['a convolution of stride 2', {
      input: [4, 16, 16],
      layer: 'conv(128, 1) -> batch_norm -> relu -> conv(256, 1, stride: 2)',
      output: [256, 8, 8],
    }],
    ['rows that tell which weights meet them', {
      input: [4, 14, 14],
      layer: 'conv(64, 1) -> batch_norm -> sigmoid -> conv(8, 3, stride: 2, pad: 1)',
      output: [8, 7, 7],
    }],
    ['output channels in items of their own', {
      input: [4, 12, 12],
      layer: 'conv(128, 1) -> batch_norm -> relu -> conv(256, 1)',
      output: [256, 12, 12],
    }],
  ]
  test.each(cases)('%s', async (_, net) => {
    const text = textOf(net)
    expect(kernelsOf(text, 'gradients').flatMap((k) => k.why).join('\n')).toMatch(/gathers the sums of batch_norm_1 as it stores/)
    expect(await apart(text, 2)).toBeLessThan(1e-5)
  })
})
