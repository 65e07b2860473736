import { expect } from 'vitest'
import { runModel } from './run-case.ts'
import { type Model, type Node, oneInput, type Sizes } from './write-onnx.ts'

/** Numbers that are not small, of both signs, and different from each other. */
export const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => ((i * 37 + 11) % 29) / 7 - 2)
const product = (sizes: Sizes): number => sizes.reduce<number>((p, size) => p * (size as number), 1)

export interface Case {
  readonly nodes: readonly Node[]
  readonly more?: Partial<Model>
  /** Sizes of x, the batch first. */
  readonly x?: readonly number[]
  /** What the model says of them. */
  readonly sizes?: Sizes
  readonly data?: readonly number[]
  readonly want: readonly number[] | ((x: readonly number[]) => readonly number[])
}

export async function outputOf(
  { nodes, more, x = [2, 3, 4, 4], sizes = ['n', ...x.slice(1)], data = numbers(product(x)) }: Case,
): Promise<number[]> {
  const given = { shape: x, data: Float64Array.from(data), bytes: new Uint8Array(0) }
  const { outputs } = await runModel(oneInput(sizes, nodes, more), new Map([['x', given]]))
  return Array.from(outputs['y']!.data)
}

/** A model of one input and one output gives, in float64, what is wanted. */
export async function holds(one: Case): Promise<void> {
  const x = one.data ?? numbers(product(one.x ?? [2, 3, 4, 4]))
  const want = typeof one.want === 'function' ? one.want(x) : one.want
  const got = await outputOf(one)
  expect(got.length).toBe(want.length)
  want.forEach((v, i) => (Number.isFinite(v) ? expect(got[i]).toBeCloseTo(v, 5) : expect(got[i]).toBe(v)))
}
