import { type Axis, axesOf, type Index, linearIndex } from './affine.ts'
import type { Equation } from './equation.ts'
import { children, type Expression, forEachChild, type Reduction, walk } from './expression.ts'
import { rememberedAxes, rememberedKinds } from './expression-node.ts'
import { onceByNode, onceByNodes } from './once-by-node.ts'
import { isBatched, type Tensor } from './tensor.ts'

/**
 * A set of axes in an order of its own: those of `before`, and one more. Every such set is one object, so that sets are compared, and looked up, as objects.
 */
class AxisSet {
  readonly before: AxisSet | undefined
  readonly axis: Axis | undefined
  /** The first set that was made with one axis more. Most sets have one such or none. */
  first: AxisSet | undefined
  /** The others: those of axes that are gone are gone too. */
  others: WeakMap<Axis, AxisSet> | undefined
  private made: ReadonlySet<Axis> | undefined

  constructor(before?: AxisSet, axis?: Axis) {
    this.before = before
    this.axis = axis
    this.first = undefined
    this.others = undefined
    this.made = undefined
  }

  has(a: Axis): boolean {
    for (let set: AxisSet | undefined = this; set; set = set.before) if (set.axis === a) return true
    return false
  }

  /** Made where somebody asks for it: most sets are on the way to another. */
  get axes(): ReadonlySet<Axis> {
    if (this.made) return this.made
    const found: Axis[] = []
    for (let set: AxisSet | undefined = this; set?.axis; set = set.before) found.push(set.axis)
    return this.made = new Set(found.reverse())
  }
}

/** Every axis begins a set, so the empty one holds none of them. */
const EMPTY = new AxisSet()

/** The set with the axes of a list behind its own. */
function withAxes(set: AxisSet, list: Iterable<Axis>): AxisSet {
  let found = set
  for (const a of list) {
    if (found.has(a)) continue
    let next = found.first?.axis === a ? found.first : found.others?.get(a)
    if (!next) {
      next = new AxisSet(found, a)
      if (found !== EMPTY && !found.first) found.first = next
      else (found.others ??= new WeakMap()).set(a, next)
    }
    found = next
  }
  return found
}

const axisSet = (list: Iterable<Axis>): ReadonlySet<Axis> => withAxes(EMPTY, list).axes

/** The axes of some indices. */
function axesOfAll(at: readonly Index[]): AxisSet {
  let found = EMPTY
  for (let i = 0; i < at.length; i++) found = withAxes(found, axesOf(at[i]!))
  return found
}

/** Axes that a value changes with. Equal sets are one object; a node that changes with no more than its first child has the child's. */
export const freeAxes = (e: Expression): ReadonlySet<Axis> => rememberedAxes(e, findAxes)

function findAxes(e: Expression): ReadonlySet<Axis> {
  switch (e.kind) {
    case 'constant':
    case 'scalar':
      return EMPTY.axes
    case 'load':
      return axesOfAll(e.at).axes
    case 'position':
    case 'random':
      return axisSet(axesOf(e.at))
    case 'unary':
      return freeAxes(e.a)
    case 'binary':
      return joined(freeAxes(e.a), freeAxes(e.b))
    case 'select':
      return [e.b, e.yes, e.no].reduce((found, child) => joined(found, freeAxes(child)), freeAxes(e.a))
    case 'guard':
      return joined(axisSet(e.guards.flatMap((g) => axesOf(g.at))), freeAxes(e.value))
    case 'reduce':
      return axisSet([...freeAxes(e.body)].filter((a) => !e.axes.includes(a)))
  }
}

function joined(a: ReadonlySet<Axis>, b: ReadonlySet<Axis>): ReadonlySet<Axis> {
  if (a === b) return a
  for (const axis of b) if (!a.has(axis)) return withAxes(withAxes(EMPTY, a), b).axes
  return a
}

/** How an index grows with an axis, if it does so evenly. */
export function strideOf(form: Index, a: Axis): number | undefined {
  let stride = 0
  for (const { atom, coefficient } of form.terms) {
    if (atom.kind === 'axis') {
      if (atom.axis === a) stride += coefficient
    } else if (axesOf(atom.of).includes(a)) return undefined
  }
  return stride
}

/** How the place of an element in memory grows with an axis: `strideOf` its `linearIndex`, which is made where divisions may cancel alone. */
export function memoryStride(t: Tensor, at: readonly Index[], a: Axis): number | undefined {
  let [stride, elements] = [0, 1]
  for (let i = at.length - 1; i >= 0; i--) {
    for (const { atom, coefficient } of at[i]!.terms) {
      if (atom.kind === 'axis') {
        if (atom.axis === a) stride += elements * coefficient
      } else if (axesOf(atom.of).includes(a)) return strideOf(linearIndex(t, at), a)
    }
    elements *= t.shape[i] as number
  }
  return stride
}

/** Terms that one point sums up; infinite where the batch decides. */
export const steps = (r: Reduction): number =>
  r.axes.reduce((product, a) => product * (typeof a.extent === 'number' ? a.extent : Infinity), 1)

