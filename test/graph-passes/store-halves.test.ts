import { expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import type { TensorEntry } from '../../runtime/index.ts'

/** What a program reads and writes as f16, and what as f32, by name. */
function stored(body: string, program: string): { f16: string[]; f32: string[] } {
  const text = `net small { input image: f32[3, 7, 7]  input label: class[5]\n ${body} }\n train { solver sgd(lr: 0.1) }`
  const { tensors, programs } = compile(text, { targets: ['webgpu-f16'] }).manifest.plans['webgpu-f16']!
  const touched = programs[program]!.dispatches.flatMap((d) => d.tensors).map((t) => tensors[t]!)
  const named = (test: (t: TensorEntry) => boolean): string[] => [...new Set(touched.filter(test).map((t) => t.name))].sort()
  return { f16: named((t) => t.type === 'f16'), f32: named((t) => t.type === 'f32') }
}

const body = `
  x = image -> conv(5, 3) -> batch_norm -> relu
  y = x -> conv(5, 1) -> relu
  logits = concat(x, y) -> flatten -> fc(5)
  output prob = softmax(logits)
  output seen = flatten(y)
  output joined = concat(relu(x), y)
  loss = softmax_loss(logits, label)`

test('values between layers, views of them and weights are f16; the image, results, what they show and biases are not', () => {
  expect(stored(body, 'infer')).toEqual({
    f16: ['concat_1', 'conv_1+batch_norm_1.weight', 'conv_2.weight.f16', 'fc_1', 'fc_1.weight.f16', 'flatten_1'],
    f32: ['concat_2', 'conv_1+batch_norm_1.bias', 'conv_2.bias', 'fc_1.bias', 'image', 'relu_2', 'softmax_1'],
  })
})

test('prepare computes in float32 and rounds weights alone', () => {
  const { f16, f32 } = stored(body, 'prepare')
  expect(f16).toEqual(['conv_1+batch_norm_1.weight', 'conv_2.weight.f16', 'fc_1.weight.f16'])
  expect(f32).toEqual(expect.arrayContaining(['conv_1+batch_norm_1.bias', 'conv_1+batch_norm_1.k', 'conv_2.weight', 'fc_1.weight']))
})

test('coefficients of a normalization that is not folded stay float32', () => {
  const { f16, f32 } = stored(
    'output o = image -> max_pool(2) -> batch_norm as bn -> relu -> conv(4, 2) -> fc(5)\n loss = softmax_loss(o, label)',
    'infer',
  )
  expect(f16).toEqual(['conv_1', 'conv_1.weight.f16', 'fc_1.weight.f16', 'relu_1'])
  expect(f32).toContain('bn.coefficients')
})

test('a weight that layers share is rounded once', () => {
  const { f16 } = stored(
    'a = image -> conv(3, 3, pad: 1) as one -> relu\n output o = a -> conv(3, 3, pad: 1, weights: one) -> sigmoid -> fc(5)\n loss = softmax_loss(o, label)',
    'prepare',
  )
  expect(f16).toEqual(['fc_1.weight.f16', 'one.weight.f16'])
})

test('losses and metrics are float32, whatever they are computed from', () => {
  const { f16, f32 } = stored(`${body}\n metric right = accuracy(logits, label)`, 'eval')
  expect(f16).toContain('fc_1')
  expect(f32).toEqual(
    expect.arrayContaining(['loss', 'right'].map((name) => expect.stringContaining(name === 'loss' ? 'softmax_loss' : 'accuracy'))),
  )
})

test('training is not there: what is learned is not rounded', () => {
  const plan = compile(`net a { input image: f32[3, 7, 7]  input label: class[5]\n ${body} }\n train { solver sgd(lr: 0.1) }`, {
    targets: ['webgpu-f16'],
  }).manifest.plans['webgpu-f16']!
  expect(Object.keys(plan.programs).sort()).toEqual(['eval', 'infer', 'prepare'])
})
