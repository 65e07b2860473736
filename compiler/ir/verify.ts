import { type Axis, axesOf, type Extent, index, type Index, isAxis, minus, plus, rangeOf, times } from './affine.ts'
import { channelCount, type Equation, reads, type SideReduction, type Store, writes } from './equation.ts'
import { type Expression, type Guard, walk } from './expression.ts'
import { coversItsTensor } from './inline.ts'
import { meet, regionOf } from './regions.ts'
import { elementsPerSample, type Tensor } from './tensor.ts'

/**
 * What is unsound in an equation, a sentence each: axes that nobody counts or that are counted twice, indices that leave a tensor, points
 * that write the same element or read what another point writes, counters that are none, side reductions whose blocks or results do not
 * fit the points, more buffers than a kernel may bind. Empty: it is sound, as far as that can be seen without running it.
 */
export function verifyEquation(e: Equation, maxBindings = Infinity): string[] {
  const verifier = new Verifier(e)
  verifier.run()
  const bound = new Set([...reads(e), ...writes(e)]).size
  if (bound > maxBindings) verifier.report(`binds ${bound} buffers, ${maxBindings} are granted`)
  return verifier.problems
}

/**
 * What is unsound in the kernels of a program: in each equation, and scratch memory that a kernel reads before one has written it.
 * `viewOf` gives the tensor whose storage another one is.
 */
export function verifyKernels(
  kernels: readonly { readonly equation: Equation }[],
  viewOf: ReadonlyMap<Tensor, Tensor>,
  maxBindings: number,
): string[] {
  const problems: string[] = []
  const written = new Set<Tensor>()
  const origin = (t: Tensor): Tensor => {
    const of = viewOf.get(t)
    return of ? origin(of) : t
  }
  for (const { equation } of kernels) {
    problems.push(...verifyEquation(equation, maxBindings))
    for (const t of reads(equation))
      if (!origin(t).storage && !written.has(origin(t))) problems.push(`${equation.name} reads ${t.name}, which nothing has written`)
    for (const t of writes(equation)) written.add(origin(t))
  }
  return problems
}

class Verifier {
  readonly problems: string[] = []
  private readonly e: Equation

  constructor(e: Equation) {
    this.e = e
  }

  report(problem: string): void {
    this.problems.push(`${this.e.name} ${problem}`)
  }

  run(): void {
    const { axes, stores, fusedProducer: onLoad, sides } = this.e
    if (stores.length === 0) this.report('stores nothing')
    this.points(axes, stores)
    if (onLoad) {
      this.points(onLoad.axes, [onLoad.store])
      const { tensor } = onLoad.store
      if (!coversItsTensor({ ...this.e, axes: onLoad.axes, stores: [onLoad.store] }))
        this.report(`does not compute each element of ${tensor.name} once as it loads it`)
      if (!stores.some((s) => walk(s.value).some((node) => node.kind === 'load' && node.tensor === tensor)))
        this.report(`never loads ${tensor.name}, which it computes as it loads it`)
    }
    for (const side of sides) this.side(side)
  }

  /** Values that are stored at each of some points. */
  private points(axes: readonly Axis[], stores: readonly Store[]): void {
    const bound = this.bind(new Set(), axes)
    for (const s of stores) {
      this.place(s.tensor, s.at, bound, [])
      this.value(s.value, bound, [], new Set())
      if (s.counts) {
        if (s.tensor.type !== 'i32' || elementsPerSample(s.tensor.shape) !== 1)
          this.report(`counts in ${s.tensor.name}, which is not one whole number`)
        continue
      }
      const used = new Set(s.at.flatMap(axesOf))
      for (const a of axes)
        if (a.extent !== 1 && !used.has(a)) this.report(`stores every point along ${a.name} in one element of ${s.tensor.name}`)
    }
  }

  private bind(around: ReadonlySet<Axis>, axes: readonly Axis[]): ReadonlySet<Axis> {
    const bound = new Set(around)
    for (const a of axes) {
      if (bound.has(a)) this.report(`counts axis ${a.name} twice`)
      if (!isExtent(a.extent)) this.report(`counts axis ${a.name} to ${String(a.extent)}`)
      bound.add(a)
    }
    return bound
  }

  /** A value under guards. What is shared is looked at once between two reductions or guards. */
  private value(e: Expression, bound: ReadonlySet<Axis>, guards: readonly Guard[], seen: Set<Expression>): void {
    if (seen.has(e)) return
    seen.add(e)
    switch (e.kind) {
      case 'load':
        this.place(e.tensor, e.at, bound, guards)
        if (!this.isOwnElement(e.tensor, e.at)) this.report(`reads elements of ${e.tensor.name} that other points of it write`)
        return
      case 'position':
      case 'random':
        return this.form(e.at, bound)
      case 'unary':
        return this.value(e.a, bound, guards, seen)
      case 'binary':
        this.value(e.a, bound, guards, seen)
        return this.value(e.b, bound, guards, seen)
      case 'select':
        for (const child of [e.a, e.b, e.yes, e.no]) this.value(child, bound, guards, seen)
        return
      case 'guard':
        for (const g of e.guards) {
          this.form(g.at, bound)
          if (!(g.kind === 'within' ? isExtent(g.extent) : isExtent(g.by))) this.report(`has a guard without a bound`)
        }
        // Nothing is loaded then: the first element of a map with a frame, say, which is 0.
        if (e.guards.some(neverHolds)) return
        return this.value(e.value, bound, [...guards, ...e.guards], new Set())
      case 'reduce':
        return this.value(e.body, this.bind(bound, e.axes), guards, new Set())
    }
  }

