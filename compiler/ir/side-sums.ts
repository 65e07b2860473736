import type { Tensor } from './tensor.ts'
import { type Expression, guard, load, sum, walk, within } from './expression.ts'
import { mapValues, substitute, topDown } from './rewrite.ts'
import { type Axis, axis, isAxis, type IndexLike, plus, times } from './affine.ts'
import { channelCount, type Equation, equation, type SideSums, store, type Store, type Terms } from './equation.ts'

/** The terms at a place, an index a dimension. */
export const termsAt = ({ at, terms }: Terms, place: readonly IndexLike[]): Expression[] => {
  const map = new Map(at.map((a, d) => [a, place[d]!] as const))
  return terms.map((term) => substitute(term, map))
}

/** The terms over an equation's own axes, what it stores in place of every load of it. */
export const termsOfStored = (side: SideSums, { at, value }: Store): Expression[] =>
  termsAt(side, at).map(topDown((e) => (e.kind === 'load' && e.tensor === side.source ? value : undefined)))

/** Side sums as an equation of their own, which reads what was stored: one point a block and kept value. */
export function sumsEquation(side: SideSums): Equation {
  const outer: Axis[] = []
  const inner: Axis[] = []
  const guards = side.blocks.flatMap(({ axis: a, size }) => {
    const count = axis(`${a.name}_block`, typeof a.extent === 'number' ? Math.ceil(a.extent / size) : a.extent)
    const within_ = axis(a.name, size)
    outer.push(count)
    inner.push(within_)
    return typeof a.extent === 'number' && a.extent % size > 0 ? [within(plus(times(count, size), within_), a.extent)] : []
  })
  const kept = axis(side.keptAxis.name, channelCount(side))
  const blockOf = (d: number): IndexLike => plus(times(outer[d]!, side.blocks[d]!.size), inner[d]!)
  // Dimension 1 is what is kept; the blocks are of all others, in order.
  const place = [blockOf(0), kept, ...side.blocks.slice(1).map((_, d) => blockOf(d + 1))]
  const stores = termsAt(side, place).map((term, k) => store(side.partials, [...outer, kept, k], sum(inner, guard(guards, term))))
  return equation(side.partials.name, [], [...outer, kept], stores)
}

/** Whether all positions of a map can be counted in one go: nothing depends on a row or a column alone. */
export function runsThroughMaps({ at, terms }: Terms, source: Tensor): boolean {
  const space = at.slice(2)
  return terms.every((term) =>
    walk(term).every((node) => {
      if (node.kind === 'guard' || node.kind === 'position' || node.kind === 'random') return false
      if (node.kind !== 'load') return true
      const { shape } = node.tensor
      if (shape.length < 4)
        return node.at.every((index) => index.terms.every(({ atom }) => atom.kind === 'axis' && !space.includes(atom.axis)))
      return space.every((a, i) => shape[i + 2] === source.shape[i + 2] && isAxis(node.at[i + 2]!, a))
    })
  )
}

/** Sums that one later equation makes of the terms of partial sums: what it added up before, it adds up over the blocks. */
export const rewriteTotals = (e: Equation, before: Tensor, side: SideSums): Equation =>
  mapValues(
    e,
    topDown((node) => {
      if (node.kind !== 'reduce' || node.body.kind !== 'load' || node.body.tensor !== before) return undefined
      const [term, , ...kept] = node.body.at
      const blocks = side.partials.shape.slice(0, -2).map((extent, i) => axis(i === 0 ? 'n' : `b${i}`, extent))
      const [batch, ...others] = blocks
      const many = others.filter((b) => b.extent !== 1)
      const at = [batch!, ...others.map((b) => (b.extent === 1 ? 0 : b)), ...kept, term!]
      // Blocks of one image first: short chains.
      return sum([batch!], sum(many, load(side.partials, ...at)))
    }),
  )
