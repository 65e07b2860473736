import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { compile, inspect, type KernelReport } from '../../compiler/index.ts'

const net = (body: string): string =>
  `net t { input x: f32[4, 16, 16] input label: class[3] ${body} logits = y -> fc(3) output p = softmax(logits) loss = softmax_loss(logits, label) }`
const known = new Map<string, readonly KernelReport[]>()
/** Kept: names, reasons and bytes are asked of one net. */
function kernelsOf(text: string, target: string): readonly KernelReport[] {
  const key = `${target} ${text}`
  const kernels = known.get(key) ?? inspect(text, { target, batch: 16, programs: ['train'] }).programs['train']!.kernels
  known.set(key, kernels)
  return kernels
}
const names = (text: string, target = 'wasm'): string[] => kernelsOf(text, target).map((k) => k.name)
const reasons = (text: string, target = 'wasm'): string => kernelsOf(text, target).flatMap((k) => k.why).join('\n')
/** Kernels that read maps for BN's sake alone: its statistics, its sums, its gradient. */
const ofBatchNorm = (text: string, target = 'wasm'): string[] =>
  kernelsOf(text, target).filter((k) => k.bytesRead > 16 * 4 * 256 && k.layers.every((layer) => layer.startsWith('b'))).map((k) => k.name)
/** The same without BN's gradient, which a CPU stores once for both gradients of a convolution: its statistics and sums. */
const ofStatistics = (text: string): string[] => ofBatchNorm(text).filter((name) => !/^b\d\.dx$/.test(name))

