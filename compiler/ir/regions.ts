import { type Index, rangeOf } from './affine.ts'
import { type Equation, reads, writes } from './equation.ts'
import { type Expression, forEachChild } from './expression.ts'
import { onceByNode } from './once-by-node.ts'
import { elementsPerSample, type Tensor } from './tensor.ts'

/** The first and the last index of each dimension of a tensor, in which all lies that is loaded, or stored; of the batch there is no last. */
export type Region = readonly { readonly first: number; readonly last: number }[]

export interface Regions {
  readonly loaded: ReadonlyMap<Tensor, Region>
  readonly stored: ReadonlyMap<Tensor, Region>
}

/** The parts of tensors that an equation loads and stores. Of tensors that it binds for another reason, such as a packed weight, nothing is said. */
export const regionsOf = onceByNode((e: Equation): Regions => {
  const loaded = new Map<Tensor, Region>()
  const stored = new Map<Tensor, Region>()
  const seen = new Set<Expression>()
  const visit = (node: Expression): void => {
    if (seen.has(node)) return
    seen.add(node)
    if (node.kind === 'load') loaded.set(node.tensor, around(loaded.get(node.tensor), regionOf(node.tensor, node.at)))
    else forEachChild(node, visit)
  }
  for (const s of e.fusedProducer ? [e.fusedProducer.store, ...e.stores] : e.stores) {
    visit(s.value)
    stored.set(s.tensor, around(stored.get(s.tensor), regionOf(s.tensor, s.at)))
  }
  for (const side of e.sides) if (side.kind === 'sums') { for (const term of side.terms) visit(term) }
  return { loaded, stored }
})

/** Whether an equation loads what its points store, as far as regions tell: not where it makes one part of a tensor of another. */
export const updatesInPlace = onceByNode((e: Equation): boolean => {
  const written = writes(e)
  if (!reads(e).some((t) => written.includes(t))) return false
  const { loaded, stored } = regionsOf(e)
  return reads(e).some((t) => {
    if (!written.includes(t)) return false
    const [one, other] = [loaded.get(t), stored.get(t)]
    return !one || !other || meet(one, other)
  })
})

/** Elements of one sample that an equation loads and stores of a tensor, each once. */
export function elementsTouched(e: Equation, t: Tensor): { readonly loaded: number; readonly stored: number } {
  const { loaded, stored } = regionsOf(e)
  const count = (region: Region | undefined, touched: boolean): number => {
    if (region)
      return region.reduce((product, { first, last }, d) => (t.shape[d] === 'n' ? product : product * Math.max(0, last - first + 1)), 1)
    return touched ? elementsPerSample(t.shape) : 0
  }
  return { loaded: count(loaded.get(t), reads(e).includes(t)), stored: count(stored.get(t), writes(e).includes(t)) }
}

/** Whether two regions have a place in common. */
export const meet = (a: Region, b: Region): boolean => a.every(({ first, last }, d) => first <= b[d]!.last && b[d]!.first <= last)

export const regionOf = ({ shape }: Tensor, at: readonly Index[]): Region =>
  at.map((form, d) => {
    const { min, max } = rangeOf(form)
    const extent = shape[d]
    return { first: Math.max(0, min), last: typeof extent === 'number' ? Math.min(extent - 1, max) : max }
  })

const around = (a: Region | undefined, b: Region): Region =>
  a ? a.map(({ first, last }, d) => ({ first: Math.min(first, b[d]!.first), last: Math.max(last, b[d]!.last) })) : b
