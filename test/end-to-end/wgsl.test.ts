import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { withoutNames } from '../../runtime/webgpu/device.ts'
import { validateWithNaga, validateWithTint } from '../devices/naga.ts'
import { kernelTexts } from '../support/kernel-texts.ts'
import { randomNet } from '../support/random-net.ts'

const samples = join(import.meta.dirname, '../../samples')

/** What a software adapter is given has windows written out: kernels of deep nets are the same ones, larger. */
const DEEP = /^(resnet|densenet|mobilenet)/

/**
 * Every text of every program of all samples and of some random nets, in both styles. What differs in its comments and in the names of
 * its buffers alone is one kernel; all those names are declared in a module of their own, since not every word may be one.
 */
function kernels(): { name: string; code: string; pipeline: boolean }[] {
  const texts = new Map<string, { name: string; code: string }>()
  const names = new Set<string>()
  const add = (net: string, text: string): void => {
    for (const style of ['merged', 'split'] as const) {
      const targets = DEEP.test(net) ? ['webgpu'] : ['webgpu', 'webgpu-software']
      const bundle = compile(text, { style, targets })
      for (const [file, code] of targets.flatMap((target) => [...kernelTexts(bundle, target)])) {
        const key = withoutNames(code)
        if (!texts.has(key)) texts.set(key, { name: `${net} ${style} ${file}`, code })
        for (const [, name] of code.matchAll(/var<storage, \w+> (\w+):/g)) names.add(name!)
      }
    }
  }
  for (const file of readdirSync(samples).filter((name) => name.endsWith('.net'))) add(file, readFileSync(join(samples, file), 'utf8'))
  for (let seed = 1; seed <= 10; seed++) add(`random ${seed}`, randomNet(seed))
  // A module is checked whole by either compiler; pipelines add the driver's work, which is not the question here.
  const declared = {
    name: 'names of buffers',
    code: `${[...names].map((name) => `var<private> ${name}: f32;`).join('\n')}\n@compute @workgroup_size(1) fn main() {}`,
  }
  return [...texts.values(), declared].map((module) => ({ ...module, pipeline: false }))
}

describe('all WGSL that the compiler writes', () => {
  const modules = kernels()

  test.each([['Tint', validateWithTint], ['naga', validateWithNaga]] as const)('%s accepts it', async (_, validate) => {
    const checked = await validate(modules)
    expect(checked.length).toBe(modules.length)
    expect(checked.filter(({ errors }) => errors.length > 0).map(({ name, errors }) => `${name}: ${errors[0]}`)).toEqual([])
    console.log(`${modules.length} kernels`)
  })

  test('nothing binds more than every WebGPU grants', () => {
    for (const { name, code } of modules) {
      expect((code.match(/var<storage/g) ?? []).length, name).toBeLessThanOrEqual(8)
      const invocations = Number(/@workgroup_size\((\d+)\)/.exec(code)![1])
      expect(invocations, name).toBeLessThanOrEqual(256)
      const bytes = [...code.matchAll(/^var<workgroup> \w+: array<(\S+), (\d+)>/gm)].map(([, type, count]) =>
        (type === 'f32' ? 4 : 16) * Number(count)
      )
      expect(bytes.reduce((sum, b) => sum + b, 0), name).toBeLessThanOrEqual(16384)
    }
  })
})
