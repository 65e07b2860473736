import { index, type Index, type IndexLike } from '../../ir/affine.ts'
import { addSums } from './statistics.ts'
import type { Operand } from '../kernel-function.ts'
import type { KernelBuilder } from '../builder.ts'
import { range } from '../range.ts'
import { float } from '../operands.ts'

/** Value `k` of a part. */
export type Read = (part: IndexLike, k: number) => Operand

/** So many sums over parts of what each adds to them. */
export type Over = (count: number, inside: (part: Index) => readonly Operand[]) => readonly Operand[]

/** One invocation goes through the parts, as `loop` does. */
export const inTurn = (builder: KernelBuilder, loop: (inside: (part: Index) => void) => void): Over => (count, inside) => {
  const sums = range(count).map(() => builder.declareVariable('merged', float(0), 1))
  loop((part) => addSums(builder, sums, inside(part)))
  return sums
}

/** The invocations of a subgroup hold a part each. */
export const bySubgroup = (builder: KernelBuilder): Over => (_, inside) =>
  inside(index(0)).map((value) => builder.reduceSubgroup('sum', value))

/** Puts parts together: the result is a part again. */
export type Merge = (over: Over, read: Read) => readonly Operand[]

export const mergeSums = (count: number): Merge => (over, read) => over(count, (part) => range(count).map((k) => read(part, k)))

/**
 * Chan's merge of all parts at once (Chan, Golub & LeVeque 1983). A part is l, M2 and count, the mean being K + l with one K for
 * all of them:
 *   E = sum(count_p * l_p) / N;   M2 = sum(M2_p + count_p * (l_p - E)^2)
 * One that holds nothing has count 0 and adds nothing.
 */
export const mergeMoments = (builder: KernelBuilder): Merge => (over, read) => {
  const mul = (a: Operand, b: Operand): Operand => builder.op('mul', [a, b])
  const [count, moved] = over(2, (p) => {
    const held = read(p, 2)
    return [held, mul(held, read(p, 0))]
  })
  const mean = builder.op('div', [moved!, builder.op('max', [count!, float(1)])])
  const [squares] = over(1, (p) => {
    const rest = builder.op('sub', [read(p, 0), mean])
    return [builder.op('add', [read(p, 1), mul(read(p, 2), mul(rest, rest))])]
  })
  return [mean, squares!, count!]
}

/** Parts that have references r of their own, about K instead: l_p = (r_p - K) + (mean_p - r_p). */
export const aboutReference = (builder: KernelBuilder, reference: Operand, read: Read): Read =>
(
  part,
  k,
) => (k > 0 ? read(part, k + 1)
  : builder.op('add', [builder.op('rounded', [builder.op('sub', [read(part, 0), reference])]), read(part, 1)]))
