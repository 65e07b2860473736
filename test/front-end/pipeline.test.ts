import { expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { GENERATE, KERNEL_STEPS, REMOVABLE } from '../../compiler/pipeline.ts'

const NET = 'net one { input x: f32[4]; input label: class[3]; y = x -> fc(3) -> relu; loss = softmax_loss(y, label) }'.replaceAll(
  ';',
  '\n',
)

const steps = (options: object, target = 'webgpu', of = 'train'): string[] => {
  const seen: string[] = []
  compile(NET, { targets: [target], programs: [of], ...options, watch: (program, name) => program === of && seen.push(name) })
  return seen
}

test('the steps over kernels are watched in the order of the list, behind those over the graph', () => {
  const seen = steps({ memory: 'small' })
  // Weights are packed before for inference alone, where memory need not be small.
  const overKernels = [...KERNEL_STEPS.filter((name) => name !== 'prepack'), GENERATE]
  expect(seen.slice(-overKernels.length)).toEqual(overKernels)
  expect(seen.slice(0, -overKernels.length)).toContain('differentiate')
  const inferred = [...KERNEL_STEPS.filter((name) => name !== 'recompute'), GENERATE]
  expect(steps({}, 'wasm', 'eval').filter((name) => inferred.includes(name))).toEqual(inferred)
})

test('whatever may be left out is left out, and what a bundle needs may not', () => {
  const removable = REMOVABLE.filter((name) => name !== 'fuse')
  for (const name of removable) expect(steps({ memory: 'small', without: [name] })).not.toContain(name)
  expect(REMOVABLE).not.toContain('lower')
  // Without these a net would compute other numbers: dropout at inference, layers unnormalized, nothing learnt.
  for (
    const name of [
      'lower',
      'eliminate-identities',
      'expand-batch-norm',
      'differentiate',
      'apply-solver',
      'select-outputs',
      'eliminate-dead',
    ]
  )
    expect(() => steps({ without: [name] })).toThrow(`${name} is part of what a net means`)
  // Without `fuse` nothing is joined, and what there is is listed.
  expect(steps({ without: ['fuse'] }).filter((name) => KERNEL_STEPS.includes(name))).toEqual(['lower', 'fuse'])
})
