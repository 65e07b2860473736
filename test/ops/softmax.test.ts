import { describe, expect, test } from 'vitest'
import { codes, expectClose, expectGradients, fed, forward } from './run-operator.ts'

/** Over axis 1 of [n, C, rest]. */
function reference(data: ArrayLike<number>, [n, C, ...space]: readonly number[], log: boolean): number[] {
  const rest = space.reduce((a, b) => a * b, 1)
  const y = new Array<number>(data.length)
  for (let i = 0; i < n!; i++) {
    for (let p = 0; p < rest; p++) {
      const at = (c: number): number => (i * C! + c) * rest + p
      let total = 0
      for (let c = 0; c < C!; c++) total += Math.exp(data[at(c)]!)
      for (let c = 0; c < C!; c++) y[at(c)] = log ? data[at(c)]! - Math.log(total) : Math.exp(data[at(c)]!) / total
    }
  }
  return y
}

describe.each([['softmax'], ['log_softmax']])('%s', (op) => {
  test.each([[[5, 9]], [[2, 6, 3, 4]], [[3, 4, 5]], [[2, 1]]])('over the channels of %j', (shape) => {
    const x = fed(shape)
    expectClose(forward({ op, inputs: [x] }), reference(x.data, shape, op === 'log_softmax'))
    expectGradients({ op, inputs: [x] })
  })
  test('does not change with what is added to all scores', () => {
    const x = fed([3, 4])
    expectClose(forward({ op, inputs: [{ ...x, data: Array.from(x.data, (v) => v + 1000) }] }), forward({ op, inputs: [x] }), 1e-9)
  })
  test('wants channels', () => expect(codes({ op, inputs: [fed([4])] })).toEqual([`shape/${op.replace('_', '-')}-rank`]))
})
