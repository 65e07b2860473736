import { expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'

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
