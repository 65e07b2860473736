import type { Size } from '../../bundle/format.ts'
import { elementBytes, elementsPerSample, isBatched, type Tensor } from './tensor.ts'
import { isContraction } from './analysis.ts'
import { children, type Expression, forEachChild, walk } from './expression.ts'
import type { Axis } from './affine.ts'
import { onceByNode } from './once-by-node.ts'
import { onceByShape } from './once-by-shape.ts'
import { type Equation, reads, writes } from './equation.ts'
import { elementsTouched } from './regions.ts'

/** Arithmetic of one evaluation of a tree without reductions: a sum or product counts 1, exp and the like 10, a random number 20. */
export const pointCost = onceByNode((e: Expression): number => {
  let total = 0
  for (const node of walk(e)) {
    if (node.kind === 'binary') total += node.op === 'pow' ? 16 : node.op === 'div' ? 4 : 1
    else if (node.kind === 'unary' && node.op !== 'rounded') total += ['neg', 'abs', 'sign', 'floor'].includes(node.op) ? 1 : 10
    else if ((node.kind === 'select' && node.test !== 'finite') || node.kind === 'guard') total += 1
    else if (node.kind === 'random') total += 20
  }
  return total
})

/** An amount that is linear in the batch. */
export type Linear = Size

export const linear = (amount: number, batched: boolean): Linear =>
  batched ? { fixed: 0, perSample: amount } : { fixed: amount, perSample: 0 }
export const addLinear = (a: Linear, b: Linear): Linear => ({ fixed: a.fixed + b.fixed, perSample: a.perSample + b.perSample })
export { sizeAt as atBatch } from '../../bundle/sizes.ts'

export const bytesOf = (t: Tensor): Linear => linear(elementBytes(t) * elementsPerSample(t.shape), isBatched(t.shape))

/**
 * Multiplications, additions and the like of one run. A value is counted once for every combination of the axes that it
 * changes with, and never more often than the largest tensor it loads has elements where it only transforms loads.
 */
export function flopsOf(e: Equation): Linear {
  let total: Linear = { fixed: 0, perSample: 0 }
  const seen = new Set<Expression>()
  /** Elements of the largest map that a value loads; 0 where it loads none. */
  const known = new Map<Expression, number>()
  const mostLoaded = (node: Expression): number => {
    const before = known.get(node)
    if (before !== undefined) return before
    let most = 0
    if (node.kind === 'load') {
      const { tensor } = node
      if (isBatched(tensor.shape)) most = elementsTouched(e, tensor).loaded || elementsPerSample(tensor.shape)
    } else forEachChild(node, (child) => most = Math.max(most, mostLoaded(child)))
    known.set(node, most)
    return most
  }
  const visit = (node: Expression, around: readonly Axis[]): void => {
    if (seen.has(node)) return
    seen.add(node)
    const inside = node.kind === 'reduce' ? [...around, ...node.axes] : around
    if (node.kind === 'reduce') {
      const once = sizeOf(inside)
      const each = node.combine === 'sum' && node.body.kind === 'binary' && node.body.op === 'mul' ? 2 : 1
      total = addLinear(total, { fixed: once.fixed * each, perSample: once.perSample * each })
    } else if (
      (node.kind === 'unary' && node.op !== 'rounded') || node.kind === 'binary' || (node.kind === 'select' && node.test !== 'finite')
    ) {
      const isProduct = around.length > e.axes.length && node.kind === 'binary' && node.op === 'mul'
      if (!isProduct) {
        const points = sizeOf(around)
        const most = mostLoaded(node) || Infinity
        total = addLinear(total, { fixed: points.fixed, perSample: Math.min(points.perSample, Math.max(most, sizeOf(e.axes).perSample)) })
      }
    }
    for (const child of children(node)) visit(child, inside)
  }
  if (e.fusedProducer) visit(e.fusedProducer.store.value, e.fusedProducer.axes)
  for (const s of e.stores) visit(s.value, e.axes)
  // Moments on the way: a difference, a square and two sums a value.
  for (const side of e.sides) {
    const elements = linear(elementsTouched(e, side.source).stored, isBatched(side.source.shape))
    const each = side.kind === 'moments' ? 4 : side.terms.reduce((sum, term) => sum + 1 + pointCost(term), 0)
    total = addLinear(total, { fixed: each * elements.fixed, perSample: each * elements.perSample })
  }
  return total
}

/** Two for each step of every sum of products: convolutions, matrix products. */
export function productsOf(e: Equation): Linear {
  let total: Linear = { fixed: 0, perSample: 0 }
  const seen = new Set<Expression>()
  const visit = (node: Expression, around: readonly Axis[]): void => {
    if (seen.has(node)) return
    seen.add(node)
    const inside = node.kind === 'reduce' ? [...around, ...node.axes] : around
    if (node.kind === 'reduce' && isContraction(node)) {
      const once = sizeOf(inside)
      total = addLinear(total, { fixed: 2 * once.fixed, perSample: 2 * once.perSample })
    }
    for (const child of children(node)) visit(child, inside)
  }
  for (const s of e.stores) visit(s.value, e.axes)
  return total
}

function sizeOf(axes: Iterable<Axis>): Linear {
  let amount = 1
  let batched = false
  for (const a of axes) {
    if (typeof a.extent === 'number') amount *= a.extent
    else {
      batched = true
      if (typeof a.extent === 'object') amount /= a.extent.chunks
    }
  }
  return linear(amount, batched)
}

export interface Costs {
  readonly flops: Linear
  readonly products: Linear
  readonly bytesRead: Linear
  readonly bytesWritten: Linear
}

/** What a kernel computes and moves. Kernels of one shape are alike in it; what is given is the caller's own. */
export function costsOf(e: Equation): Costs {
  const { flops, products, bytesRead: read, bytesWritten: written } = knownCosts(e)
  return { flops: { ...flops }, products: { ...products }, bytesRead: { ...read }, bytesWritten: { ...written } }
}

const knownCosts = onceByShape((e): Costs => ({
  flops: flopsOf(e),
  products: productsOf(e),
  bytesRead: bytesRead(e),
  bytesWritten: bytesWritten(e),
}))

/** Bytes of the parts of tensors that are loaded, and stored: a slice of a map counts by itself. */
export const bytesRead = (e: Equation): Linear => bytesIn(reads(e), (t) => elementsTouched(e, t).loaded)
export const bytesWritten = (e: Equation): Linear => bytesIn(writes(e), (t) => elementsTouched(e, t).stored)
const bytesIn = (tensors: readonly Tensor[], elements: (t: Tensor) => number): Linear =>
  tensors.map((t) => linear(elementBytes(t) * elements(t), isBatched(t.shape))).reduce(addLinear, { fixed: 0, perSample: 0 })
