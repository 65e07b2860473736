import { freeAxes, reductions, isContraction } from '../../ir/analysis.ts'
import { type Expression, type Reduction, walk } from '../../ir/expression.ts'
import { mapIndices } from '../../ir/rewrite.ts'
import { type Axis, axis, axesOf, combine, divide, type Index, index, type IndexLike, plus, remainder,
  linearIndex } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import type { Schedule } from './schedule.ts'
import { range } from '../range.ts'

/**
 * A factor of a sum of products as a workgroup stages it: a box of values that its points and steps need. Rows of a picture
 * and of a window that slides over it meet in one coordinate, so what neighbouring windows share is there once.
 */
export interface SharedTile {
  /** The factor over `dims`, and over its axes, which now stand for where the workgroup's block begins. */
  readonly value: Expression
  readonly dims: readonly TileDim[]
  /** Elements are vectors of four points along `lanes`. */
  readonly lanes: TileDim | undefined
}

/** A coordinate in the box: `sum of factor * (axis - where the block begins along it) + shift`. */
export interface TileDim {
  readonly coordinate: Axis
  readonly parts: readonly (readonly [axis: Axis, factor: number])[]
  readonly shift: number
  /** Values along it; of the one in lanes: fours. */
  readonly extent: number
}

export interface SharedTiles {
  readonly main: Reduction
  readonly tiles: readonly [SharedTile, SharedTile]
  /** The strides of the array of each tile, rows kept apart: see `paddedStrides`. */
  readonly strides: readonly (readonly number[])[]
  /** Points along every output axis that a workgroup computes, steps along every reduced axis that it stages. */
  readonly spans: ReadonlyMap<Axis, number>
}

/** The one sum of products of an equation that has no other reduction. */
export function onlyContraction(e: Equation): Reduction | undefined {
  const found = [...new Set(e.stores.flatMap((s) => reductions(s.value)))]
  return found.length === 1 && isContraction(found[0]!) ? found[0] : undefined
}

/** What a schedule stages, found once for who asks whether it fits and who follows it; undefined where the equation has no such sum. */
export function sharedTilesOf(e: Equation, schedule: Schedule): SharedTiles | undefined {
  const before = known.get(schedule)
  if (before?.e === e) return before.tiles
  const tiles = findSharedTiles(e, schedule)
  known.set(schedule, { e, tiles })
  return tiles
}

const known = new WeakMap<Schedule, { readonly e: Equation; readonly tiles: SharedTiles | undefined }>()

function findSharedTiles(e: Equation, schedule: Schedule): SharedTiles | undefined {
  const main = onlyContraction(e)
  if (!main || !schedule.stage || !schedule.group) return undefined
  const spans = spansOf(e, main, schedule)
  const { a, b } = main.body as Extract<Expression, { kind: 'binary' }>
  const tiles = [sharedTileOf(a, spans, schedule.lanes), sharedTileOf(b, spans, schedule.lanes)] as const
  return { main, tiles, strides: tiles.map((tile) => paddedStrides(schedule, tile)), spans }
}

const spansOf = (e: Equation, main: Reduction, { tile, group, stage }: Pick<Schedule, 'tile' | 'group' | 'stage'>): Map<Axis, number> =>
  new Map<Axis, number>([
    ...e.axes.map((a) => [a, (tile.get(a) ?? 1) * (group?.get(a) ?? 1)] as const),
    ...main.axes.map((a) => [a, stage?.get(a) ?? 1] as const),
  ])

/**
 * How many numbers of a factor a workgroup stages, by its points and steps along all axes, in the order of `axes`: for the many schedules
 * of one equation.
 */
export function sharedTileSize(factor: Expression, axes: readonly Axis[]): (spans: readonly number[]) => number {
  const forms = formsOf(factor)
  const free = freeAxes(factor)
  const places = [...axes.keys()].filter((at) => free.has(axes[at]!))
  // Keys say which axes move, a digit each: neither factor of a sum of products has fifty.
  const known = new Map<number, readonly JoinedAxes[]>()
  return (spans) => {
    let key = 0
    for (const at of places) key = 2 * key + (spans[at]! > 1 ? 1 : 0)
    let groups = known.get(key)
    if (!groups) known.set(key, groups = joinedAxes(axes, places.filter((at) => spans[at]! > 1), forms))
    let elements = 1
    for (const { places, base } of groups) {
      let [apart, joined] = [1, 1]
      for (let i = 0; i < places.length; i++) {
        const span = spans[places[i]!]!
        apart *= span
        if (base) joined += base[i]! * (span - 1)
      }
      elements *= base ? Math.min(apart, joined) : apart
    }
    return elements
  }
}

