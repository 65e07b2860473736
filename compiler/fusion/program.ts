import { type Equation, reads, writes } from '../ir/equation.ts'
import type { Kernel } from '../ir/kernel.ts'
import type { Tensor } from '../ir/tensor.ts'

/** A kernel in the making. Its equation changes by `KernelProgram.set` alone, which knows who reads and writes what. */
export interface KernelNode {
  readonly equation: Equation
  readonly why: readonly string[]
  /** Where it stands in the program: kernels are in the order of these. */
  readonly order: number
}

/** Kernels in order, by a tensor that they touch: few each, so that lists serve better than sets. */
type ByTensor = Map<Tensor, KernelNode[]>

/** The kernels of a program in order, and by the tensors that they touch: no question goes through all of them. */
export class KernelProgram {
  private readonly nodes = new Set<KernelNode>()
  /** The nodes in order; absent where one came or went since they were last asked for. */
  private ordered: readonly KernelNode[] | undefined
  private readonly readersOfTensor: ByTensor = new Map()
  private readonly writersOfTensor: ByTensor = new Map()
  /** Parts of one computation of statistics, or of sums, by what they compute. */
  private readonly partsOfTensor: ByTensor = new Map()
  private changes = 0

  constructor(equations: readonly Equation[]) {
    equations.forEach((equation, order) => this.put({ equation, why: [], order }))
  }

  /** Grows with every change of a kernel and with every remark: who saw the same number before has seen this program. */
  get revision(): number {
    return this.changes
  }

  has(node: KernelNode): boolean {
    return this.nodes.has(node)
  }

  /** The kernels that there are now, as far as they are still there when their turn comes. */
  *all(): Generator<KernelNode> {
    for (const node of this.inOrder()) if (this.nodes.has(node)) yield node
  }

  /** The kernels as they are now, in order: later changes do not show in it. */
  kernels(): Kernel[] {
    return this.inOrder().map(({ equation, why }) => ({ equation, why: [...why] }))
  }

  readers(t: Tensor): KernelNode[] {
    return [...(this.readersOfTensor.get(t) ?? NONE)]
  }

  writers(t: Tensor): KernelNode[] {
    return [...(this.writersOfTensor.get(t) ?? NONE)]
  }

  /** Kernels of a computation that ends in this tensor: of statistics (`moments.result`), of sums (`sums.into`). */
  parts(t: Tensor): KernelNode[] {
    return [...(this.partsOfTensor.get(t) ?? NONE)]
  }

  /** Adds remarks to a kernel: what was joined to it, or why something was not. */
  remark(node: KernelNode, ...remarks: readonly string[]): void {
    if (remarks.length > 0) this.changes++
    for (const remark of remarks) (node.why as string[]).push(remark)
  }

  set(node: KernelNode, equation: Equation): void {
    this.unlink(node)
    ;(node as { equation: Equation }).equation = equation
    this.link(node)
  }

  remove(node: KernelNode): void {
    this.nodes.delete(node)
    this.ordered = undefined
    this.unlink(node)
  }

  /** Puts other kernels in the place of one. */
  replace(node: KernelNode, others: readonly Kernel[]): void {
    this.remove(node)
    others.forEach(({ equation, why }, i) => this.put({ equation, why: [...why], order: node.order + i / (2 * others.length) }))
  }

  private inOrder(): readonly KernelNode[] {
    return this.ordered ??= [...this.nodes].sort((a, b) => a.order - b.order)
  }

  private put(node: KernelNode): void {
    this.nodes.add(node)
    this.ordered = undefined
    this.link(node)
  }

  private link(node: KernelNode): void {
    this.changes++
    this.eachTensor(node, (map, t) => {
      const known = map.get(t)
      if (known) insert(known, node)
      else map.set(t, [node])
    })
  }

  private unlink(node: KernelNode): void {
    this.changes++
    this.eachTensor(node, (map, t) => {
      const known = map.get(t)!
      const at = known.indexOf(node)
      if (at >= 0) known.splice(at, 1)
    })
  }

  private eachTensor({ equation }: KernelNode, visit: (map: ByTensor, t: Tensor) => void): void {
    for (const t of reads(equation)) visit(this.readersOfTensor, t)
    for (const t of writes(equation)) visit(this.writersOfTensor, t)
    if (equation.moments) visit(this.partsOfTensor, equation.moments.result)
    if (equation.sums) visit(this.partsOfTensor, equation.sums.into)
  }
}

const NONE: readonly KernelNode[] = []

/** Puts a kernel into a list that is in order, unless it is there. */
function insert(list: KernelNode[], node: KernelNode): void {
  if (list.includes(node)) return
  let at = list.length
  while (at > 0 && list[at - 1]!.order > node.order) at--
  list.splice(at, 0, node)
}

/** How many buffers a kernel binds. */
export const bindingCount = (e: Equation): number => reads(e).length + writes(e).length