describe('backward, merged', () => {
  const chain = (activation: string): string =>
    net(`y = x -> conv(8, 3, pad: 1) as c1 -> batch_norm as b1 ${activation} -> conv(8, 3, pad: 1) as c2 -> batch_norm as b2 ${activation}`)

  test.each(['-> relu', '-> leaky_relu(slope: 0.1)', ''])('conv -> BN %s -> conv: no pass of BN alone', (activation) => {
    const text = chain(activation)
    expect(ofBatchNorm(text, 'webgpu')).toEqual([])
    expect(reasons(text, 'webgpu')).toMatch(/gathers the sums of b1/)
    expect(names(text, 'webgpu').filter((name) => name.includes('b2.dx+')).length).toBe(2)
  })

  test('conv -> BN -> relu -> conv on a CPU: what its tiles would compute again and again is stored; a pass takes sums only where they would cost packed factors', () => {
    // Dilated: Winograd's algorithm, which would pack what it computes, is for neighbours alone.
    const text = chain('-> relu').replace('conv(8, 3, pad: 1) as c2', 'conv(8, 3, pad: 2, dilation: 2) as c2')
    // Behind the inner product, whose gradient is a matrix product over blocks of images: sums of an image would cost it packed weights.
    expect(ofStatistics(text)).toEqual(['b2.sums.partial'])
    expect(reasons(text)).toMatch(/fc_1\.dx\+relu_2\.dx is faster by itself: .* its factors could not be packed/)
    expect(names(text).filter((name) => name.includes('b2.dx+'))).toEqual([])
    expect(reasons(text)).toMatch(/is faster where .* is stored/)
  })

  test('on a CPU: the phases of a gradient of stride 2 gather sums too', () => {
    const text = net(
      `y = x -> conv(8, 3, pad: 1) as c1 -> batch_norm as b1 -> relu -> conv(8, 3, stride: 2, pad: 1) as c2 -> batch_norm as b2`,
    )
    expect(kernelsOf(text, 'wasm').find((k) => /(^|\+)c2\.dx/.test(k.name))!.how).toMatch(/4 phases of a stride; direct, a tile of/)
    expect(names(text)).not.toContain('b1.sums.partial')
    expect(reasons(text)).toMatch(/gathers the sums of b1 as it stores/)
    expect(ofBatchNorm(text, 'webgpu')).toEqual([])
  })

  test('a sigmoid between is too dear to repeat in a convolution: the activated value is stored, BN still has no pass', () => {
    const text = chain('-> sigmoid')
    expect(ofStatistics(text)).toEqual(['b2.sums.partial'])
    expect(reasons(text, 'webgpu')).toMatch(/too dear to repeat/)
  })

  test.each([
    ['pooling behind BN', 'y = x -> conv(8, 3, pad: 1) as c1 -> batch_norm as b1 -> relu -> avg_pool(2) -> conv(4, 3) -> relu'],
    ['maxima behind BN', 'y = x -> conv(8, 3, pad: 1) as c1 -> batch_norm as b1 -> max_pool(2) -> relu -> conv(4, 3) -> relu'],
    ['BN behind pooling', 'y = x -> conv(8, 3, pad: 1) as c1 -> max_pool(2) -> batch_norm as b1 -> relu -> conv(4, 3) -> relu'],
    [
      'a value with several readers',
      'v = x -> conv(8, 3, pad: 1) as c1 -> batch_norm as b1 -> relu y = add(v -> conv(8, 3, pad: 1), v -> conv(8, 1))',
    ],
    [
      'a residual block',
      'v = x -> conv(8, 3, pad: 1) as c0 y = add(v -> conv(8, 3, pad: 1) as c1 -> batch_norm as b1 -> relu -> conv(8, 3, pad: 1) as c2 -> batch_norm as b2, v) -> relu -> conv(4, 3)',
    ],
    [
      'a shortcut with a BN of its own',
      'v = x -> conv(8, 3, pad: 1) as c0 y = add(v -> conv(8, 3, pad: 1) as c1 -> batch_norm as b1, v -> conv(8, 1) as c2 -> batch_norm as b2) -> relu -> conv(4, 3)',
    ],
    [
      'a concatenation that is normalized',
      'v = concat(x -> conv(8, 3, pad: 1) as c1, x -> conv(4, 3, pad: 1) as c2) y = concat(v, v -> batch_norm as b1 -> relu -> conv(8, 3, pad: 1) as c3) -> batch_norm as b2 -> relu -> conv(4, 3)',
    ],
    [
      'depthwise convolution',
      'y = x -> conv(8, 1) as c0 -> batch_norm as b1 -> relu -> conv(8, 3, groups: 8, pad: 1) as c1 -> batch_norm as b2 -> relu -> conv(4, 1)',
    ],
  ])('%s: statistics and sums come out of other kernels', (_, body) => {
    expect(ofStatistics(net(body))).toEqual([])
  })

  test('a concatenation is written by what makes its parts', () => {
    const text = net(
      'v = x -> conv(8, 3, pad: 1) as c0 -> relu y = concat(v, v -> conv(8, 3, pad: 1) as c3) as j -> batch_norm as b2 -> relu -> conv(4, 3)',
    )
    expect(names(text)).not.toContain('j.1')
    expect(reasons(text)).toMatch(/stores at once where j.1 would have copied it/)
  })

  test('leaves alone: BN behind fc, whose features have one value an image', () => {
    const text = net('y = x -> fc(16) as f -> batch_norm as b1 -> relu')
    expect(names(text)).toContain('b1.sums.partial')
  })

  test('leaves alone: layers of style split', () => {
    const text = net('y = x -> conv(8, 3, pad: 1) as c1 -> batch_norm(style: split) as b1 -> relu -> conv(8, 3, pad: 1) as c2')
    expect(names(text)).toContain('b1.sums.partial')
    expect(reasons(text)).toMatch(/style split/)
  })

  test('running statistics are updated by the kernel that merges those of the batch', () => {
    for (const target of ['wasm', 'webgpu']) {
      expect(names(chain('-> relu'), target).filter((name) => /update/.test(name))).toEqual([
        'b1.moments.statistics+b1.update',
        'b2.moments.statistics+b2.update',
      ])
    }
    // Behind fc too; a net in split style has a kernel for each.
    expect(names(net('y = x -> fc(16) as f -> batch_norm as b1 -> relu'))).toContain('b1.moments.statistics+b1.update')
    expect(inspect(chain('-> relu'), { target: 'wasm', style: 'split', programs: ['train'] }).programs['train']!.kernels.map((k) => k.name))
      .toContain('b1.update')
  })

  test('the update of all parameters is one dispatch', () => {
    expect(names(chain('-> relu')).filter((name) => name.startsWith('solver'))).toEqual(['solver'])
  })

  test('no kernel binds more than is granted everywhere; what that keeps apart is said', () => {
    const text = net(
      'v = x -> conv(8, 3, pad: 1) as c0 -> batch_norm as b0 -> relu y = add(v -> conv(8, 3, pad: 1) as c1 -> batch_norm as b1 -> relu -> conv(8, 3, pad: 1) as c2 -> batch_norm as b2, v -> conv(8, 1) -> batch_norm as b3) -> relu -> conv(4, 3)',
    )
    for (const kernel of compile(text).manifest.plans['webgpu']!.kernels) expect(kernel.bindings.length, kernel.name).toBeLessThanOrEqual(8)
    expect(reasons(text, 'webgpu')).toMatch(/would bind \d+ buffers/)
  })
})

