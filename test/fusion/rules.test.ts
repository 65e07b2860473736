import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, inspect, interpreter } from '../../compiler/index.ts'
import { type Device, open, webgpu } from '../../runtime/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { labels, normals } from '../support/random-net.ts'

const net = (body: string, end = 'output y = y'): string => `net t { input x: f32[4, 8, 8] input label: class[3] ${body} ${end} }`
const trained = (body: string): string => net(body, 'logits = y -> fc(3) output p = softmax(logits) loss = softmax_loss(logits, label)')
const kernels = (text: string, program: string, style: 'merged' | 'split' = 'merged') => inspect(text, { style }).programs[program]!.kernels
const names = (text: string, program = 'infer', style: 'merged' | 'split' = 'merged'): string[] =>
  kernels(text, program, style).map((k) => k.name)
const reasons = (text: string, program = 'infer'): string => kernels(text, program).flatMap((k) => k.why).join('\n')

describe('inference', () => {
  test('Conv + BN + activation is one kernel, from either spelling', () => {
    expect(names(net('y = x -> conv(4, 3) as c -> batch_norm as b -> relu as r'))).toEqual(['c+b+r'])
    expect(names(net('y = x -> conv(4, 3, bias: false) as c -> batch_norm(affine: false) as b -> scale(bias: true) as s -> relu as r')))
      .toHaveLength(1)
  })

  test('a residual add joins too', () => {
    expect(names(net('y = add(x -> conv(4, 3, pad: 1) as c -> batch_norm as b, x) as a -> relu as r'))).toHaveLength(1)
  })

  test('split is a pass a layer', () => {
    expect(names(net('y = x -> conv(4, 3) as c -> batch_norm as b -> relu as r'), 'infer', 'split')).toEqual(['c', 'b', 'b.scale', 'r'])
  })

  test.each([
    ['a convolution that is read twice', 'c = x -> conv(4, 3) as c y = add(c -> batch_norm as b, c)', /c.*read/],
    ['a convolution that is an output', 'c = x -> conv(4, 3) as c output c = c y = c -> batch_norm as b -> relu', /output|result/],
    ['pooling between', 'y = x -> conv(4, 3) as c -> max_pool(2) as m -> batch_norm as b', /pooling stands between/],
    ['statistics of the batch', 'y = x -> conv(4, 3) as c -> batch_norm(stats: batch) as b', /own statistics|batch/],
  ])('leaves alone: %s', (_, body, why) => {
    expect(names(net(body))).toContain('c')
    expect(reasons(net(body))).toMatch(why)
  })

  test('leaves alone: a convolution in front of pooling, which would compute it again for every window', () => {
    const text = net('y = x -> conv(4, 3) as c -> relu as r -> max_pool(3, stride: 1) as m')
    expect(names(text)).toEqual(['c+r', 'm'])
    expect(reasons(text)).toMatch(/windows or sums/)
  })

  test('leaves alone: a value read under another shape', () => {
    const text = net('y = x -> conv(4, 3) as c -> reshape([-1]) as s -> relu as r')
    expect(names(text)).toContain('c')
    expect(reasons(text)).toMatch(/another shape/)
  })

  test('leaves alone: what is too dear to repeat in a convolution', () => {
    const text = net('y = x -> gelu as g -> conv(4, 3) as c')
    expect(names(text)).toEqual(['g', 'c'])
    expect(reasons(text)).toMatch(/too dear/)
    // A rectifier is not.
    expect(names(net('y = x -> relu as g -> conv(4, 3) as c'))).toEqual(['g+c'])
  })

  test('leaves alone: what would bind more buffers than are granted everywhere', () => {
    const many = Array.from({ length: 9 }, (_, i) => `v${i} = x -> conv(4, 3, pad: 1) as c${i} output v${i} = v${i}`).join(' ')
    const text = net(`${many} y = add(add(v0, v1, v2, v3) -> sigmoid, add(v4, v5, v6, v7) -> sigmoid, v8)`)
    for (const kernel of compile(text).manifest.plans['webgpu']!.kernels) expect(kernel.bindings.length).toBeLessThanOrEqual(8)
  })
})

