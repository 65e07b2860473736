import { describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { rateAt } from '../../runtime/index.ts'
import { initialValues } from '../../runtime/init.ts'
import { readCase } from './golden-file.ts'
import { compareTensor, type Comparison } from './run-case.ts'
import { check, folder, names } from './suite.ts'
import { scheduleText } from './train-text.ts'

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
