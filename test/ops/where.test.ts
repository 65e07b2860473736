import { describe, expect, test } from 'vitest'
import { ask, backward, codes, expectClose, expectGradients, fed, forward } from './run-operator.ts'

const shape = [3, 4, 2, 5]
const numbers = (first: number) => ({ numbers: [first], numbers_at: [0] })

/** 1, -2 or 0 by turns. */
const mask = (of: readonly number[]) => ({ shape: of, data: Float64Array.from(fed(of).data, (_, i) => [1, -2, 0, 0.5, 0][i % 5]!) })

describe('where', () => {
  test('takes its second operand where the mask is not 0', () => {
    const [m, a, b] = [mask(shape), fed(shape, 1), fed(shape, 2)]
    expectClose(forward({ op: 'where', inputs: [m, a, b] }), Array.from(a.data, (v, i) => (m.data[i] === 0 ? b.data[i]! : v)))
    expectGradients({ op: 'where', inputs: [m, a, b] })
    expectGradients({ op: 'where', inputs: [m, b], attributes: { numbers: [3], numbers_at: [1] } })
  })

  test('what is not taken stays out, and NaN is not 0', () => {
    const call = {
      op: 'where',
      inputs: [
        { shape: [1, 4], data: [0, 1, -0, NaN] },
        { shape: [1, 4], data: [NaN, 2, Infinity, 4] },
        { shape: [1, 4], data: [5, NaN, 7, -Infinity] },
      ],
    }
    expectClose(forward(call), [5, 2, 7, 4])
    expectClose(backward(call, Float64Array.of(1, 2, 3, 4)).inputs[1], [0, 2, 0, 4])
    expectClose(backward(call, Float64Array.of(1, 2, 3, 4)).inputs[2], [1, 0, 3, 0])
    expect(backward(call, Float64Array.of(1, 2, 3, 4)).inputs[0]).toBeUndefined()
  })

  test.each([
    [[3, 1, 2, 5], shape, shape],
    [shape, [3, 4, 1, 1], shape],
    [shape, shape, [3, 1, 1, 5]],
    [[3, 4, 1, 1], [3, 1, 2, 1], [3, 1, 1, 5]],
  ])('repeats %j, %j and %j', (m, a, b) => {
    const inputs = [mask(m), fed(a, 1), fed(b, 2)]
    expect(ask({ op: 'where', inputs })).toEqual({ shape: ['n', 4, 2, 5] })
    const at = (x: { readonly shape: readonly number[]; readonly data: ArrayLike<number> }, i: number): number => {
      const place = [Math.floor(i / 40), Math.floor(i / 10) % 4, Math.floor(i / 5) % 2, i % 5]
      return x.data[place.reduce((all, p, d) => all * x.shape[d]! + (x.shape[d] === 1 ? 0 : p), 0)]!
    }
    const want = Array.from({ length: 120 }, (_, i) => at(at(inputs[0]!, i) === 0 ? inputs[2]! : inputs[1]!, i))
    expectClose(forward({ op: 'where', inputs }), want)
    expectGradients({ op: 'where', inputs })
  })

  test('refuses what does not meet, labels, and a mask that is a number', () => {
    const x = fed([3, 4])
    expect(codes({ op: 'where', inputs: [x, fed([3, 3]), x] })).toEqual(['shape/where-mismatch'])
    expect(codes({ op: 'where', inputs: [fed([3, 4], 1, { labels: true }), x, x] })).toEqual(['shape/label-as-numbers'])
    expect(codes({ op: 'where', inputs: [x, x], attributes: numbers(1) })).toEqual(['argument/where-mask'])
  })
})
