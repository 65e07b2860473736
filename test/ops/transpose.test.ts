import { describe, expect, test } from 'vitest'
import { ask, codes, expectClose, expectGradients, type Fed, fed, forward } from './run-operator.ts'

/** The textbook's: element by element, by the places that each has in both orders. */
function transposed({ shape, data }: Fed, order: readonly number[]): number[] {
  const to = order.map((axis) => shape[axis]!)
  return Array.from(data, (_, i) => {
    let rest = i
    const at = new Array<number>(shape.length)
    for (let d = to.length - 1; d >= 0; d--) {
      at[order[d]!] = rest % to[d]!
      rest = Math.floor(rest / to[d]!)
    }
    return data[at.reduce((position, index, d) => position * shape[d]! + index, 0)]!
  })
}

describe('transpose', () => {
  test.each<[readonly number[], readonly number[], readonly number[]]>([
    [[2, 3, 4, 5], [0, 2, 3, 1], [4, 5, 3]],
    [[2, 3, 4, 5], [0, 3, 1, 2], [5, 3, 4]],
    [[2, 3, 4, 5], [0, 3, 2, 1], [5, 4, 3]],
    [[3, 4, 2], [0, 2, 1], [2, 4]],
    [[2, 3, 2, 2, 2], [0, 4, 2, 1, 3], [2, 2, 3, 2]],
    [[2, 3], [0, 1], [3]],
  ])('%j in the order %j', (shape, order, sample) => {
    const x = fed(shape, 4)
    const call = { op: 'transpose', inputs: [x], attributes: { order } }
    expect(ask(call)).toEqual({ shape: ['n', ...sample] })
    expect(Array.from(forward(call))).toEqual(transposed(x, order))
    expectGradients(call)
  })
  test('counts from the end', () => {
    const x = fed([2, 3, 4, 5])
    expectClose(forward({ op: 'transpose', inputs: [x], attributes: { order: [0, -2, -1, 1] } }), transposed(x, [0, 2, 3, 1]))
  })
  test('moves axis 0 of what has no batch', () => {
    const x = fed([3, 4], 2, { whole: true })
    const call = { op: 'transpose', inputs: [x], attributes: { order: [1, 0] } }
    expect(ask(call)).toEqual({ shape: [4, 3] })
    expect(Array.from(forward(call))).toEqual(transposed(x, [1, 0]))
    expectGradients(call)
  })
  test.each<[readonly number[]]>([[[0, 2, 1]], [[0, 1, 2, 2]], [[0, 1, 2, 4]], [[1, 2, 3]], [[1, 0, 2, 3]], [[]], [[0, 1, 2, -1]]])(
    'refuses %j of four axes',
    (order) =>
      expect(codes({ op: 'transpose', inputs: [fed([2, 3, 4, 5])], attributes: { order } })).toEqual(
        order.join() === '0,1,2,-1' ? [] : ['argument/transpose-order'],
      ),
  )
  test('refuses labels', () =>
    expect(codes({ op: 'transpose', inputs: [fed([2], 1, { labels: true })], attributes: { order: [0] } })).toEqual([
      'shape/label-as-numbers',
    ]))
})
