import type { Tensor } from '../ir/tensor.ts'
import { type Equation, reads, writes } from '../ir/equation.ts'

/** An equation on its way to a kernel. Equations change by `FusionItems.set` alone, which knows who reads and writes what. */
export interface FusionItem {
  readonly equation: Equation
  readonly why: string[]
  /** Where it stands in the program: items are in the order of these. */
  readonly order: number
}

/** The equations of a program in order, and by the tensors that they touch: no question goes through all of them. */
export class FusionItems {
  private readonly items = new Set<FusionItem>()
  private readonly readersOfTensor = new Map<Tensor, Set<FusionItem>>()
  private readonly writersOfTensor = new Map<Tensor, Set<FusionItem>>()
  /** Parts of one computation of statistics, or of sums, by what they compute. */
  private readonly partsOfTensor = new Map<Tensor, Set<FusionItem>>()

  constructor(equations: readonly Equation[]) {
    equations.forEach((equation, order) => this.put({ equation, why: [], order }))
  }

  has(item: FusionItem): boolean {
    return this.items.has(item)
  }

  /** Those that there are now, as far as they are still there when their turn comes. */
  *all(): Generator<FusionItem> {
    for (const item of sorted(this.items)) if (this.items.has(item)) yield item
  }

  readers(t: Tensor): FusionItem[] {
    return sorted(this.readersOfTensor.get(t) ?? [])
  }

  writers(t: Tensor): FusionItem[] {
    return sorted(this.writersOfTensor.get(t) ?? [])
  }

  /** Items of a computation that ends in this tensor: of statistics (`moments.result`), of sums (`sums.into`). */
  parts(t: Tensor): FusionItem[] {
    return sorted(this.partsOfTensor.get(t) ?? [])
  }

  set(item: FusionItem, equation: Equation): void {
    this.unlink(item)
    ;(item as { equation: Equation }).equation = equation
    this.link(item)
  }

  remove(item: FusionItem): void {
    this.items.delete(item)
    this.unlink(item)
  }

  /** Puts others at the place of an item. */
  replace(item: FusionItem, others: readonly { readonly equation: Equation; readonly why: string[] }[]): void {
    this.remove(item)
    others.forEach((other, i) => this.put({ ...other, order: item.order + i / (2 * others.length) }))
  }

  private put(item: FusionItem): void {
    this.items.add(item)
    this.link(item)
  }

  private link(item: FusionItem): void {
    this.eachPlace(item, (map, t) => {
      const known = map.get(t)
      if (known) known.add(item)
      else map.set(t, new Set([item]))
    })
  }

  private unlink(item: FusionItem): void {
    this.eachPlace(item, (map, t) => map.get(t)?.delete(item))
  }

  private eachPlace({ equation }: FusionItem, visit: (map: Map<Tensor, Set<FusionItem>>, t: Tensor) => void): void {
    for (const t of reads(equation)) visit(this.readersOfTensor, t)
    for (const t of writes(equation)) visit(this.writersOfTensor, t)
    for (const t of [equation.moments?.result, equation.sums?.into]) if (t) visit(this.partsOfTensor, t)
  }
}

const sorted = (items: Iterable<FusionItem>): FusionItem[] => [...items].sort((a, b) => a.order - b.order)
