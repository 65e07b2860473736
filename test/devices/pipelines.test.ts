import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { planFor } from '../../bundle/plans.ts'
import { sectionsOf } from '../../bundle/sections.ts'
import { compile } from '../../compiler/index.ts'
import { type Bundle, type Device, open, webgpu } from '../../runtime/index.ts'
import { softwareGpu } from './webgpu.ts'

/** What is compiled when a net is opened for inference: each kind of kernel once, and nothing that only training runs. */

/** The number of pipelines that are asked for. None is made, which takes a software adapter half a minute: opening fails once it has asked for all. */
async function pipelinesOf(bundle: Bundle, device: Device): Promise<number> {
  const { gpu } = device as unknown as { gpu: GPUDevice }
  let count = 0
  const put = (name: keyof GPUDevice, value: () => unknown): void => void Object.defineProperty(gpu, name, { value })
  put('createShaderModule', () => ({ getCompilationInfo: async () => ({ messages: [] }) }))
  for (const name of ['createComputePipelineAsync', 'createComputePipeline'] as const)
    put(name, () => (count++, Promise.reject(new Error('none is made'))))
  await expect(open(bundle, { device, batch: 1, programs: ['infer'] })).rejects.toThrow('none is made')
  return count
}

/** How many kernels of the dispatches of inference differ by more than names: comments left out, identifiers numbered as they come. */
function kindsOf(bundle: Bundle): number {
  const plan = Object.values(bundle.manifest.plans)[0]!
  const used = new Set(['prepare', 'infer'].flatMap((name) => plan.programs[name]?.dispatches ?? []).map((dispatch) => dispatch.kernel))
  return new Set([...used].map((index) => {
    const { file, section, name } = plan.kernels[index]!
    const text = sectionsOf(bundle.files.get(file!) as string).get(section!)!.text
    expect(text, name).toContain('fn main')
    const numbers = new Map<string, number>()
    return text.replace(/\/\/.*/g, '').replace(/\b[A-Za-z_]\w*\b/g, (word) => {
      if (!numbers.has(word)) numbers.set(word, numbers.size)
      return `#${numbers.get(word)}`
    })
  })).size
}

// The last figure: the dispatches of `prepare` and `infer`, so many pipelines would there be without sharing.
test.each(
  [
    ['cifar10_quick', 'merged', ['infer', 'train'], 15],
    ['cifar10_quick', 'split', ['infer'], 19],
    ['resnet20', 'merged', ['infer'], 66],
    ['resnet20', 'split', ['infer'], 95],
  ] as const,
)('%s, %s, %s: as many pipelines as kinds of kernels', async (net, style, programs, dispatches) => {
  const text = readFileSync(join(import.meta.dirname, `../../samples/${net}.net`), 'utf8')
  const device = await webgpu({ gpu: await softwareGpu() })
  const target = planFor(device)
  const bundle = compile(text, { style, targets: [target], programs })
  const plan = bundle.manifest.plans[target]!
  expect(['prepare', 'infer'].reduce((sum, name) => sum + (plan.programs[name]?.dispatches.length ?? 0), 0)).toBe(dispatches)
  expect(await pipelinesOf(bundle, device)).toBe(kindsOf(bundle))
  device.close()
})
