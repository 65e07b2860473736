import { expect, test } from 'vitest'
import { KernelBuilder } from '../../../compiler/codegen/builder.ts'
import { float } from '../../../compiler/codegen/operands.ts'
import type { Operand, Statement } from '../../../compiler/codegen/kernel-function.ts'
import { separatePairs } from '../../../compiler/codegen/cpu/separate-pairs.ts'
import { axis } from '../../../compiler/ir/affine.ts'

const [c, w] = [axis('c', 16), axis('w', 3)]
const vectors = { axis: c, tile: 4, vectorized: true }
const points = { axis: w, tile: 3 }

/** What is done with as many sums, in the order of the loops. */
function separated(
  count: number,
  loops: readonly { axis: typeof c; tile: number; vectorized?: boolean }[],
  turn = 0,
): readonly Statement[] {
  const builder = new KernelBuilder('k')
  builder.openScope()
  const sums = Array.from({ length: count }, (): Operand => builder.declareVariable('sum', float(0, 4), 4))
  const declared = builder.innermost.statements.length
  separatePairs(builder, 1, sums, loops, turn)
  return builder.innermost.statements.slice(declared)
}

const placeOf = (s: Statement): unknown => {
  if (s.kind === 'store') return ['store', (s.at as { value: number }).value, (s.value as { name: string }).name]
  if (s.kind === 'set' && s.value.kind === 'load') return ['load', (s.value.at as { value: number }).value, s.name]
  return s
}

test('neighbouring vectors of a point are stored side by side, then loaded again, each where it was', () => {
  for (const loops of [[points, vectors], [vectors, points]]) {
    const statements = separated(12, loops).map(placeOf) as [string, number, string][]
    const [stores, loads] = [statements.filter(([kind]) => kind === 'store'), statements.filter(([kind]) => kind === 'load')]
    expect(statements).toEqual([...stores, ...loads])
    expect(stores.map(([, at]) => at)).toEqual(Array.from({ length: 12 }, (_, i) => 4 * i))
    expect(loads.map(([, at, name]) => [at, name])).toEqual(stores.map(([, at, name]) => [at, name]))
    const number = (name: string): number => Number(/\d+$/.exec(name)?.[0] ?? 1)
    // Vectors follow each other where they are the inner loop; else three points lie between two of them.
    const apart = loops[0] === points ? 1 : 3
    for (let i = 0; i < 12; i += 2) expect(number(stores[i + 1]![2]) - number(stores[i]![2])).toBe(apart)
  }
})

test('tiles take turns in memory, and a tile at an edge with a vector less is left as it is', () => {
  const first = (turn: number): unknown => (placeOf(separated(12, [points, vectors], turn)[0]!) as unknown[])[1]
  expect(new Set([0, 1, 2, 3].map(first)).size).toBe(4)
  expect(first(4)).toBe(first(0))
  expect(separated(9, [points, vectors])).toEqual([])
})
