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
