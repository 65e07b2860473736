import { expect } from 'vitest'
import { fusionPasses } from '../../compiler/fusion/passes.ts'
import type { FusionContext } from '../../compiler/fusion/kernel-pass.ts'
import { KernelProgram } from '../../compiler/fusion/program.ts'
import { type Axis, axis, plus } from '../../compiler/ir/affine.ts'
import { equation, type Equation, reads, store, writes } from '../../compiler/ir/equation.ts'
import { type Expression, guard, load, max, mul, sum, within } from '../../compiler/ir/expression.ts'
import type { Kernel } from '../../compiler/ir/kernel.ts'
import { type Tensor, tensor } from '../../compiler/ir/tensor.ts'
import { verifyEquation } from '../../compiler/ir/verify.ts'
import { elementCount, evaluateEquation, type Numbers } from '../../compiler/targets/interpreter/evaluate.ts'

export const BATCH = 3

/** What a pass knows where a target grants 8 bindings, and computes statistics of a whole image at once. */
export const context = (changes: Partial<FusionContext> = {}): FusionContext => ({
  kept: new Set(),
  viewOf: new Map(),
  maxBindings: 8,
  maxPrologueInputs: 2,
  statisticsBlock: () => (a) => (a.extent === 'n' ? 1 : (a.extent as number)),
  unfusedLayers: new Set(),
  ...changes,
})

/** The kernels that one pass, found by its name, leaves of some equations: each of them is sound. */
export function fuse(name: string, equations: readonly Equation[], changes: Partial<FusionContext> = {}): Kernel[] {
  const program = new KernelProgram(equations)
  fusionPasses.find((pass) => pass.name === name)!.run(program, context(changes))
  const kernels = program.kernels()
  expect(kernels.flatMap(({ equation: e }) => verifyEquation(e))).toEqual([])
  return kernels
}

export const namesOf = (kernels: readonly Kernel[]): string[] => kernels.map(({ equation }) => equation.name)
export const remarksOf = (kernels: readonly Kernel[]): string => kernels.flatMap(({ why }) => why).join('\n')

/** A map of 2 channels, or more, with 4 rows and 4 columns. */
export const map = (name: string, channels = 2): Tensor => tensor(name, ['n', channels, 4, 4])

export type At = readonly [Axis, Axis, Axis, Axis]
const axesOf = ({ shape }: Tensor): Axis[] => shape.map((extent, d) => axis('nchw'[d]!, extent))

/** An equation of one layer that stores every element of a map once: `value` of its place. */
export function each(result: Tensor, value: (at: At) => Expression): Equation {
  const axes = axesOf(result)
  return equation(result.name, [result.name], axes, [store(result, axes, value(axes as unknown as At))])
}

export const relu = (result: Tensor, source: Tensor): Equation => each(result, (at) => max(load(source, ...at), 0))
export const scaled = (result: Tensor, source: Tensor): Equation => each(result, (at) => mul(load(source, ...at), 1.5))

/** A convolution with windows of 3 rows and 3 columns, padded by 1. */
export function conv(result: Tensor, source: Tensor, weight = weightOf(result, source)): Equation {
  return each(result, ([n, o, h, w]) => {
    const [c, kh, kw] = [axis('c', source.shape[1]!), axis('kh', 3), axis('kw', 3)]
    const [row, column] = [plus(h, kh, -1), plus(w, kw, -1)]
    const padded = guard([within(row, 4), within(column, 4)], load(source, n, c, row, column))
    return sum([c, kh, kw], mul(padded, load(weight, o, c, kh, kw)))
  })
}

export const weightOf = (result: Tensor, source: Tensor): Tensor =>
  tensor(`${result.name}.weight`, [result.shape[1]!, source.shape[1]!, 3, 3])

/** Tensors that a program reads before any of its equations writes them. */
function inputsOf(equations: readonly Equation[]): Tensor[] {
  const written = new Set<Tensor>()
  const inputs = new Set<Tensor>()
  for (const e of equations) {
    for (const t of reads(e)) if (!written.has(t)) inputs.add(t)
    for (const t of writes(e)) written.add(t)
  }
  return [...inputs]
}

/** Runs equations one after the other on the interpreter, from the same numbers each time. */
export function run(equations: readonly Equation[]): Map<Tensor, Numbers> {
  const memory = new Map<Tensor, Numbers>()
  for (const t of inputsOf(equations)) {
    const seed = [...t.name].reduce((total, letter) => total + letter.charCodeAt(0), 0)
    memory.set(t, Float64Array.from({ length: elementCount(t, BATCH) }, (_, i) => Math.sin(seed + 1.7 * i)))
  }
  for (const e of equations) evaluateEquation(e, memory, { batch: BATCH })
  return memory
}

/** Fused kernels leave in these tensors what the equations leave one by one. */
export function expectSameValues(kernels: readonly Kernel[], equations: readonly Equation[], results: readonly Tensor[]): void {
  const [got, want] = [run(kernels.map(({ equation }) => equation)), run(equations)]
  for (const t of results) {
    expect(got.get(t), t.name).toBeDefined()
    expect(want.get(t)!.some((x) => x !== 0)).toBe(true)
    got.get(t)!.forEach((x, i) => expect(x, `${t.name} at ${i}`).toBeCloseTo(want.get(t)![i]!, 10))
  }
}
