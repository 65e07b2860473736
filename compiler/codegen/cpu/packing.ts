import { freeAxes, strideOf } from '../../ir/analysis.ts'
import { type Shape, tensor, type Tensor } from '../../ir/tensor.ts'
import { children, type Expression, load, walk } from '../../ir/expression.ts'
import { mapIndices, substitute } from '../../ir/rewrite.ts'
import { type Axis, axis, axesOf, combine, divide, type Index, type IndexLike, minus, plus, remainder, times } from '../../ir/affine.ts'
import { type Equation, equation, store } from '../../ir/equation.ts'
import { overAxes } from '../../ir/reshape.ts'
import { CPU } from './cost-model.ts'

/**
 * A factor of a sum of products, copied into a thread's own memory for a task (BLIS: packing): padding and what is computed of it on the
 * way are computed once, windows overlap without guards, and lanes lie side by side.
 */
export interface PackedFactor {
  /** Fills `into`. */
  readonly equation: Equation
  readonly into: Tensor
  /** What the factor is read as afterwards: a load of `into`. */
  readonly value: Extract<Expression, { kind: 'load' }>
  /** The axis of `equation` along which the factor's own memory runs. */
  readonly along: Axis
}

/** An output axis and a reduced one that move the same index, or one that moves it alone. */
interface Dimension {
  readonly axes: readonly Axis[]
  /** index = step of axes[0] * axes[0] + step of axes[1] * axes[1], up to a factor and a constant. */
  readonly steps: readonly number[]
}

/**
 * Packs `factor` while the axes in `fixed` stand still. Neighbours along `lanes` lie side by side even where windows have a stride: with
 * stride s each s-th element goes to a row of its own. `innermost` names the axis whose index runs fastest, if not the last. Undefined
 * where indices are divided, or loads of the factor move along the same axis in different ways.
 */
export function packFactor(
  name: string,
  given: Expression,
  fixed: ReadonlySet<Axis>,
  lanes: Axis,
  innermost?: Axis,
): PackedFactor | undefined {
  const factor = withoutIdleAxes(given, new Set([...fixed, lanes, ...(innermost ? [innermost] : [])]))
  const found = dimensionsOf(factor, fixed)
  const isInner = (d: Dimension): boolean => innermost !== undefined && d.axes.includes(innermost)
  const dimensions = found && [...found.filter((d) => !isInner(d)), ...found.filter(isInner)]
  if (!dimensions || dimensions.length === 0) return undefined
  const packAxes: Axis[] = []
  const packAt: IndexLike[] = []
  const readAt: IndexLike[] = []
  const shape: number[] = []
  let fastest: Axis | undefined
  const map: { axes: readonly Axis[]; steps: readonly number[]; by: Index }[] = []
  for (const d of dimensions) {
    // From 0 on: where an axis moves it backwards, the lowest value is taken off.
    const extents = d.axes.map((a) => a.extent as number)
    const at = d.axes.indexOf(lanes)
    const step = at < 0 ? 1 : d.steps[at]!
    if (step < 0) return undefined
    const least = d.steps.reduce((sum, step, i) => sum + Math.min(0, step * (extents[i]! - 1)), 0)
    const margin = marginOf(factor, d, least, step)
    const lowest = least - margin
    const size = d.steps.reduce((sum, step, i) => sum + Math.abs(step) * (extents[i]! - 1), 1 + margin)
    const whole = combine([[1, -lowest], ...d.steps.map((step, i) => [step, d.axes[i]!] as const)])
    if (step === 1) {
      const along = axis(d.axes[0]!.name, at < 0 || innermost ? size : roundUpToVector(size))
      if (at >= 0) fastest = along
      packAxes.push(along)
      packAt.push(along)
      readAt.push(whole)
      shape.push(along.extent as number)
      map.push({ axes: d.axes, steps: d.steps, by: plus(along, lowest) })
      continue
    }
    // Every step-th element in a row of its own.
    const phase = axis(`${lanes.name}_phase`, step)
    const along = axis(lanes.name, roundUpToVector(Math.ceil(size / step)))
    fastest = along
    const others = minus(whole, times(lanes, step))
    packAxes.push(phase, along)
    packAt.push(phase, along)
    readAt.push(remainder(others, step), plus(lanes, divide(others, step)))
    shape.push(step, along.extent as number)
    map.push({ axes: d.axes, steps: d.steps, by: plus(times(along, step), phase, lowest) })
  }
  const into = tensor(name, shape as Shape)
  const moved = moveAxes(factor, map)
  const pack = equation(name, [], [...fixedOf(factor, fixed), ...packAxes], [store(into, packAt, moved)])
  return { equation: pack, into, value: load(into, ...readAt) as PackedFactor['value'], along: fastest ?? packAxes.at(-1)! }
}

