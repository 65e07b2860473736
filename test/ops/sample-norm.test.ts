import { describe, expect, test } from 'vitest'
import type { Attributes } from '../../dsl/signature.ts'
import { ask, codes, expectClose, expectGradients, type Fed, fed, forward, noise, size } from './run-operator.ts'

/** The places of all elements of a shape, in row order. */
const places = (shape: readonly number[]): number[][] =>
  Array.from({ length: size(shape) }, (_, i) => {
    let rest = i
    return [...shape].reverse().map((dim) => {
      const here = rest % dim
      rest = Math.floor(rest / dim)
      return here
    }).reverse()
  })

/** The textbook's: elements of one key are normalized together, and each has the coefficient of its other key. */
function normalized(
  { shape, data }: Fed,
  groupOf: (at: readonly number[]) => string,
  parameterOf: (at: readonly number[]) => number,
  gamma: ArrayLike<number>,
  beta: ArrayLike<number>,
  eps: number,
): number[] {
  const all = places(shape)
  const groups = new Map<string, number[]>()
  all.forEach((at, i) => groups.set(groupOf(at), [...(groups.get(groupOf(at)) ?? []), data[i]!]))
  return all.map((at, i) => {
    const group = groups.get(groupOf(at))!
    const mean = group.reduce((a, b) => a + b, 0) / group.length
    const variance = group.reduce((a, b) => a + (b - mean) ** 2, 0) / group.length
    return gamma[parameterOf(at)]! * (data[i]! - mean) / Math.sqrt(variance + eps) + beta[parameterOf(at)]!
  })
}

interface Case {
  readonly op: string
  readonly shape: readonly number[]
  readonly attributes?: Attributes
  readonly parameters: readonly number[]
  readonly groupOf: (at: readonly number[]) => string
  readonly parameterOf: (at: readonly number[]) => number
}

const ofGroups = (op: string, shape: readonly number[], groups: number, attributes: Attributes = {}): Case => ({
  op,
  shape,
  attributes,
  parameters: [shape[1]!],
  groupOf: ([n, c]) => `${n} ${Math.floor(c! / (shape[1]! / groups))}`,
  parameterOf: ([, c]) => c!,
})
const ofAxes = (shape: readonly number[], from: number, to: number, attributes: Attributes = {}): Case => ({
  op: 'layer_norm',
  shape,
  attributes,
  parameters: shape.slice(from, to + 1),
  groupOf: (at) => at.filter((_, d) => d < from || d > to).join(),
  parameterOf: (at) => at.slice(from, to + 1).reduce((position, index, i) => position * shape[from + i]! + index, 0),
})

const CASES: readonly Case[] = [
  ofGroups('group_norm', [2, 6, 2, 1], 3, { groups: 3 }),
  ofGroups('group_norm', [1, 4, 2, 2], 1, { groups: 1, eps: 1e-2 }),
  ofGroups('group_norm', [2, 4, 3, 1], 4, { groups: 4 }),
  ofGroups('group_norm', [3, 6], 2, { groups: 2 }),
  ofGroups('group_norm', [2, 6, 1, 1], 2, { groups: 2 }),
  ofGroups('group_norm', [1, 4, 3], 2, { groups: 2 }),
  ofGroups('group_norm', [1, 4, 2, 1, 2], 2, { groups: 2 }),
  ofGroups('instance_norm', [2, 3, 2, 2], 3),
  ofGroups('instance_norm', [1, 3, 4], 3, { eps: 0.5 }),
  ofAxes([3, 5], 1, 1),
  ofAxes([2, 2, 2, 2], 1, 3),
  ofAxes([2, 4, 2, 1], 1, 1, { axis: 1, end: 1 }),
  ofAxes([2, 2, 4], 2, 2, { axis: -1 }),
  ofAxes([1, 2, 3, 2], 2, 3, { axis: 2 }),
  ofAxes([1, 2, 3, 2], 1, 2, { end: -2, eps: 0.1 }),
]

describe.each(CASES)('$op of $shape $attributes', ({ op, shape, attributes = {}, parameters, groupOf, parameterOf }) => {
  const x = fed(shape, 5)
  const count = size(parameters)
  const [gamma, beta] = [[...noise(count, 11)], [...noise(count, 12)]]
  const eps = (attributes['eps'] as number | undefined) ?? 1e-5

  test('with gamma and beta', () => {
    const call = { op, inputs: [x], attributes, parameters: { gamma, beta } }
    const answer = ask(call)
    expect('shape' in answer && answer.parameters?.map(({ role, shape: own }) => [role, own])).toEqual([
      ['gamma', parameters],
      ['beta', parameters],
    ])
    expectClose(forward(call), normalized(x, groupOf, parameterOf, gamma, beta, eps), 1e-9)
    expectGradients(call)
  })
  test('without', () => {
    const call = { op, inputs: [x], attributes: { ...attributes, affine: false } }
    const [ones, zeros] = [new Array<number>(count).fill(1), new Array<number>(count).fill(0)]
    expectClose(forward(call), normalized(x, groupOf, parameterOf, ones, zeros, eps), 1e-9)
    if (size(shape) < 20) expectGradients(call)
  })
})

test('more channels than are merged at once', () => {
  const { op, shape, attributes, groupOf, parameterOf } = ofGroups('group_norm', [1, 600, 2, 1], 1, { groups: 1 })
  const x = fed(shape, 2)
  const [ones, zeros] = [new Array<number>(600).fill(1), new Array<number>(600).fill(0)]
  expectClose(forward({ op, inputs: [x], attributes: attributes! }), normalized(x, groupOf, parameterOf, ones, zeros, 1e-5), 1e-9)
})

test('values without a batch', () => {
  const x = fed([3, 4], 5, { whole: true })
  const call = { op: 'layer_norm', inputs: [x], attributes: { axis: 1 } }
  const { groupOf, parameterOf } = ofAxes([3, 4], 1, 1)
  expectClose(forward(call), normalized(x, groupOf, parameterOf, [1, 1, 1, 1], [0, 0, 0, 0], 1e-5), 1e-9)
  expectGradients(call)
  expectGradients({ ...call, attributes: { axis: 0 } })
})

test('refusals', () => {
  expect(codes({ op: 'group_norm', inputs: [fed([2, 6, 2, 2])], attributes: { groups: 4 } })).toEqual(['argument/groups'])
  expect(codes({ op: 'group_norm', inputs: [fed([2])], attributes: { groups: 1 } })).toEqual(['shape/group-norm-rank'])
  expect(codes({ op: 'group_norm', inputs: [fed([2, 6])], attributes: { groups: 6 } })).toEqual(['shape/one-value'])
  expect(codes({ op: 'instance_norm', inputs: [fed([2, 6, 1, 1])] })).toEqual(['shape/one-value'])
  expect(codes({ op: 'layer_norm', inputs: [fed([2, 1, 3])], attributes: { end: 1 } })).toEqual(['shape/one-value'])
  expect(codes({ op: 'layer_norm', inputs: [fed([2, 3])], attributes: { axis: 2 } })).toEqual(['argument/axis'])
  expect(codes({ op: 'layer_norm', inputs: [fed([2, 3])], attributes: { axis: 0 } })).toEqual(['argument/batch-axis'])
  expect(codes({ op: 'layer_norm', inputs: [fed([2, 3, 4])], attributes: { axis: 2, end: 1 } })).toEqual(['argument/layer-norm-range'])
  expect(codes({ op: 'instance_norm', inputs: [fed([2, 3], 1, { labels: true })] })).toEqual(['shape/label-as-numbers'])
})
