import { expect, test } from 'vitest'
import { compile, type CompileOptions } from '../../compiler/index.ts'
import { randomNet } from '../support/random-net.ts'
import { variedNet } from '../support/varied-net.ts'

// Equations are verified after each step whose text somebody asks for.
test('equations are sound after each step, from lowering on', () => {
  const text = `net t {
    input x: f32[4, 8, 8]
    input label: class[3]
    c = x -> conv(4, 3, pad: 1) -> batch_norm -> relu
    logits = concat(c -> max_pool(2), c -> conv(2, 3, stride: 2, pad: 1)) -> fc(3)
    output p = softmax(logits)
    loss = softmax_loss(logits, label)
  }`
  const watched = new Set<string>()
  const watch = (program: string, step: string, show: () => string): void => {
    if (step === 'generate' || program !== 'train') return
    expect(show()).not.toBe('')
    watched.add(step)
  }
  compile(text, { memory: 'small', targets: ['webgpu'], watch })
  expect([...watched]).toEqual(expect.arrayContaining(['lower', 'inline-elementwise', 'fuse-moments', 'fuse-sums', 'fuse', 'recompute']))
})

test.each([
  'slice(x -> batch_norm, 1, 0, 1)',
  'slice(x -> conv(3, 1) -> batch_norm, 2, 0, 5) -> conv(2, 3)',
  'concat(x -> conv(3, 1) -> batch_norm, x -> conv(2, 1) -> batch_norm) -> conv(2, 3)',
  'x -> mul(0.5) -> pad([0, 1]) -> batch_norm',
  'x -> pad(5) -> conv(2, 1) -> batch_norm',
])('and where parts of maps are read, or frames around them: %s', (layers) => {
  const text = `net t {
    input x: f32[4, 8, 8]
    input label: class[3]
    z = ${layers} -> fc(3)
    output p = z
    loss = softmax_loss(z, label)
  }`
  for (const memory of ['fast', 'small'] as const)
    compile(text, {
      memory,
      targets: ['webgpu', 'wasm'],
      programs: ['train', 'infer'],
      watch: (_program, _step, show) => expect(show()).not.toBe(''),
    })
})

test('and where a filter is transposed once, rows and columns of a window as one axis', () => {
  const steps: string[] = []
  compile('net t { input x: f32[6, 7, 3]  output y = x -> conv(4, 3) }', {
    targets: ['wasm'],
    programs: ['infer'],
    watch: (program, step, show) => steps.push(`${program} ${step} ${show()}`),
  })
  expect(steps.filter((step) => step.startsWith('prepare lower')).join()).toContain('transposed6x9x4[6, 9, 4]')
})

/** What decides which steps there are, and what they leave. */
const WAYS: readonly CompileOptions[] = [
  { targets: ['wasm'], programs: ['eval', 'train/global'], precise: true, wide: true },
  { targets: ['wasm'], programs: ['step/global'], freeze: ['conv_1'] },
  { targets: ['webgpu'], programs: ['train'], memory: 'small' },
  { targets: ['webgpu-f16'], programs: ['infer'], storage: 'f16' },
]

const SEEDS = Array.from({ length: 10 }, (_, seed) => seed + 1)

test.each(SEEDS)('and of random nets of seed %i, in two of these ways', (seed) => {
  for (const text of [randomNet(seed), variedNet(seed, SEEDS.length)])
    for (const way of [WAYS[seed % 4]!, WAYS[(seed + 1 + (seed >> 2)) % 4]!])
      compile(text, { ...way, watch: (_program, _step, show) => expect(show()).not.toBe('') })
})
