import { describe, expect, test } from 'vitest'
import { ask, backward, codes, expectClose, expectGradients, type Fed, fed, forward, noise } from './run-operator.ts'

type Kind = 'mean' | 'sum' | 'max' | 'min' | 'l1' | 'l2'

const OF: Readonly<Record<Kind, (group: readonly number[]) => number>> = {
  mean: (group) => group.reduce((a, b) => a + b, 0) / group.length,
  sum: (group) => group.reduce((a, b) => a + b, 0),
  max: (group) => Math.max(...group),
  min: (group) => Math.min(...group),
  l1: (group) => group.reduce((a, b) => a + Math.abs(b), 0),
  l2: (group) => Math.hypot(...group),
}

/** The elements that each result is made of, results and elements in row order. */
function groups({ shape, data }: Pick<Fed, 'shape' | 'data'>, axes: readonly number[]): number[][] {
  const found = new Map<string, number[]>()
  Array.from(data, (v, i) => {
    let rest = i
    const at = [...shape].reverse().map((size) => {
      const here = rest % size
      rest = Math.floor(rest / size)
      return here
    }).reverse()
    const key = at.filter((_, d) => !axes.includes(d)).map((k) => String(k).padStart(9, '0')).join()
    const group = found.get(key)
    if (group) group.push(v)
    else found.set(key, [v])
  })
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group)
}

describe.each<[Kind]>([['mean'], ['sum'], ['max'], ['min'], ['l1'], ['l2']])('reduce_%s', (kind) => {
  const op = `reduce_${kind}`
  test.each<[readonly number[], readonly number[]]>([
    [[1, 3, 2, 3], [2, 3]],
    [[1, 3, 2, 3], [1]],
    [[1, 3, 2, 3], [1, 2, 3]],
    [[1, 3, 2, 3], [1, 3]],
    [[2, 5], [1]],
    [[1, 2, 2, 2, 2], [2, 4]],
  ])('of %j along %j', (shape, axes) => {
    const x = fed(shape, 7)
    const want = groups(x, axes).map(OF[kind])
    for (const keep of [true, false]) {
      const call = { op, inputs: [x], attributes: { axes, keep } }
      const sample = keep ? shape.map((dim, d) => (axes.includes(d) ? 1 : dim)) : shape.filter((_, d) => !axes.includes(d))
      expect(ask(call)).toEqual({ shape: ['n', ...sample.slice(1)] })
      expectClose(forward(call), want)
    }
    expectGradients({ op, inputs: [x], attributes: { axes: axes.map((a) => a - shape.length).reverse(), keep: axes.length > 1 } })
  })
  // In two steps, and along one axis in rows.
  test.each<[readonly number[], readonly number[]]>([[[1, 3, 40, 50], [1, 2, 3]], [[1, 9216], [1]], [[2, 70, 70], [1, 2]]])(
    'of many: %j along %j',
    (shape, axes) => {
      const x = fed(shape, 3)
      expectClose(forward({ op, inputs: [x], attributes: { axes } }), groups(x, axes).map(OF[kind]), 1e-9)
    },
  )
  test('of what has no batch along axis 0', () => {
    const x = fed([3, 4], 5, { whole: true })
    expectClose(forward({ op, inputs: [x], attributes: { axes: [0] } }), groups(x, [0]).map(OF[kind]))
    expectGradients({ op, inputs: [x], attributes: { axes: [0, 1], keep: false } })
  })
  test('refuses axes that are none', () => {
    const inputs = [fed([2, 3, 4])]
    expect(codes({ op, inputs, attributes: { axes: [3] } })).toEqual(['argument/axis'])
    expect(codes({ op, inputs, attributes: { axes: [-4] } })).toEqual(['argument/axis'])
    expect(codes({ op, inputs, attributes: { axes: [] } })).toEqual(['argument/axes'])
    expect(codes({ op, inputs, attributes: { axes: [1, -2] } })).toEqual(['argument/axes'])
    expect(codes({ op, inputs, attributes: { axes: [0] } })).toEqual(['argument/batch-axis'])
  })
})

test.each([['max', [3, 1, 3, 2]], ['min', [0, 5, 0, 2]]])('of equal ones reduce_%s hands its gradient to the first', (kind, data) => {
  const { inputs } = backward({ op: `reduce_${kind}`, inputs: [{ shape: [1, 2, 2], data }], attributes: { axes: [1, 2] } }, [7])
  expect([...inputs[0]!]).toEqual([7, 0, 0, 0])
})

test('the gradient of a norm that is 0 is 0', () => {
  for (const kind of ['l1', 'l2']) {
    const { inputs } = backward({ op: `reduce_${kind}`, inputs: [{ shape: [1, 3], data: [0, 0, 0] }], attributes: { axes: [1] } }, [1])
    expect([...inputs[0]!]).toEqual([0, 0, 0])
  }
})

describe('arg_max', () => {
  const x = { shape: [2, 3, 2], data: [1, 9, 4, 9, 4, 2, -1, -5, -1, -6, -2, -5] }
  test('is the position of the first, or of the last', () => {
    expect([...forward({ op: 'arg_max', inputs: [x] })]).toEqual([1, 0, 0, 0])
    expect([...forward({ op: 'arg_max', inputs: [x], attributes: { last: true } })]).toEqual([2, 1, 1, 2])
    expect([...forward({ op: 'arg_max', inputs: [x], attributes: { axis: -1 } })]).toEqual([1, 1, 0, 0, 0, 0])
  })
  test('as numpy has it, of many', () => {
    const many = { shape: [2, 5, 3], data: noise(30, 8) }
    const want = groups(many, [1]).map((group) => group.indexOf(Math.max(...group)))
    expect([...forward({ op: 'arg_max', inputs: [many] })]).toEqual(want)
  })
  test('keeps its axis or drops it', () => {
    expect(ask({ op: 'arg_max', inputs: [fed([2, 3, 4, 5])], attributes: { axis: 2 } })).toEqual({ shape: ['n', 3, 1, 5] })
    expect(ask({ op: 'arg_max', inputs: [fed([2, 3, 4, 5])], attributes: { axis: -1, keep: false } })).toEqual({ shape: ['n', 3, 4] })
  })
  test('refuses the batch and what is not there', () => {
    expect(codes({ op: 'arg_max', inputs: [fed([2, 3])], attributes: { axis: 0 } })).toEqual(['argument/batch-axis'])
    expect(codes({ op: 'arg_max', inputs: [fed([2, 3])], attributes: { axis: 2 } })).toEqual(['argument/axis'])
  })
})
