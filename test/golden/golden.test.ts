import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { interpreter } from '../../compiler/index.ts'
import { type Device, rateAt, webgpu } from '../../runtime/index.ts'
import { initialValues } from '../../runtime/init.ts'
import { compile } from '../../compiler/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { caseNames, type GoldenCase, readCase } from './golden-file.ts'
import { hasBatchNorm } from './net-text.ts'
import { compareTensor, type Comparison, runCase, type Run } from './run-case.ts'
import { scheduleText } from './train-text.ts'

/** Any folder of the same format: `GOLDEN_DIR=... npm run test:golden`. */
const folder = process.env['GOLDEN_DIR'] ?? join(import.meta.dirname, '../../../shared/golden')

const devices: Record<string, Device> = {}
let ran = 0

beforeAll(async () => {
  devices['interpreter'] = interpreter()
  devices['webgpu'] = await webgpu({ gpu: await softwareGpu() })
})
afterAll(() => {
  for (const device of Object.values(devices)) device.close()
  console.log(`golden: ${ran} runs of ${names.length} cases`)
})

const names = existsSync(folder) ? caseNames(folder) : []

test('the folder of reference cases is there', () => {
  expect(names.length, `no cases in ${folder}: set GOLDEN_DIR`).toBeGreaterThan(0)
})

/**
 * Kinds of layers in which WGSL's own exp, division and sqrt count, which it grants a few units in the last place: there
 * float32 devices may use up to 4 times the tolerance. The cases that need it are listed by `npm run test:golden -- --reporter=verbose`.
 */
const looser = (golden: GoldenCase): number =>
  golden.kind === 'solver' || golden.layers.some((layer) => /Sigmoid|TanH|ELU|BNLL|GELU|SiLU|Softmax|Hinge|Euclidean|CrossEntropy|PReLU|LRN/.test(layer.type)) ? 4 : 1

function check(golden: GoldenCase, compared: readonly Comparison[], factor: number): void {
  expect(compared.length, 'something was compared').toBeGreaterThan(0)
  const wrong = compared.filter((c) => !(c.error <= c.allowed * factor))
  const tight = compared.filter((c) => c.error > c.allowed && c.error <= c.allowed * factor)
  for (const c of tight) console.log(`${golden.name}: ${c.tensor} needs ${(c.error / c.allowed).toFixed(2)} times the tolerance`)
  expect(wrong.map((c) => `${c.tensor}: off by ${c.error.toExponential(2)}, allowed ${(c.allowed * factor).toExponential(2)}`)).toEqual([])
  ran++
}

describe.each(['interpreter', 'webgpu'])('%s', (device) => {
  for (const name of names) {
    const golden = readCase(folder, name)
    if (golden.kind === 'filler' || golden.kind === 'lr_policy') continue
    const withBn = hasBatchNorm(golden) || golden.kind === 'bn_stats'
    const spellings = withBn ? (['as given', 'other'] as const) : (['as given'] as const)
    const styles = golden.kind === 'solver' ? (['merged'] as const) : (['merged', 'split'] as const)
    for (const style of styles) {
      for (const spelling of spellings) {
        for (const everyBlob of golden.kind === 'net' && golden.layers.length > 1 ? [true, false] : [true]) {
          const run = (): Run => ({ device: devices[device]!, float64: device === 'interpreter', style, spelling, everyBlob })
          const label = `${name} (${style}${withBn ? `, spelled ${spelling === 'as given' ? 'as given' : 'the other way'}` : ''}${everyBlob ? '' : ', final blobs alone'})`
          test(label, async () => {
            check(golden, await runCase(golden, run()), device === 'interpreter' ? 1 : looser(golden))
          })
        }
      }
    }
  }
})

describe('without a device', () => {
  for (const name of names) {
    const golden = readCase(folder, name)
    if (golden.kind === 'lr_policy') {
      test(name, () => {
        const { options, steps } = golden.meta as { options: Record<string, any>; steps: number }
        const text = `net rates { input x: f32[1] loss = sum(fc(x, 1)) } train { solver sgd(lr: ${options['base_lr']}) ${scheduleText(options)} }`
        const { train } = compile(text).manifest
        const got = Array.from({ length: steps }, (_, t) => rateAt(train!, t))
        check(golden, [compareTensor(golden, 'out.lr', got, golden.tensors.get('out.lr')!.data, true)], 1)
      })
    }
    if (golden.kind === 'filler') {
      test(name, () => {
        const { filler, shape } = golden.meta as { filler: Record<string, any>; shape: number[] }
        const args = Object.entries(filler).filter(([key]) => key !== 'type').map(([key, v]) => `${key}: ${v}`)
        const call = `${filler['type']}${args.length > 0 ? `(${args.join(', ')})` : ''}`
        const [out, per, h, w] = shape as [number, number, number, number]
        const net = shape.length === 4
          ? filler['type'] === 'bilinear'
            ? `input x: f32[${out}, 8, 8] y = conv(x, ${out}, [${h}, ${w}], groups: ${out}, weight_init: ${call}) as layer`
            : `input x: f32[${per}, 8, 8] y = conv(x, ${out}, [${h}, ${w}], weight_init: ${call}) as layer`
          : `input x: f32[${per}] y = fc(x, ${out}, weight_init: ${call}) as layer`
        const entry = compile(`net fillers { ${net} output y = y }`).manifest.parameters.find((p) => p.name === 'layer.weight')!
        expect(entry.shape).toEqual(shape)
        const compared: Comparison[] = []
        const spread = golden.tensors.get('out.spread')
        if (spread) {
          const { initializer } = entry
          const got = initializer.kind === 'uniform' ? initializer.high : initializer.kind === 'gaussian' ? initializer.deviation : NaN
          compared.push(compareTensor(golden, 'out.spread', [got], spread.data, true))
        }
        const value = golden.tensors.get('out.value')
        if (value) compared.push(compareTensor(golden, 'out.value', initialValues(entry, 1), value.data, false))
        check(golden, compared, 1)
      })
    }
  }
})