/** Axes that meet in some index. `base`: the proportion in which they do everywhere, if there is one. */
interface JoinedAxes {
  readonly places: readonly number[]
  readonly base: readonly number[] | undefined
}

const joinedAxes = (axes: readonly Axis[], moving: readonly number[], forms: readonly Index[]): JoinedAxes[] =>
  components(moving.map((at) => axes[at]!), forms).map((group) => ({
    places: group.map((a) => axes.indexOf(a)),
    base: proportionOf(group, forms)?.map(Math.abs),
  }))

const boxOf = (axes: readonly Axis[], forms: readonly Index[], spans: ReadonlyMap<Axis, number>): TileDim[] =>
  components(axes.filter((a) => (spans.get(a) ?? 1) > 1), forms).flatMap((group) => dimsOf(group, forms, spans))

function sharedTileOf(factor: Expression, spans: ReadonlyMap<Axis, number>, lanes: Axis | undefined): SharedTile {
  const forms = formsOf(factor)
  const dims = boxOf([...freeAxes(factor)], forms, spans)
  const inLanes = dims.find((d) => d.parts.length === 1 && d.parts[0]![0] === lanes)
  const value = mapIndices((form) => spread(form, dims))(factor)
  const strides = new Map(dims.map((d) => [d, memoryStride(value, d)]))
  const ordered = [...dims].sort((x, y) => strides.get(y)! - strides.get(x)!)
  const final = ordered.map((d) => (d === inLanes ? { ...d, extent: d.extent / 4 } : d))
  return { value, dims: final, lanes: final.find((d) => d.coordinate === inLanes?.coordinate) }
}

/** Every linear form in a factor, those inside divisions included. */
function formsOf(e: Expression): Index[] {
  const found: Index[] = []
  const visit = (form: Index): void => {
    found.push(form)
    for (const { atom } of form.terms) if (atom.kind !== 'axis') visit(atom.of)
  }
  for (const node of walk(e)) {
    if (node.kind === 'load') node.at.forEach(visit)
    if (node.kind === 'position' || node.kind === 'random') visit(node.at)
    if (node.kind === 'guard') { for (const g of node.guards) visit(g.at) }
  }
  return found
}

const factorOf = (form: Index, a: Axis): number => form.terms.find(({ atom }) => atom.kind === 'axis' && atom.axis === a)?.coefficient ?? 0

/** Axes that meet in some form, directly or by way of others. */
function components(axes: readonly Axis[], forms: readonly Index[]): Axis[][] {
  const groups: Axis[][] = []
  for (const a of axes) {
    const meets = (b: Axis): boolean => forms.some((form) => factorOf(form, a) !== 0 && factorOf(form, b) !== 0)
    const joined = groups.filter((g) => g.some(meets))
    for (const g of joined) groups.splice(groups.indexOf(g), 1)
    groups.push([...joined.flat(), a])
  }
  return groups
}

/** One coordinate for axes that occur in one proportion everywhere, where that makes the box smaller; else one for each. */
function dimsOf(axes: readonly Axis[], forms: readonly Index[], spans: ReadonlyMap<Axis, number>): TileDim[] {
  const alone = (a: Axis): TileDim => dim([[a, 1]], spans)
  const base = axes.length === 1 ? undefined : proportionOf(axes, forms)
  if (!base) return axes.map(alone)
  const joined = dim(axes.map((a, i) => [a, base[i]!] as const), spans)
  return joined.extent < axes.reduce((product, a) => product * spans.get(a)!, 1) ? [joined] : axes.map(alone)
}

/** The factors of axes that occur in one proportion wherever one of them does. */
function proportionOf(axes: readonly Axis[], forms: readonly Index[]): readonly number[] | undefined {
  const used = forms.map((form) => axes.map((a) => factorOf(form, a))).filter((factors) => factors.some((f) => f !== 0))
  const divisor = used[0]!.map(Math.abs).reduce(gcd)
  const base = used[0]!.map((f) => f / divisor)
  const proportional = base.every((f) => f !== 0) && used.every((factors) => {
    const times = factors[0]! / base[0]!
    return Number.isInteger(times) && factors.every((f, i) => f === times * base[i]!)
  })
  return proportional ? base : undefined
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))

function dim(parts: readonly (readonly [Axis, number])[], spans: ReadonlyMap<Axis, number>): TileDim {
  let [shift, extent] = [0, 1]
  for (const [a, factor] of parts) {
    const reach = factor * (spans.get(a)! - 1)
    shift -= Math.min(0, reach)
    extent += Math.abs(reach)
  }
  return { coordinate: axis(`${parts.map(([a]) => a.name).join('_')}_at`, extent), parts, shift, extent }
}

