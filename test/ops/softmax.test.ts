import { describe, expect, test } from 'vitest'
import { backward, codes, expectClose, expectGradients, fed, forward, noise } from './run-operator.ts'

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
  test.each<[readonly number[], Record<string, number>, readonly number[]]>([
    [[2, 3, 4], { axis: -1 }, [6, 4]],
    [[2, 3, 4], { axis: 2 }, [6, 4]],
    [[2, 3, 2, 2], { axis: 1, end: -1 }, [2, 12]],
    [[2, 2, 3, 2], { axis: 1, end: 2 }, [2, 6, 2]],
    [[2, 3, 2, 2], { axis: 3, end: 3 }, [12, 2]],
    [[1, 3, 40, 40], { axis: 1, end: 3 }, [1, 4800]],
  ])('of %j along %j', (shape, attributes, seen) => {
    const x = fed(shape)
    expectClose(forward({ op, inputs: [x], attributes }), reference(x.data, seen, op === 'log_softmax'))
    if (x.data.length < 100) expectGradients({ op, inputs: [x], attributes })
  })
  test('of many along several axes hands back what those of one axis do', () => {
    const [map, row] = [fed([1, 3, 40, 40], 4), fed([1, 4800], 4)]
    const dy = noise(4800, 5)
    expectClose(
      backward({ op, inputs: [map], attributes: { axis: 1, end: 3 } }, dy).inputs[0],
      backward({ op, inputs: [row] }, dy).inputs[0]!,
    )
  })
  test('refuses axes that are none', () => {
    expect(codes({ op, inputs: [fed([2, 3])], attributes: { axis: 2 } })).toEqual(['argument/axis'])
    expect(codes({ op, inputs: [fed([2, 3])], attributes: { axis: 0 } })).toEqual(['argument/batch-axis'])
    expect(codes({ op, inputs: [fed([2, 3, 4])], attributes: { axis: 2, end: 1 } })).toEqual([`argument/${op.replace('_', '-')}-range`])
  })
  test('wants channels', () => expect(codes({ op, inputs: [fed([4])] })).toEqual([`shape/${op.replace('_', '-')}-rank`]))
})
