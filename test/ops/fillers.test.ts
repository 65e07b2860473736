import { describe, expect, test } from 'vitest'
import { fillerParameter, fillers, initializerOf } from '../../compiler/ops/fillers.ts'
import { coefficients, ratesOf } from '../../compiler/ops/shared-parameters.ts'

const fans = { fanIn: 12, fanOut: 27 }
const start = (call: string, args: Record<string, string | number> = {}) => initializerOf({ filler: { call, args }, ...fans }, false)

describe('initializers, with a fan in of 12 and a fan out of 27', () => {
  // Caffe's filler.hpp: xavier is uniform in +-sqrt(3 / n), msra gaussian of deviation sqrt(2 / n).
  test.each([
    ['xavier', {}, { kind: 'uniform', low: -0.5, high: 0.5 }],
    ['xavier', { variance_norm: 'fan_out' }, { kind: 'uniform', low: -1 / 3, high: 1 / 3 }],
    ['msra', {}, { kind: 'gaussian', mean: 0, deviation: Math.sqrt(1 / 6) }],
    ['msra', { variance_norm: 'average' }, { kind: 'gaussian', mean: 0, deviation: Math.sqrt(4 / 39) }],
    ['gaussian', { std: 0.1 }, { kind: 'gaussian', mean: 0, deviation: 0.1 }],
    ['gaussian', { std: 0.1, mean: 2 }, { kind: 'gaussian', mean: 2, deviation: 0.1 }],
    ['uniform', { lo: -1, hi: 3 }, { kind: 'uniform', low: -1, high: 3 }],
    ['constant', { value: 7 }, { kind: 'constant', value: 7 }],
    ['bilinear', {}, { kind: 'bilinear' }],
  ])('%s %o', (call, args, want) => expect(start(call, args)).toEqual(want))

  test('without a filler: msra in front of a rectifier, xavier elsewhere, or the number', () => {
    expect(initializerOf(fans, true)).toEqual(start('msra'))
    expect(initializerOf(fans, false)).toEqual(start('xavier'))
    expect(initializerOf({ ...fans, value: 3 }, true)).toEqual({ kind: 'constant', value: 3 })
  })

  test('every filler that a file may call has a formula', () => {
    for (const { name } of fillers) expect(() => start(name, { std: 1, lo: 0, hi: 1, value: 0 })).not.toThrow()
  })
})

test('bilinear fills windows alone', () => {
  const calls = (windows: boolean): string[] => {
    const { type } = fillerParameter('weight', 'doc', windows)
    return type.kind === 'call' ? type.calls.map(({ name }) => name) : []
  }
  expect(calls(true)).toContain('bilinear')
  expect(calls(false)).not.toContain('bilinear')
})

test('the last rate of a list goes on', () => {
  const rates = (i: number): number[] => Object.values(ratesOf({ lr_mult: [1, 2], decay_mult: [0] }, i))
  expect([rates(0), rates(1), rates(2)]).toEqual([[1, 0], [2, 0], [2, 0]])
})

test('a number for a filler is a constant', () => {
  const { filler } = coefficients({ attributes: { weight_init: 0.5 } }, 'weight', 4, 1, 0)
  expect(initializerOf(filler, false)).toEqual({ kind: 'constant', value: 0.5 })
})