/** The form with the coordinates added to the beginning of the block, for which the axes now stand. */
function spread(form: Index, dims: readonly TileDim[]): Index {
  const parts: [number, IndexLike][] = [[1, form.constant]]
  for (const { atom, coefficient } of form.terms) {
    parts.push([coefficient, atom.kind === 'axis' ? atom.axis : (atom.kind === 'div' ? divide : remainder)(spread(atom.of, dims), atom.by)])
  }
  for (
    const { coordinate, parts: [[first, factor]], shift } of dims as readonly (TileDim & { parts: readonly [readonly [Axis, number]] })[]
  ) {
    const times = factorOf(form, first) / factor
    if (times !== 0) parts.push([times, plus(coordinate, -shift)])
  }
  return combine(parts)
}

/** About how far apart in memory neighbours along a coordinate lie: the box is filled in the order of memory. */
function memoryStride(value: Expression, { coordinate }: TileDim): number {
  let most = 0
  for (const node of walk(value)) {
    if (node.kind !== 'load') continue
    for (const { atom, coefficient } of linearIndex(node.tensor, node.at).terms) {
      const reach = atom.kind === 'axis' ? (atom.axis === coordinate ? 1 : 0)
        : axesOf(atom.of).includes(coordinate) ? Math.abs(factorOf(atom.of, coordinate)) / (atom.kind === 'div' ? atom.by : 1) : 0
      most = Math.max(most, Math.abs(coefficient) * reach)
    }
  }
  return most
}

/** Where a point and step lie in a stage, by where they stand in their block and round. */
export const coordinatesOf = ({ dims }: SharedTile, inside: (a: Axis) => IndexLike): Index[] =>
  dims.map(({ parts, shift }) => combine([[1, index(shift)], ...parts.map(([a, factor]) => [factor, inside(a)] as const)]))

/** Elements of a stage without what keeps its rows apart; of one in lanes: vectors. */
export const tileElements = ({ dims }: SharedTile): number => dims.reduce((product, d) => product * d.extent, 1)

/** Row-major. */
export const stridesOf = (extents: readonly number[]): number[] =>
  extents.map((_, i) => extents.slice(i + 1).reduce((product, e) => product * e, 1))

/** Elements of the array that holds a stage. */
export const arrayElements = (
  { dims }: SharedTile,
  strides: readonly number[],
): number => (dims.length === 0 ? 1 : strides[0]! * dims[0]!.extent)

/** Workgroup memory that a schedule's stages take. */
export const sharedTileBytes = ({ tiles, strides }: SharedTiles): number =>
  tiles.reduce((sum, tile, i) => sum + arrayElements(tile, strides[i]!) * (tile.lanes ? 16 : 4), 0)

const BANKS = 32
const MOST_PADDING = 4

/**
 * Rows are kept apart by a few elements where the invocations of a warp would otherwise find what they read in the same of
 * the 32 banks that graphics hardware commonly has.
 */
export function paddedStrides(schedule: Schedule, stage: SharedTile): number[] {
  const extents = stage.dims.map((d) => d.extent)
  const plain = stridesOf(extents)
  if (stage.lanes || extents.length < 2) return plain
  const group = [...(schedule.group ?? [])]
  const along = stridesOf(group.map(([, size]) => size))
  // Where each invocation of a warp reads, along each dimension.
  const places = range(Math.min(BANKS, group.reduce((p, [, size]) => p * size, 1))).map((local) => {
    const tile = new Map(group.map(([a, size], i) => [a, Math.floor(local / along[i]!) % size]))
    return stage.dims.map(({ parts }) => parts.reduce((p, [a, factor]) => p + factor * (tile.get(a) ?? 0) * (schedule.tile.get(a) ?? 1), 0))
  })
  const conflicts = (strides: readonly number[]): number => {
    const different = new Set(places.map((place) => place.reduce((sum, at, i) => sum + strides[i]! * at, 0)))
    const banks = new Array<number>(BANKS).fill(0)
    for (const at of different) banks[((at % BANKS) + BANKS) % BANKS]!++
    return Math.max(...banks)
  }
  let [best, least] = [plain, conflicts(plain)]
  for (let pad = 1; pad <= MOST_PADDING && least > 1; pad++) {
    const padded = stridesOf([...extents.slice(0, -1), extents.at(-1)! + pad])
    const found = conflicts(padded)
    if (found < least) [best, least] = [padded, found]
  }
  return best
}
