import { expect, test } from 'vitest'
import { compile } from '../../../compiler/index.ts'

const net = (train: string): string =>
  `net n {
  input x: f32[32, 4, 4]
  loss = sum(x -> conv(32, 3, pad: 1, bias: false) as a -> batch_norm -> relu -> conv(32, 3, pad: 1, bias: false) as b -> pow(2))
}
train { ${train} solver sgd(lr: 0.1) }`

/** How each kernel of a step is computed. */
const kernels = (train: string, batch?: number): readonly unknown[] => {
  const { manifest } = compile(net(train), { targets: ['wasm'], programs: ['train'], ...(batch !== undefined && { batch }) })
  return manifest.plans['wasm']!.programs['train']!.dispatches.map(({ name, facts }) => [name, facts?.how])
}

test('kernels are chosen for the batch that the file names, or who compiles it', () => {
  const [of1, of32] = [kernels('batch 1'), kernels('batch 32')]
  expect(of32).not.toEqual(of1)
  expect(kernels('')).toEqual(of1)
  expect(kernels('', 32)).toEqual(of32)
  expect(kernels('batch 1', 32)).toEqual(of32)
  expect(kernels('batch 32', 1)).toEqual(of1)
})