/** Every reduction in a tree, outer ones first. */
export const reductions = (e: Expression): readonly Reduction[] => (hasReduction(e) ? reductionsIn(e) : NONE)
const reductionsIn = onceByNode((e: Expression): readonly Reduction[] => {
  const found: Reduction[] = []
  const seen = new Set<Expression>()
  const visit = (node: Expression): void => {
    if (!hasReduction(node) || seen.has(node)) return
    seen.add(node)
    if (node.kind === 'reduce') found.push(node)
    forEachChild(node, visit)
  }
  visit(e)
  return found
})
const NONE: readonly Reduction[] = []

/** Whether a value sums up or looks for a maximum anywhere. */
export const hasReduction = (e: Expression): boolean => (kindsIn(e) & REDUCES) !== 0
const hasLoad = (e: Expression): boolean => (kindsIn(e) & LOADS) !== 0

const [REDUCES, LOADS] = [1, 2]
const kindsIn = (e: Expression): number => rememberedKinds(e, findKinds)
const findKinds = (e: Expression): number =>
  children(e).reduce((kinds, child) => kinds | kindsIn(child), e.kind === 'reduce' ? REDUCES : e.kind === 'load' ? LOADS : 0)

/** A node without children: what is asked of it costs less than to remember it. */
export const isLeaf = ({ kind }: Expression): boolean =>
  kind === 'load' || kind === 'constant' || kind === 'scalar' || kind === 'position' || kind === 'random'

/** Tensors that are as large as activations: what costs bandwidth to read again. Per-channel coefficients do not. */
export const bigLoads = onceByNode((e: Expression): ReadonlySet<Tensor> => {
  const found = new Set<Tensor>()
  for (const node of walk(e)) if (node.kind === 'load' && isBatched(node.tensor.shape)) found.add(node.tensor)
  return found
})

/** Where a tensor is loaded: inside a reduction or outside all, and what kind of reduction. */
export interface LoadSite {
  readonly reduction?: Reduction
  readonly contraction: boolean
}

const knownSites = onceByNodes((_, tensor: Tensor, e: Equation) => sitesOf(e, tensor))
export const loadSites = (e: Equation, tensor: Tensor): readonly LoadSite[] => knownSites('', tensor, e)

function sitesOf(e: Equation, tensor: Tensor): readonly LoadSite[] {
  const sites: LoadSite[] = []
  // What is shared is looked at once in each surrounding: a chain of x * f(x) has more paths than there are atoms.
  const visit = (node: Expression, around: readonly Reduction[], seen: Set<Expression>): void => {
    if (seen.has(node)) return
    seen.add(node)
    if (node.kind === 'load' && node.tensor === tensor) {
      const outer = around[0]
      sites.push({ ...(outer && { reduction: outer }), contraction: around.some(isContraction) })
    }
    if (node.kind === 'reduce') visit(node.body, [...around, node], new Set())
    else for (const child of children(node)) visit(child, around, seen)
  }
  for (const s of e.stores) visit(s.value, [], new Set())
  return sites
}

/** In how many places a tensor is loaded, each as often as it is written out; counts no further than 2. */
export const timesLoaded = (e: Equation, tensor: Tensor): number => countLoads(e.stores.map((s) => s.value), tensor)

/**
 * Whether the values of an equation load a tensor in one place, inside a sum. That sum itself may be used several times, as an activation does that is written
 * with its argument in two places: `max(x, 0.1 x)`.
 */
export const isLoadedOnceIn = (e: Equation, sum: Reduction, tensor: Tensor): boolean =>
  countLoads([sum.body], tensor) === 1 && countLoads(e.stores.map((s) => s.value), tensor, sum) === 0

/** Loads of a tensor, each as often as it is written out, but for those in `without`; counts no further than 2. */
function countLoads(values: readonly Expression[], tensor: Tensor, without?: Expression): number {
  const known = new Map<Expression, number>()
  const count = (node: Expression): number => {
    if (node === without) return 0
    const before = known.get(node)
    if (before !== undefined) return before
    const times = node.kind === 'load' ? (node.tensor === tensor ? 1 : 0)
      : Math.min(2, children(node).reduce((sum, child) => sum + count(child), 0))
    known.set(node, times)
    return times
  }
  return Math.min(2, values.reduce((sum, value) => sum + count(value), 0))
}

/** A sum of products of two tensors: convolutions and matrix products. */
export function isContraction(e: Reduction): boolean {
  if (e.combine !== 'sum' || e.body.kind !== 'binary' || e.body.op !== 'mul') return false
  return hasLoad(e.body.a) && hasLoad(e.body.b) && e.body.a !== e.body.b
}

/** What an equation computes: values of its stores, terms of its sums. */
const valuesOf = (e: Equation): readonly Expression[] => [...e.stores.map((s) => s.value), ...(e.sums?.terms ?? [])]

/** How much an equation computes: operations that are written out, what is shared once; and how many stand within each other at most. */
export const extentOf = onceByNode((e: Equation): { readonly operations: number; readonly depth: number } => {
  const depths = new Map<Expression, number>()
  let below = 0
  const visit = (node: Expression): void => {
    const known = depths.get(node)
    if (known !== undefined) {
      if (known > below) below = known
      return
    }
    const beside = below
    below = 0
    forEachChild(node, visit)
    depths.set(node, ++below)
    if (beside > below) below = beside
  }
  for (const value of valuesOf(e)) visit(value)
  return { operations: depths.size, depth: below }
})