/**
 * Bytes that kernels read and write, counted from the plan for 32 images.
 *
 * A residual block without BN moves its two maps and its shortcut 5 times: conv1 reads z and writes a; conv2 reads a and the
 * shortcut, and writes z. With statistics of the batch conv2's result has to be complete before it can be normalized and added,
 * so it is written and read once more: 6 / 5 is the least that any plan can reach. It is reached where the next block's conv1
 * computes and stores z as it loads it; stem and classifier make it less for a whole net.
 */
describe('bytes of training', () => {
  const sample = (name: string): string => readFileSync(new URL(`../../samples/${name}.net`, import.meta.url), 'utf8')
  const withoutBatchNorm = (text: string): string => text.replace(/->\s*batch_norm(\((?:[^()]|\([^()]*\))*\))?(\s+as \w+)?/g, '')
  const bytes = (kernels: readonly { bytesRead: number; bytesWritten: number }[]): number =>
    kernels.reduce((sum, k) => sum + k.bytesRead + k.bytesWritten, 0)
  const trainOf = (text: string, target: string, style: 'merged' | 'split' = 'merged') =>
    inspect(text, { target, style, batch: 32, programs: ['train'] }).programs['train']!.kernels
  /** Up to the gradient of the loss; the update of running statistics is no part of it. */
  const forward = <K extends { name: string }>(kernels: readonly K[]): K[] =>
    kernels.slice(0, kernels.findIndex((k) => /\.seed|\.divisor|\.dx/.test(k.name))).filter((k) => !/^[^+]*\.(update|count)$/.test(k.name))

  test.each(
    [
      ['cifar10_quick', 1.05],
      ['resnet20', 6 / 5],
      ['resnet18', 6 / 5],
      ['densenet40', 1.05],
    ] as const,
  )('%s', (name, most) => {
    const text = sample(name)
    const split = bytes(trainOf(text, 'webgpu', 'split'))
    const merged = trainOf(text, 'webgpu')
    expect(bytes(forward(merged)) / bytes(forward(trainOf(withoutBatchNorm(text), 'webgpu'))), 'forward, to the same net without BN')
      .toBeLessThanOrEqual(most)
    expect(bytes(merged) / split, 'a step, to split').toBeLessThanOrEqual(0.5)
  })

  // Time decides there, and what is stored for it is little beside what split stores.
  test('on a CPU the peak of a step is at most 0.75 of split', () => {
    const peak = (style: 'merged' | 'split'): number =>
      inspect(sample('resnet20'), { target: 'wasm', style, batch: 32, programs: ['train'] }).programs['train']!.peakBytes
    expect(peak('merged') / peak('split')).toBeLessThanOrEqual(0.75)
  })
})
