import { describe, expect, test } from 'vitest'
import { load } from '../../compiler/ir/expression.ts'
import { store, writes } from '../../compiler/ir/equation.ts'
import { sumsEquations } from '../../compiler/ops/batch-reduction.ts'
import { evaluateEquation, type Numbers } from '../../compiler/targets/interpreter/evaluate.ts'
import { elementsPerSample, type Shape, tensor, type Tensor } from '../../compiler/ir/tensor.ts'
import { expectClose, noise } from './run-operator.ts'

/** Sums of x and of its squares over all dimensions but the kept ones. */
function summed(shape: Shape, kept: readonly number[], batch: number): { got: Numbers; want: number[]; partials: number[] } {
  const x = tensor('x', shape)
  const out = tensor('out', [...kept.map((d) => shape[d]!), 2])
  const equations = sumsEquations({
    name: 'sums',
    layers: [],
    shape,
    kept,
    terms: (at) => [load(x, ...at), { kind: 'binary', op: 'mul', a: load(x, ...at), b: load(x, ...at) }],
    stores: (at, totals) => totals.map((total, k) => store(out, [...at, k], total)),
  })
  const sizes = shape.map((dim) => (dim === 'n' ? batch : dim))
  const data = noise(sizes.reduce((a, b) => a * b, 1))
  const storage = new Map<Tensor, Numbers>([[x, data]])
  for (const e of equations) evaluateEquation(e, storage, { batch })
  const rest = kept.reduce((product, d) => product * sizes[d]!, 1)
  const want = new Array<number>(2 * rest).fill(0)
  data.forEach((v, i) => {
    let left = i
    const at = sizes.map(() => 0)
    for (let d = sizes.length - 1; d >= 0; d--) {
      at[d] = left % sizes[d]!
      left = Math.floor(left / sizes[d]!)
    }
    const position = kept.reduce((p, d) => p * sizes[d]! + at[d]!, 0)
    want[2 * position] = want[2 * position]! + v
    want[2 * position + 1] = want[2 * position + 1]! + v * v
  })
  const partials = equations.flatMap(writes).filter((t) => t !== out).map((t) => elementsPerSample(t.shape))
  return { got: storage.get(out)!, want, partials }
}

describe.each([1, 3, 16, 17, 300])('a batch of %i', (batch) => {
  test.each<[Shape, number[]]>([
    [['n'], []],
    [['n', 3], []],
    [['n', 3, 2], []],
    [['n', 3, 2, 2], []],
    [['n', 3], [1]],
    [['n', 3, 2, 2], [1]],
    [['n', 3, 2, 2], [2, 3]],
    [['n', 3, 2, 2], [1, 2, 3]],
    [['n', 3, 2], [0]],
    [['n', 3, 2], [0, 2]],
  ])('%j over all but %j', (shape, kept) => {
    const { got, want } = summed(shape, kept, batch)
    expectClose(got, want)
  })
})

test.each<[Shape, number[]]>([[[5], []], [[5, 4], []], [[5, 4, 3], []], [[5, 4], [1]], [[1, 2, 3, 3], [1]], [[4, 2, 3], [0]]])(
  'without a batch: %j over all but %j',
  (shape, kept) => {
    const { got, want } = summed(shape, kept, 1)
    expectClose(got, want)
  },
)

test('long images are summed row by row first', () => {
  const { got, want, partials } = summed(['n', 2, 70, 60], [1], 3)
  expectClose(got, want)
  expect(partials.length).toBe(2)
})

test('partial sums stay small whatever is summed', () => {
  const wide = sumsEquations({
    name: 'sums',
    layers: [],
    shape: ['n', 65536, 9, 9],
    kept: [1],
    terms: (at) => [load(tensor('x', ['n', 65536, 9, 9]), ...at)],
    stores: (at, totals) => [store(tensor('out', [65536]), at, totals[0]!)],
  })
  for (const e of wide) for (const t of writes(e)) expect(elementsPerSample(t.shape)).toBeLessThanOrEqual(4 * 1024 * 1024)
})
