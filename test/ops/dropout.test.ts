import { describe, expect, test } from 'vitest'
import { layerKey } from '../../compiler/ops/dropout.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { backward, codes, expectClose, expectGradients, fed, forward } from './run-operator.ts'

describe('dropout', () => {
  const ones = { shape: [50, 40], data: new Array<number>(2000).fill(1) }

  test('keeps or drops, and scales what it keeps', () => {
    const y = forward({ op: 'dropout', inputs: [ones], attributes: { p: 0.75 } })
    expect([...new Set(y)].sort()).toEqual([0, 4])
    // 2000 draws of probability 1/4: mean 500, standard deviation 19.4; six of them.
    const kept = y.filter((v) => v !== 0).length
    expect(Math.abs(kept - 500)).toBeLessThan(117)
  })

  test('drops the gradient of what it dropped', () => {
    const { y, inputs } = backward({ op: 'dropout', inputs: [ones], attributes: { p: 0.75 } }, ones.data)
    expect([...inputs[0]!]).toEqual([...y])
  })

  test('draws anew each step and with each seed, and the same again for the same', () => {
    const mask = (step: number, seed: number): string => forward({ op: 'dropout', inputs: [ones], scalars: { step, seed } }).join()
    expect(mask(1, 1)).toBe(mask(1, 1))
    expect(new Set([mask(1, 1), mask(2, 1), mask(1, 2)]).size).toBe(3)
  })

  test('takes a mask instead', () => {
    const x = fed([3, 4])
    const mask = { shape: [3, 4], data: [1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0] }
    const call = { op: 'dropout', inputs: [x, mask], attributes: { p: 0.25 } }
    const want = Array.from(x.data, (v, i) => (v * mask.data[i]!) / 0.75)
    expectClose(forward(call), want)
    const dy = fed([3, 4], 5).data
    expectClose(backward(call, dy).inputs[0], Array.from(dy, (v, i) => (v * mask.data[i]!) / 0.75))
    expect(backward(call, dy).inputs[1]).toBeUndefined()
  })

  test('p: 0 passes everything', () => {
    const x = fed([3, 4])
    expectClose(forward({ op: 'dropout', inputs: [x], attributes: { p: 0 } }), x.data)
    expectGradients({ op: 'dropout', inputs: [x], attributes: { p: 0 } })
  })

  test('is nothing at test time', () => expect(operators.get('dropout')!.traits?.identityAtTest).toBe(true))

  test('layers of different names draw differently', () => expect(layerKey('dropout_1')).not.toBe(layerKey('dropout_2')))

  test('refuses to drop all, and a mask of another shape', () => {
    expect(codes({ op: 'dropout', inputs: [fed([2, 3])], attributes: { p: 1 } })).toEqual(['argument/dropout-p'])
    expect(codes({ op: 'dropout', inputs: [fed([2, 3]), fed([2, 4])] })).toEqual(['shape/dropout-mask'])
  })
})