describe('training', () => {
  test('batch statistics come out of the convolution; normalization rides with what reads it', () => {
    const text = trained('y = x -> conv(4, 3) as c -> batch_norm as b -> relu as r -> max_pool(2) as m')
    const forward = kernels(text, 'train')
    expect(forward[0]!.name).toBe('c')
    expect(forward[0]!.why.join()).toMatch(/gathers the statistics of b/)
    expect(forward.map((k) => k.name)).not.toContain('b')
    expect(forward.map((k) => k.name)).toContain('b+r+m')
  })

  test('leaves alone: statistics of what no kernel with a sum makes', () => {
    const text = trained('y = x -> batch_norm as b -> relu')
    expect(kernels(text, 'train').some((k) => k.name.startsWith('b.moments'))).toBe(true)
    expect(reasons(text, 'train')).toMatch(/not made by one kernel|computes nothing that could carry/)
  })

  test('positions of maxima come out of the pooling that finds them', () => {
    const text = trained('y = x -> conv(4, 3) as c -> max_pool(3, stride: 2) as m')
    expect(kernels(text, 'train').filter((k) => k.name.includes('position'))).toEqual([])
  })

  test('what counts into one place is not joined: no kernel binds it twice', () => {
    const text = trained('a = x -> conv(4, 3) y = add(a -> batch_norm -> relu, a -> batch_norm -> tanh)')
    for (const [name, { programs, tensors }] of Object.entries(compile(text).manifest.plans)) {
      const counters = programs['train']!.dispatches.map((d) => d.tensors.filter((t) => tensors[t]!.name.startsWith('non_finite')).length)
      expect(Math.max(...counters), name).toBe(1)
      // Two normalizations and the solver.
      expect(counters.filter((n) => n === 1), name).toHaveLength(3)
    }
  })

  test('split has a pass for each: statistics, normalization, scale, activation', () => {
    const text = trained('y = x -> conv(4, 3) as c -> batch_norm as b -> relu as r')
    const split = names(text, 'train', 'split')
    for (const name of ['c', 'b', 'b.scale', 'r']) expect(split).toContain(name)
    expect(kernels(text, 'train', 'split').length).toBeGreaterThan(kernels(text, 'train').length)
  })
})

test('numbers of the plan: nothing is below its lower bound, merging moves fewer bytes', () => {
  const text = trained('y = x -> conv(8, 3, pad: 1) -> batch_norm -> relu -> conv(8, 3, pad: 1) -> batch_norm -> relu -> max_pool(2)')
  const [merged, split] = (['merged', 'split'] as const).map((style) => inspect(text, { style, batch: 16 }))
  for (const report of [merged!, split!]) {
    for (const program of Object.values(report.programs)) {
      for (const key of ['flops', 'bytesRead', 'bytesWritten', 'peakBytes'] as const)
        expect(program[key]).toBeGreaterThanOrEqual(program.lowerBound[key])
    }
  }
  for (const name of ['infer', 'train']) {
    const bytes = (report: typeof merged): number => report!.programs[name]!.bytesRead + report!.programs[name]!.bytesWritten
    expect(bytes(merged)).toBeLessThan(bytes(split))
  }
})

describe('nasty numbers', () => {
  let gpu: Device
  const exact = interpreter()
  beforeAll(async () => {
    gpu = await webgpu({ gpu: await softwareGpu() })
  })
  afterAll(() => {
    gpu.close()
  })

  // A 1x1 convolution whose weight is the identity hands its input on, and carries the statistics.
  const identity = Float32Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0))
  const text = `net nasty { input x: f32[4, 7, 5] input label: class[3]
    y = x -> conv(4, 1, bias: false) as c -> batch_norm as b -> relu
    logits = y -> fc(3) as f  output y = y  loss = softmax_loss(logits, label) }
    train { solver sgd(lr: 0.01) }`
  const noise = normals(3 * 140, 4)
  const inputs: Record<string, { x: Float32Array; batch: number; allowed: number }> = {
    'mean 1000, deviation 0.01': { x: noise.map((v) => 1000 + 0.01 * v), batch: 3, allowed: 1e-5 },
    'a constant channel': { x: noise.map((v, i) => (Math.floor(i / 35) % 4 === 1 ? 0.3 : v)), batch: 3, allowed: 1e-5 },
    'a batch of one': { x: noise.slice(0, 140), batch: 1, allowed: 1e-5 },
  }

  test.each(Object.keys(inputs).flatMap((name) => (['merged', 'split'] as const).map((style) => [name, style] as const)))(
    '%s, %s',
    async (name, style) => {
      const { x, batch, allowed } = inputs[name]!
      const run = async (device: Device) => {
        const opened = await open(compile(text, { style }), { device, batch, seed: 2, programs: ['gradients'] })
        await opened.setParameters(new Map([['c.weight', { shape: [4, 4, 1, 1], type: 'f32', data: identity }]]), { strict: false })
        const result = await opened.step({ x, label: labels(batch, 3, 1) }, { update: false })
        opened.close()
        return result
      }
      const [got, want] = [await run(gpu), await run(exact)]
      const compare = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
        const scale = Math.max(1, ...Array.from(b, Math.abs))
        return Math.max(...Array.from(b, (v, i) => Math.abs(a[i]! - v) / scale))
      }
      // Of order one after normalization, whatever came in: a mean in one float32 would leave no digit of the first.
      expect(compare(got.outputs['y']!, want.outputs['y']!)).toBeLessThan(allowed)
      for (const parameter of ['b.gamma', 'b.beta', 'f.weight'])
        expect(compare(got.grads[parameter]!, want.grads[parameter]!), parameter)
          .toBeLessThan(allowed)
    },
  )
})
