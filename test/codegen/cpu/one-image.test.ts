import { expect, test } from 'vitest'
import { compile } from '../../../compiler/index.ts'

/** Tasks of a sample in each kernel of a program that has convolutions or inner products. */
function tasks(body: string, program: 'infer' | 'train'): number[] {
  const text = `net n { input x: f32[16, 32, 32]  input l: class[10]
  y = x -> ${body}
  output p = y -> relu -> global_avg_pool -> fc(10) -> softmax
  loss = y -> relu -> global_avg_pool -> fc(10) -> softmax_loss(l) }
train { batch 32 solver sgd(lr: 0.1) }`
  const { manifest } = compile(text, { targets: ['wasm'], programs: [program] })
  return manifest.plans['wasm']!.programs[program]!.dispatches.filter(({ facts }) => facts?.layers.some((l) => l.includes('conv')))
    .map(({ invocations }) => invocations.perSample)
}

test('where a program infers, one image is work for several threads: by Winograd, by register tiles, of 1 x 1, strided, not square', () => {
  for (
    const body of [
      'conv(16, 3, pad: 1, bias: false) -> batch_norm -> relu',
      'conv(32, 3, pad: 1, stride: 2)',
      'conv(64, 1)',
      'conv(24, [1, 7], pad: [0, 3])',
      'conv(20, 1)',
      'deconv(32, 4, stride: 2, pad: 1)',
      'conv(32, 3, pad: 1, groups: 2)',
    ]
  )
    expect(tasks(body, 'infer')[0], body).toBeGreaterThanOrEqual(2)
})

test('where it trains, a batch is', () => {
  expect(tasks('conv(16, 3, pad: 1, bias: false) -> batch_norm -> relu', 'train')[0]).toBe(1)
})
