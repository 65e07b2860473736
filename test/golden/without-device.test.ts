import { describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { rateAt } from '../../bundle/learning-rate.ts'
import { initialValues } from '../../runtime/initializers.ts'
import { compareTensor, type Comparison } from './comparison.ts'
import { fillerText } from './filler-text.ts'
import { readCase } from './golden-file.ts'
import { check, folder, names } from './suite.ts'
import { ratesText } from './train-text.ts'

describe('without a device', () => {
  for (const name of names) {
    const golden = readCase(folder, name)
    if (golden.kind === 'lr_policy') {
      test(name, () => {
        const { options, steps } = golden.meta as { options: Record<string, any>; steps: number }
        const { train } = compile(ratesText(options)).manifest
        const got = Array.from({ length: steps }, (_, t) => rateAt(train!, t))
        check(golden, [compareTensor(golden, 'out.lr', got, golden.tensors.get('out.lr')!.data, true)], 1)
      })
    }
    if (golden.kind === 'filler') {
      test(name, () => {
        const { filler, shape } = golden.meta as { filler: Record<string, any>; shape: number[] }
        const net = fillerText(filler, shape)
        const entry = compile(net.text).manifest.parameters.find((p) => p.name === net.parameter)!
        expect(entry.shape).toEqual(net.shape)
        const compared: Comparison[] = []
        const { initializer } = entry
        const deviation = initializer.kind === 'gaussian' ? initializer.deviation : NaN
        const spread = golden.tensors.get('out.spread')
        if (spread)
          compared.push(
            compareTensor(
              golden,
              'out.spread',
              [initializer.kind === 'uniform' ? (initializer.high - initializer.low) / 2 : deviation],
              spread.data,
              true,
            ),
          )
        // Xavier's half-width is sqrt(3 / fan), msra's deviation sqrt(2 / fan).
        const fan = golden.tensors.get('out.fan')
        if (fan)
          compared.push(
            compareTensor(
              golden,
              'out.fan',
              [initializer.kind === 'uniform' ? 3 / initializer.high ** 2 : 2 / deviation ** 2],
              fan.data,
              true,
            ),
          )
        const value = golden.tensors.get('out.value')
        if (value) compared.push(compareTensor(golden, 'out.value', initialValues(entry, 1), value.data, false))
        check(golden, compared, 1)
      })
    }
  }
})