/** Whether `packFactor` packs a factor as one row along `lanes`, which `other` moves, too: known without packing it. */
export function isRowAlong(given: Expression, fixed: ReadonlySet<Axis>, lanes: Axis, other: Axis): boolean {
  const found = dimensionsOf(withoutIdleAxes(given, new Set([...fixed, lanes])), fixed)
  const [row] = found ?? []
  return row !== undefined && found!.length === 1 && row.axes.includes(other) && row.steps[row.axes.indexOf(lanes)] === 1
}

/**
 * A factor without axes of one point that stand beside a stride: a window of 1 x 1 that moves by two sees every second element, and the others, which a
 * window's own axis would move to, are not packed.
 */
function withoutIdleAxes(f: Expression, kept: ReadonlySet<Axis>): Expression {
  const idle = new Map<Axis, IndexLike>()
  for (const node of walk(f)) {
    if (node.kind !== 'load') continue
    for (const { terms } of node.at) {
      const moving = terms.flatMap((
        { atom, coefficient },
      ) => (atom.kind === 'axis' && !kept.has(atom.axis) ? [{ a: atom.axis, coefficient }] : []))
      const own = terms.flatMap(({ atom, coefficient }) => (atom.kind === 'axis' ? [coefficient] : []))
      if (!own.some((coefficient) => Math.abs(coefficient) > 1)) continue
      for (const { a } of moving) if (a.extent === 1) idle.set(a, 0)
    }
  }
  return idle.size > 0 ? substitute(f, idle) : f
}

/**
 * Elements in front of the first one that is read, so that a map begins at a whole step, and its border ends there: see `interiorOf`. Zero where it does
 * not end at one.
 */
function marginOf(factor: Expression, { axes, steps }: Dimension, least: number, step: number): number {
  if (step === 1 || factor.kind !== 'guard' || factor.otherwise !== 0) return 0
  for (const g of factor.guards) {
    if (g.kind !== 'within' || typeof g.extent !== 'number' || g.extent % step !== 0) continue
    if (g.at.terms.length !== axes.length || !axes.every((a, i) => strideOf(g.at, a) === steps[i])) continue
    return (((least + g.at.constant) % step) + step) % step
  }
  return 0
}

/** The same for all tasks at once, in a tensor with a block for each point of those fixed axes that the factor changes with. */
export function inBlocks({ equation: e, value, along }: PackedFactor, fixed: ReadonlySet<Axis>, into: Tensor): PackedFactor {
  const blocks = e.axes.filter((a) => fixed.has(a))
  const [stored] = e.stores as readonly [Equation['stores'][number]]
  return {
    equation: { ...e, stores: [store(into, [...blocks, ...stored.at], stored.value)] },
    into,
    value: load(into, ...blocks, ...value.at) as PackedFactor['value'],
    along,
  }
}

/** The extents of these blocks. */
export const blocksOf = ({ equation: e }: PackedFactor, fixed: ReadonlySet<Axis>): number[] =>
  e.axes.filter((a) => fixed.has(a)).map((a) => a.extent as number)

const fixedOf = (factor: Expression, fixed: ReadonlySet<Axis>): Axis[] => [...freeAxes(factor)].filter((a) => fixed.has(a))

const roundUpToVector = (size: number): number => Math.ceil(size / 4) * 4

/** The indices that axes move, in the order in which the tensors have them. */
function dimensionsOf(factor: Expression, fixed: ReadonlySet<Axis>): Dimension[] | undefined {
  const found: { axes: Axis[]; steps: number[] }[] = []
  let fits = true
  const take = (at: Index): void => {
    if (at.terms.some(({ atom }) => atom.kind !== 'axis' && axesOf(atom.of).some((a) => !fixed.has(a)))) {
      fits = false
      return
    }
    const moving = at.terms.flatMap((
      { atom, coefficient },
    ) => (atom.kind === 'axis' && !fixed.has(atom.axis) ? [{ a: atom.axis, coefficient }] : []))
    if (moving.length === 0) return
    if (moving.some(({ a }) => typeof a.extent !== 'number')) {
      fits = false
      return
    }
    const known = found.find((d) => moving.some(({ a }) => d.axes.includes(a)))
    if (!known) {
      const smallest = Math.min(...moving.map(({ coefficient }) => Math.abs(coefficient)))
      const sign = moving.some(({ coefficient }) => coefficient > 0) ? 1 : -1
      const steps = moving.map(({ coefficient }) =>
        sign * coefficient / (moving.length === 1 ? Math.abs(coefficient) : gcd(moving.map((m) => m.coefficient)) || smallest)
      )
      found.push({ axes: moving.map(({ a }) => a), steps })
      return
    }
    const ratio = moving[0]!.coefficient / known.steps[known.axes.indexOf(moving[0]!.a)]!
    if (
      moving.length !== known.axes.length ||
      !moving.every(({ a, coefficient }) => known.axes.includes(a) && coefficient === ratio * known.steps[known.axes.indexOf(a)]!)
    ) fits = false
  }
  const seen = new Set<Expression>()
  const visit = (node: Expression): void => {
    if (seen.has(node)) return
    seen.add(node)
    if (node.kind === 'load') node.at.forEach(take)
    else if (node.kind === 'position' || node.kind === 'random') take(node.at)
    else if (node.kind === 'reduce') fits = false
    for (const child of children(node)) visit(child)
    // Behind the loads: their order is that of memory.
    if (node.kind === 'guard') { for (const g of node.guards) take(g.at) }
  }
  visit(factor)
  const moving = [...freeAxes(factor)].filter((a) => !fixed.has(a))
  return fits && moving.every((a) => found.some((d) => d.axes.includes(a))) ? found : undefined
}