  /**
   * Whether no other point writes what is loaded: nobody writes the tensor here, or that part of it, or the point loads the element that
   * it stores. The terms of side sums load what is stored at their own axes.
   */
  private isOwnElement(tensor: Tensor, at: readonly Index[]): boolean {
    const isAt = (place: readonly Index[]): boolean => place.every((form, d) => form.key === at[d]?.key)
    const own = this.e.stores.filter((s) => s.tensor === tensor)
    return own.every((s) => !meet(regionOf(tensor, s.at), regionOf(tensor, at))) || own.some((s) => isAt(s.at)) ||
      this.e.sides.some((side) => side.kind === 'sums' && side.source === tensor && isAt(side.at.map(index)))
  }

  private form(at: Index, bound: ReadonlySet<Axis>): void {
    for (const a of axesOf(at)) if (!bound.has(a)) this.report(`uses axis ${a.name}, which nothing counts there`)
  }

  private place({ name, shape }: Tensor, at: readonly Index[], bound: ReadonlySet<Axis>, guards: readonly Guard[]): void {
    if (at.length !== shape.length && !(shape.length === 0 && at.every((form) => form.terms.length === 0 && form.constant === 0)))
      return this.report(`has ${at.length} indices for ${name} of ${shape.length} dimensions`)
    at.forEach((form, d) => {
      this.form(form, bound)
      if (leaves(form, shape[d], guards)) this.report(`reaches beyond dimension ${d} of ${name}`)
    })
  }

  private side(side: SideReduction): void {
    const { axes, stores } = this.e
    const { source, keptAxis: kept, groupAxis, blocks, partials: into, channelOffset: from = 0 } = side
    const what = `the ${side.kind} of ${source.name}`
    const stored = stores.find((s) => s.tensor === source)
    if (!stored) return this.report(`takes ${what}, which it does not store`)
    const dimensions = axes.filter((a) => a !== groupAxis)
    const channel = groupAxis ? plus(times(groupAxis, kept.extent as number), kept) : index(kept)
    const inOrder = stored.at.length === dimensions.length &&
      stored.at.every((form, d) => (dimensions[d] === kept ? minus(form, from).key === channel.key : isAxis(form, dimensions[d]!)))
    if (!inOrder) this.report(`takes ${what}, which it does not store in the order of its axes`)
    const others = dimensions.filter((a) => a !== kept)
    if (
      others.length === dimensions.length || (groupAxis && !axes.includes(groupAxis)) || blocks.length !== others.length ||
      blocks.some((b, i) => b.axis !== others[i])
    )
      return this.report(`takes ${what} in blocks that are not along all axes but one`)
    for (const { axis: a, size } of blocks)
      if (!isExtent(size) || size > (typeof a.extent === 'number' ? a.extent + OVERHANG : 1))
        this.report(`takes ${what} in blocks of ${size} along ${a.name}`)
    const counts = blocks.map(({ axis: a, size }) => (typeof a.extent === 'number' ? Math.ceil(a.extent / size) : a.extent))
    const values = side.kind === 'sums' ? side.terms.length : 4
    const shape = [...counts, channelCount(side), values]
    if (into.shape.length !== shape.length || into.shape.some((extent, d) => extent !== shape[d]))
      this.report(`leaves ${what} in ${into.name}, which is not of the shape of its blocks`)
    if (side.kind !== 'sums') return
    if (side.at.length !== source.shape.length) this.report(`has ${side.at.length} axes for the terms of ${what}`)
    else if (side.at.some((a, d) => a.extent !== source.shape[d])) this.report(`takes ${what} over other places than it stores`)
    const bound = this.bind(new Set(), side.at)
    for (const term of side.terms) this.value(term, bound, [], new Set())
  }
}

/** By how much a block of statistics may be longer than its axis: it consists of tiles of up to four points, and the last may hang over. */
const OVERHANG = 3

const isExtent = (extent: Extent): boolean => {
  const count = typeof extent === 'object' ? extent.chunks : extent
  return count === 'n' || (Number.isInteger(count) && count >= 1)
}

/** Whether no point meets a guard, where that can be shown. */
function neverHolds(g: Guard): boolean {
  const { min, max } = rangeOf(g.at)
  if (g.kind === 'divides') return min === max && min % g.by !== 0
  return max < 0 || (typeof g.extent === 'number' && min >= g.extent)
}

/** Whether an index takes values outside a dimension, where that can be shown. The batch is as large as it needs to be. */
function leaves(form: Index, extent: number | 'n' | undefined, guards: readonly Guard[]): boolean {
  if (extent === undefined) return false
  const axes = axesOf(form)
  // A guard over the same axes may hold only where the index is inside.
  if (guards.some((g) => axesOf(g.at).some((a) => axes.includes(a)))) return false
  // Ranges are exact where each axis stands once, and no remainder leaves values out.
  if (new Set(axes).size !== axes.length || form.terms.some(({ atom }) => atom.kind === 'mod')) return false
  const { min, max } = rangeOf(form)
  return min < 0 || (extent !== 'n' && max >= extent)
}
