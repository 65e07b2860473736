import { describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import type { Bundle } from '../../bundle/format.ts'
import { sectionsOf } from '../../bundle/sections.ts'
import { kernelTexts } from '../support/kernel-texts.ts'

/** Equal blocks in a row. */
const deep = (blocks: number): string =>
  `net deep {
  input image: f32[8, 12, 12]
  input label: class[3]
  x = image
  for i in 0..${blocks} {
    x = add(x -> conv(8, 3, pad: 1) as conv{i} -> batch_norm as bn{i} -> relu as relu{i}, x)
  }
  logits = x -> global_avg_pool -> fc(3)
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { solver sgd(lr: 0.1) batch 8 }`

const sizes = ({ manifest, files }: Bundle) => ({
  kernels: Object.values(manifest.plans).map((plan) => plan.kernels.length),
  dispatches: manifest.plans['webgpu']!.programs['train']!.dispatches.length,
  wgsl: [...files].filter(([name]) => name.endsWith('.wgsl')).reduce((sum, [, text]) => sum + text.length, 0),
})

describe('layers of one shape', () => {
  const [five, nine] = [compile(deep(5)), compile(deep(9))]

  test('share their kernels, on every target: a deeper net has more dispatches and no more of them', () => {
    const [small, large] = [sizes(five), sizes(nine)]
    expect(large.dispatches).toBeGreaterThan(small.dispatches + 4 * 4)
    expect(large.kernels).toEqual(small.kernels)
    // But for the names above them.
    expect(large.wgsl).toBeLessThan(1.02 * small.wgsl)
  })

  test('have one text, under the names of the first and with a word of the others', () => {
    for (const [name, text] of kernelTexts(nine, 'webgpu')) {
      expect(name).not.toMatch(/(conv|bn|relu)[45]\b/)
      expect(text).not.toMatch(/^@group.*(conv|bn|relu)[45]_/m)
    }
    const heads = [...kernelTexts(nine, 'webgpu').values()].map((text) => text.split('\n')[0]!)
    expect(heads).toContainEqual(expect.stringMatching(/^\/\/ the same for .*conv[45].*and \d+ more$/))
  })

  test('no two texts of a plan differ in names alone', () => {
    const nameless = [...kernelTexts(nine, 'webgpu').values()].map((text) => {
      const names = [...text.matchAll(/^@group.* var<storage, \w+> (\w+):/gm)].map(([, name]) => name!)
      return text.replace(/^\/\/.*$/gm, '').replace(/[A-Za-z_]\w*/g, (word) => (names.includes(word) ? `#${names.indexOf(word)}` : word))
    })
    expect(new Set(nameless).size).toBe(nameless.length)
  })

  test('the part that infers is the beginning of every list', () => {
    for (const plan of Object.values(nine.manifest.plans)) {
      const used = ['prepare', 'infer', 'eval'].flatMap((name) => plan.programs[name]!.dispatches.map((d) => d.kernel))
      const last = Math.max(...used)
      expect(new Set(used).size).toBe(last + 1)
      expect(plan.kernels.slice(0, last + 1).every(({ file = 'webgpu/infer.wgsl' }) => file === 'webgpu/infer.wgsl')).toBe(true)
      if (plan.modules) expect(plan.modules.infer!.kernels).toBe(last + 1)
    }
  })
})

describe('sections of a file', () => {
  test('are what stands between the lines that name them', () => {
    const sections = sectionsOf('head\n//// a+b\none\n// //// not here\ntwo\n//// c\n//// d-2\nlast')
    expect([...sections]).toEqual([
      ['a+b', { text: 'one\n// //// not here\ntwo\n', line: 3 }],
      ['c', { text: '', line: 7 }],
      ['d-2', { text: 'last', line: 8 }],
    ])
    expect([...sectionsOf('//// only\nx\n')]).toEqual([['only', { text: 'x\n', line: 2 }]])
    expect(sectionsOf('no section').size).toBe(0)
    expect(sectionsOf('').size).toBe(0)
  })
})
