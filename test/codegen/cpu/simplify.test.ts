import { expect, test } from 'vitest'
import { simplify } from '../../../compiler/codegen/cpu/simplify.ts'
import { reads, writes } from '../../../compiler/ir/equation.ts'
import { elementCount, evaluateEquation, type Numbers } from '../../../compiler/targets/interpreter/evaluate.ts'
import { equationsOf } from './run-loop-nest.ts'

/** As many channels as rows and columns, so that sums over each are as long: nested ones, and those of a normalization, whose mean is part of them. */
const text = `
net cube {
  input x: f32[5, 5, 5]
  input t: f32[5, 5, 5]
  v = x -> conv(5, 3, pad: 1) -> batch_norm -> sigmoid
  loss = sum(mul(v, t))
  output out = v
}`

test('equations whose axes are of one length stay what they are', () => {
  const equations = [...equationsOf(text, ['infer', 'gradients'])].filter(([, e]) => !e.fusedProducer)
  expect(equations.some(([name]) => name === 'sum_1.rows')).toBe(true)
  for (const [name, e] of equations) {
    const inputs = reads(e).map((t, k) =>
      [t, Float64Array.from({ length: elementCount(t, 2) }, (_, j) => 1.5 + Math.sin(1 + 1.7 * j + 13 * k))] as const
    )
    const results = [e, simplify(e).equation].map((equation) => {
      const storage = new Map(inputs.map(([t, d]) => [t, d.slice() as Numbers]))
      evaluateEquation({ ...equation, sides: [] }, storage, { batch: 2 })
      return writes({ ...e, sides: [] }).map((t) => Array.from(storage.get(t)!))
    })
    const [want, got] = results.map((tensors) => tensors.flat())
    expect(got!.length, name).toBe(want!.length)
    const scale = want!.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-3)
    expect(want!.reduce((m, v, i) => Math.max(m, Math.abs(v - got![i]!)), 0) / scale, name).toBeLessThan(1e-12)
  }
})

test('a sum is divided by a number once, not each of its terms', () => {
  const pooled = (count: string): string => `
net p {
  input x: f32[3, 8, 8]
  c = x -> conv(2, 1) -> avg_pool(3, stride: 1, pad: 1${count}) -> conv(2, 3)
  output y = c
  loss = sum(mul(c, c))
}`
  const divisions = (count: string): unknown[] => {
    const e = [...equationsOf(pooled(count), ['gradients'])].find(([name]) => name.includes('avg_pool_1.dx'))![1]
    return simplify(e).equation.stores.map(({ value }) => value.kind)
  }
  expect(divisions('')).toEqual(['binary'])
  // What is divided by is another number at the border.
  expect(divisions(', count: valid')).toEqual(['reduce'])
})
