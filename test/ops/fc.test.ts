import { describe, expect, test } from 'vitest'
import { nowhere } from '../../dsl/source.ts'
import { type Node, value } from '../../compiler/graph/graph.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { writes } from '../../compiler/ir/equation.ts'
import { ask, type Call, codes, expectClose, expectGradients, type Fed, fed, forward, noise } from './run-operator.ts'

const call = (x: Fed, out: number, more: { bias?: boolean; transpose?: boolean } = {}): Call => {
  const inputs = x.shape.slice(1).reduce((a, b) => a * b, 1)
  return {
    op: 'fc',
    inputs: [x],
    attributes: { out, ...more },
    parameters: { weight: [...noise(inputs * out, 7)], ...(more.bias !== false && { bias: [...noise(out, 8)] }) },
  }
}

/** Rows of numbers times a matrix. */
function product(x: Fed, { parameters, attributes }: Call): number[] {
  const [N, ...inner] = x.shape as [number, ...number[]]
  const I = inner.reduce((a, b) => a * b, 1)
  const O = attributes!['out'] as number
  const { weight, bias } = parameters!
  return Array.from({ length: N * O }, (_, k) => {
    const [n, o] = [Math.floor(k / O), k % O]
    let total = bias ? bias[o]! : 0
    for (let i = 0; i < I; i++) total += x.data[n * I + i]! * weight![attributes!['transpose'] ? i * O + o : o * I + i]!
    return total
  })
}

describe('fc is a matrix product', () => {
  test.each<[string, readonly number[], number, { bias?: boolean; transpose?: boolean }]>([
    ['of features', [3, 5], 4, {}],
    ['without bias', [3, 5], 4, { bias: false }],
    ['of a map, flattened as it lies', [2, 3, 2, 4], 5, {}],
    ['of rows', [2, 3, 4], 5, {}],
    ['of five dimensions', [2, 2, 1, 3, 2], 3, {}],
    ['of one number a sample', [4], 2, {}],
    ['with its weight as [in, out]', [3, 5], 4, { transpose: true }],
    ['of a map with its weight as [in, out]', [2, 3, 2, 2], 4, { transpose: true, bias: false }],
    ['to one number', [3, 6], 1, {}],
  ])('%s', (_, shape, out, more) => {
    const x = fed(shape, 3)
    const asked = call(x, out, more)
    expect(ask(asked)).toMatchObject({ shape: ['n', out] })
    expectClose(forward(asked), product(x, asked))
    expectGradients(asked)
  })
  test('where axis 0 is not the batch', () => {
    const asked = call(fed([3, 4], 1, { whole: true }), 2)
    expect(ask(asked)).toMatchObject({ shape: [3, 2] })
    expectClose(forward(asked), product(asked.inputs[0]!, asked))
    expectGradients(asked)
  })
  test.each([1, 15, 16, 17, 40])('a batch of %i is summed in chunks', (batch) => expectGradients(call(fed([batch, 3], batch), 2)))
})

describe('fc of the last axes', () => {
  /** Each point of the first axes counts as a sample. */
  const along = (shape: readonly number[], axis: number, more: { bias?: boolean; transpose?: boolean } = {}): readonly [Call, number[]] => {
    const from = axis < 0 ? axis + shape.length : axis
    const x = fed(shape, 9)
    const rows = { ...x, shape: [shape.slice(0, from).reduce((a, b) => a * b, 1), ...shape.slice(from)] }
    const asked = call(rows, 4, more)
    return [{ ...asked, inputs: [x], attributes: { ...asked.attributes, axis } }, product(rows, asked)]
  }
  test.each<[readonly number[], number, { bias?: boolean; transpose?: boolean }, readonly (number | string)[]]>([
    [[2, 3, 5], -1, {}, ['n', 3, 4]],
    [[2, 3, 5], 2, { transpose: true }, ['n', 3, 4]],
    [[2, 3, 2, 2], 2, {}, ['n', 3, 4]],
    [[3, 2, 2, 3], -1, { bias: false }, ['n', 2, 2, 4]],
    [[20, 2, 3], -1, {}, ['n', 2, 4]],
    [[3, 5], -1, {}, ['n', 4]],
  ])('%j from axis %i on %j', (shape, axis, more, out) => {
    const [asked, want] = along(shape, axis, more)
    expect(ask(asked)).toMatchObject({ shape: out })
    expectClose(forward(asked), want)
    expectGradients(asked)
  })
  test('refuses the batch and what is not there', () => {
    expect(codes({ op: 'fc', inputs: [fed([2, 3])], attributes: { out: 2, axis: 2 } })).toEqual(['argument/axis'])
    expect(codes({ op: 'fc', inputs: [fed([2, 3])], attributes: { out: 2, axis: 0 } })).toEqual(['argument/batch-axis'])
  })
})

test('weight [out, in], or [in, out]; the fans do not turn', () => {
  const parametersOf = (transpose: boolean) => ask({ op: 'fc', inputs: [fed([1, 3, 2, 2])], attributes: { out: 5, transpose } })
  expect(parametersOf(false)).toMatchObject({
    parameters: [{ role: 'weight', shape: [5, 12], filler: { fanIn: 12, fanOut: 5 } }, { role: 'bias', shape: [5] }],
  })
  expect(parametersOf(true)).toMatchObject({
    parameters: [{ role: 'weight', shape: [12, 5], filler: { fanIn: 12, fanOut: 5 } }, { role: 'bias', shape: [5] }],
  })
})

test("a large weight's gradient has no partial sums", () => {
  const [x, dy, dw] = [value('x', ['n', 800], nowhere), value('dy', ['n', 500], nowhere), value('dw', [500, 800], nowhere)]
  const node: Node = {
    name: 'fc.dweight',
    op: 'fc_dweight',
    layer: 'fc',
    inputs: [x, dy],
    parameters: {},
    outputs: [dw],
    attributes: {},
    span: nowhere,
  }
  expect(operators.get('fc_dweight')!.equations(node).map((e) => writes(e))).toEqual([[dw]])
})

test('refuses labels, and bilinear weights', () => {
  expect(codes({ op: 'fc', inputs: [fed([3], 1, { labels: true })], attributes: { out: 2 } })).toEqual(['shape/label-as-numbers'])
  expect(codes({ op: 'fc', inputs: [fed([3, 4])], attributes: { out: 2, weight_init: { call: 'bilinear', args: {} } } })).toEqual([
    'argument/bilinear',
  ])
})