const gcd = (numbers: readonly number[]): number =>
  numbers.map(Math.abs).reduce((a, b) => {
    while (b) [a, b] = [b, a % b]
    return a
  })

/** Reads the index that several axes moved from one axis instead. */
function moveAxes(factor: Expression, map: readonly { axes: readonly Axis[]; steps: readonly number[]; by: Index }[]): Expression {
  const move = (at: Index): Index => {
    let result: Index = at
    for (const { axes, steps, by } of map) {
      const term = at.terms.find(({ atom }) => atom.kind === 'axis' && atom.axis === axes[0])
      if (!term) continue
      const ratio = term.coefficient / steps[0]!
      result = combine([[1, result], ...axes.map((a, i) => [-ratio * steps[i]!, a] as const), [ratio, by]])
    }
    return result
  }
  return mapIndices(move)(factor)
}

/** Bytes of a line of the caches, and elements. */
const LINE = 64
const ELEMENTS = LINE / 4

/** The same with rows that do not lie so far apart that a column of them has to share a few sets of the first cache. */
export function apart(packed: PackedFactor): PackedFactor {
  const { into: from, value, equation: e } = packed
  const row = from.shape.at(-1) as number
  if (from.shape.length < 2 || !sharesSets(row, from.shape.at(-2) as number)) return packed
  const into = tensor(from.name, [...from.shape.slice(0, -1), row + ELEMENTS])
  const [stored] = e.stores as readonly [Equation['stores'][number]]
  return {
    ...packed,
    into,
    equation: { ...e, stores: [{ ...stored, tensor: into }] },
    value: load(into, ...value.at) as PackedFactor['value'],
  }
}

/**
 * Whether lines of so many rows would not all stay in the first cache: of rows of an even number of lines, every second set has none of a tile's. Measured with
 * filters' gradients of 1 x 1, whose sums go down a column: 0.89 to 0.97 of the time for 64 to 160 channels.
 */
function sharesSets(row: number, rows: number): boolean {
  const [lines, sets] = [row / ELEMENTS, CPU.wayBytes / LINE]
  if (!Number.isInteger(lines)) return false
  const own = sets / gcd([lines, sets])
  return own <= FEW_SETS || rows > CPU.ways * own
}
/** So few sets hold no column that is worth packing. */
const FEW_SETS = 4

/** Whether a row goes through all sets of the first cache: a line of each of its panels, and the rows that it is computed from, take most of it. */
export const fillsWay = (row: number): boolean => 4 * row >= CPU.wayBytes

/**
 * The same in panels (BLIS: packing): `width` neighbours along the innermost axis, for all places along the others, lie one after the other, so that a tile
 * reads its vectors in a row. Where a row has many panels, those of an even number of lines are a line longer: what is stored of the row would go to every
 * second set of the first cache, or to one (128 channels of 32 x 32: 1.4 times the time of the kernel). Unchanged where panels do not divide the axis.
 */
export function inPanels(packed: PackedFactor, width: number): PackedFactor {
  const { into: from, value, equation: e } = packed
  const row = from.shape.at(-1) as number
  if (row <= width || row % width !== 0) return packed
  const [places, ...others] = from.shape.slice(0, -1) as number[]
  const each = others.reduce((product, extent) => product * extent, width)
  const isFar = fillsWay(row) && places! * each % (2 * ELEMENTS) === 0
  const into = tensor(from.name, [row / width, places! + (isFar ? Math.ceil(ELEMENTS / each) : 0), ...others, width])
  const split = (at: readonly Index[]): Index[] => [divide(at.at(-1)!, width), ...at.slice(0, -1), remainder(at.at(-1)!, width)]
  const own = e.axes.at(-1)!
  const [panel, lane] = [axis(`${own.name}_panel`, row / width), axis(own.name, width)]
  const axes = [
    ...e.axes.slice(0, e.axes.length - (from.shape.length)),
    panel,
    ...e.axes.slice(e.axes.length - from.shape.length, -1),
    lane,
  ]
  const moved = overAxes(e, new Map([[own, plus(times(panel, width), lane)]]), axes)
  const [stored] = moved.stores as readonly [Equation['stores'][number]]
  return {
    ...packed,
    into,
    equation: { ...moved, stores: [{ ...stored, tensor: into, at: split(stored.at) }] },
    value: load(into, ...split(value.at)) as PackedFactor['value'],
    along: lane,
  }
}
