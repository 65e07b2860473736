import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { withoutNames } from '../../runtime/webgpu/device.ts'
import { validateWithNaga, validateWithTint } from '../devices/naga.ts'
import { kernelTexts } from '../support/kernel-texts.ts'
import { randomNet } from '../support/random-net.ts'

const samples = join(import.meta.dirname, '../../samples')
const SAMPLES = readdirSync(samples).filter((name) => name.endsWith('.net'))
/** So many random nets. */
const RANDOM = 10

/** What a software adapter is given has windows written out: kernels of deep nets are the same ones, larger. */
const DEEP = /^(resnet|densenet|mobilenet)/

interface Kernel {
  readonly name: string
  readonly code: string
  readonly pipeline: boolean
}
interface Module {
  readonly name: string
  readonly isValid: boolean
}

/**
 * Every text of every program of all samples and of some random nets, in both styles, and their modules of WebAssembly: compiled at once, which
 * derives the programs of a net once. WGSL that differs in its comments and in the names of its buffers alone is one kernel; all those
 * names are declared in a module of their own, since not every word may be one.
 */
function written(): { kernels: Kernel[]; modules: Module[] } {
  const texts = new Map<string, { name: string; code: string }>()
  const names = new Set<string>()
  const modules: Module[] = []
  const add = (net: string, text: string): void => {
    for (const style of ['merged', 'split'] as const) {
      const targets = DEEP.test(net) ? ['webgpu'] : ['webgpu', 'webgpu-software']
      const bundle = compile(text, { style, targets: [...targets, 'wasm'] })
      for (const [file, code] of targets.flatMap((target) => [...kernelTexts(bundle, target)])) {
        const key = withoutNames(code)
        if (!texts.has(key)) texts.set(key, { name: `${net} ${style} ${file}`, code })
        for (const [, name] of code.matchAll(/var<storage, \w+> (\w+):/g)) names.add(name!)
      }
      for (const [file, bytes] of bundle.files) {
        if (file.endsWith('.wasm'))
          modules.push({ name: `${net} ${style} ${file}`, isValid: WebAssembly.validate(bytes as Uint8Array<ArrayBuffer>) })
      }
    }
  }
  for (const file of SAMPLES) add(file, readFileSync(join(samples, file), 'utf8'))
  for (let seed = 1; seed <= RANDOM; seed++) add(`random ${seed}`, randomNet(seed))
  // A module is checked whole by either compiler; pipelines add the driver's work, which is not the question here.
  const declared = {
    name: 'names of buffers',
    code: `${[...names].map((name) => `var<private> ${name}: f32;`).join('\n')}\n@compute @workgroup_size(1) fn main() {}`,
  }
  return { kernels: [...texts.values(), declared].map((module) => ({ ...module, pipeline: false })), modules }
}

const { kernels, modules } = written()

describe('all WGSL that the compiler writes', () => {
  test.each([['Tint', validateWithTint], ['naga', validateWithNaga]] as const)('%s accepts it', async (_, validate) => {
    const checked = await validate(kernels)
    expect(checked.length).toBe(kernels.length)
    expect(checked.filter(({ errors }) => errors.length > 0).map(({ name, errors }) => `${name}: ${errors[0]}`)).toEqual([])
    console.log(`${kernels.length} kernels`)
  })

  test('nothing binds more than every WebGPU grants', () => {
    for (const { name, code } of kernels) {
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

test('all modules of WebAssembly that the compiler writes are valid', () => {
  // For each style one of programs that infer, one of those that train.
  expect(modules.length).toBe(2 * 2 * (SAMPLES.length + RANDOM))
  expect(modules.filter(({ isValid }) => !isValid).map(({ name }) => name)).toEqual([])
})
