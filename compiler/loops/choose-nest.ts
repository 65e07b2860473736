import { elementsPerSample, type Tensor } from '../tensor.ts'
import { isContraction, pointCost } from './cost.ts'
import { divisors } from './divisors.ts'
import { add, children, constant, type Expression, guard, load, walk } from './expression.ts'
import { freeAxes } from './free-axes.ts'
import { type Axis, axesOf, axis, index, type IndexLike, plus, times } from './index-expression.ts'
import { type Equation, reads, type SideReduction, writes } from './kernel.ts'
import { partialEquation } from './moments.ts'
import type { Loop, Nest, Phase } from './nest.ts'
import { dropTrueGuards, flattenAxes, flattenReductions, replaceNode, splitAxis, strideOf } from './reshape.ts'
import { stage, type Staged } from './stage.ts'
import { linearIndex, type Reduction } from './values.ts'
import { winograd, winogradGradient } from './winograd.ts'

/**
 * A nest from the shape of an equation alone, by a small model that counts instructions: two for each product of four
 * lanes, one for what is loaded, more where it lies scattered or is normalized and padded on the way.
 */
export function chooseNest(given: Equation): Nest {
  const equation = flattenReductions(flattenAxes(dropTrueGuards(given), given.sides.map((side) => side.kept)))
  const sums = equation.stores.flatMap((s) => reductions(s.value))
  const main = sums.filter(isContraction).sort((a, b) => steps(b) - steps(a))[0]
  // What does not change along an output axis is computed before it: no tile is as large as that.
  const serial = equation.axes.some((a, i) => i > 0 && sums.some((r) => !freeAxes(r).has(a)))
  const nest = main && !serial && steps(main) > 1 ? contraction(equation, main) : undefined
  return nest ?? plain(equation, sums)
}

/** Registers for sums: of sixteen, as many are needed for products and what is loaded. */
const MOST_SUMS = 8
const MOST_SUMS_ACROSS = 8
/** What a load of four lanes costs where they lie two apart, and where they lie anywhere. */
const EVERY_OTHER = 3
const SCATTERED = 7
/** Multiplications of four lanes written out in a row, at most. */
const BODY = 256
/** Elements that a thread prepares for an item: they should stay in the second cache. */
const GOOD_STAGE = 48 * 1024
const MOST_STAGE = 2 ** 20
/** A sample is cut into items of so many multiplications: there is work for several threads even for one sample. */
const ITEM = 1_000_000
const MOST_ITEMS = 8
/** Weights beyond this are kept in the cache over several samples. */
const BIG_WEIGHTS = 64 * 1024

/** How the innermost round of a sum of products looks. */
interface Tile {
  readonly cost: number
  /** The factor that is loaded in vectors (across: the one with `far`). */
  readonly vectors: Expression
  readonly others: Expression
  /** Points of four along an output axis, or steps of four along a reduced one. */
  readonly lanes?: Axis
  readonly across?: Axis
  readonly vectorCount: number
  /** An axis of `others`, and one more of `vectors`. */
  readonly near: Axis | undefined
  readonly nearCount: number
  readonly far: Axis | undefined
  readonly farCount: number
}

function contraction(given: Equation, main: Reduction): Nest | undefined {
  const product = withoutSharedGuards(main.body as Extract<Expression, { kind: 'binary' }>)
  if (product !== main.body) {
    const lighter = { ...main, body: product }
    return contraction({ ...given, stores: given.stores.map((s) => ({ ...s, value: replaceNode(s.value, main, lighter) })) }, lighter)
  }
  const fast = winograd(given, main, (e, split) => given.sides.map((side) => sidePhase(side, e, split)))
  if (fast) return fast
  const fastGradient = winogradGradient(given, main)
  if (fastGradient) return fastGradient
  const rounds = main.axes.find((a) => typeof a.extent !== 'number')
  const factors = [product.a, product.b] as const
  const padded = factors.map(needsStaging)
  const mayStage = !rounds || given.stores.length === 1 && given.stores[0]!.value === main
  const tile = bestTile(given, main, factors, (f) => mayStage && padded[factors.indexOf(f)]!)
  if (!tile) return undefined
  const split = chooseSplit(given, main, tile)
  let { equation } = split
  const grid = [...split.grid]
  const total = equation.stores.map((s) => reductions(s.value)).flat().filter(isContraction).sort((a, b) => steps(b) - steps(a))[0]!
  const body = total.body as Extract<Expression, { kind: 'binary' }>
  const names = { vectors: tile.vectors === product.a ? 'a' : 'b', others: tile.vectors === product.a ? 'b' : 'a' } as const

  // What is normalized or padded on the way is prepared once for an item.
  const moved = (a: Axis | undefined): Axis | undefined => (a && split.moved.get(a)) ?? a
  const lanes = moved(tile.lanes) ?? tile.across!
  const wanted = [names.vectors, names.others].filter((f) => mayStage && padded[f === 'a' ? 0 : 1])
  const fixed = new Set<Axis>([...grid, ...(rounds ? [rounds] : [])])
  const staged: { of: Expression; made: Staged }[] = []
  for (const f of wanted) {
    const made = stage(`staged_${f}`, body[f], fixed, lanes)
    if (made && elementsPerSample(made.into.shape) <= MOST_STAGE && usesOf(equation, total, body[f], fixed) >= 3) staged.push({ of: body[f], made })
  }
  const inRounds = staged.length > 0 && rounds !== undefined
  let sum: Reduction = total
  let value: Expression = body
  for (const { of, made } of staged) value = replaceNode(value, of, made.value)
  if (value !== body || inRounds) sum = { ...total, body: value, axes: inRounds ? total.axes.filter((a) => a !== rounds) : total.axes }
  if (sum !== total) {
    equation = {
      ...equation,
      stores: equation.stores.map((s) => ({
        ...s,
        value: inRounds ? add(load(s.tensor, ...s.at), sum) : replaceNode(s.value, total, sum),
      })),
    }
  }

  const acc = tile.vectorCount * tile.nearCount * tile.farCount
  const near = moved(tile.near)
  const far = moved(tile.far)
  const own = equation.axes.filter((a) => !grid.includes(a))
  const order = [...own.filter((a) => a === near), ...own.filter((a) => a !== near && a !== far && a !== lanes), ...own.filter((a) => a === far && a !== near), ...own.filter((a) => a === lanes)]
  const loops = order.map((a): Loop => (a === lanes ? { axis: a, tile: tile.vectorCount, lanes: true } : { axis: a, tile: a === near ? tile.nearCount : a === far ? tile.farCount : 1 }))
  const mainPhase: Phase = { equation, loops, unroll: writtenOut(sum, tile, acc), ...(tile.across && { across: tile.across }) }
  const sides = given.sides.map((side) => sidePhase(side, equation, split))
  return {
    grid,
    ...(inRounds && { rounds: { axis: rounds!, clear: clearPhase(equation, grid) } }),
    phases: [...staged.map(({ made }) => packPhase(made, fixed)), mainPhase, ...sides],
    staging: staged.map(({ made }) => made.into),
    ...(split.rows !== undefined && { rows: split.rows }),
    summary: describe(tile, staged.map(({ made }) => made.into), sum),
  }
}

/** Where both factors are zero under the same condition, one of them is enough. */
function withoutSharedGuards(product: Extract<Expression, { kind: 'binary' }>): Extract<Expression, { kind: 'binary' }> {
  const { a, b } = product
  if (a.kind !== 'guard' || b.kind !== 'guard' || a.otherwise !== 0 || b.otherwise !== 0) return product
  const shared = a.guards.filter((g) => g.kind === 'within' && typeof g.extent === 'number' && b.guards.some((other) => other.kind === 'within' && other.extent === g.extent && other.at.key === g.at.key))
  return shared.length === 0 ? product : { ...product, a: guard(a.guards.filter((g) => !shared.includes(g)), a.value) }
}

/** Whether what a factor gives differs from what lies in memory: padding, normalization. */
function needsStaging(f: Expression): boolean {
  // Images beyond the batch are skipped, not masked.
  const plainly = f.kind === 'guard' && f.guards.every((g) => g.kind === 'within' && typeof g.extent !== 'number') ? f.value : f
  return walk(plainly).some((node) => node.kind !== 'load' && node.kind !== 'constant')
    || walk(f).some((node) => node.kind === 'load' && linearIndex(node.tensor, node.at).terms.some(({ atom }) => atom.kind !== 'axis'))
}

/** How often an element that was prepared is used in one item. */
function usesOf(e: Equation, sum: Reduction, factor: Expression, fixed: ReadonlySet<Axis>): number {
  const count = (axes: Iterable<Axis>): number => [...axes].filter((a) => !fixed.has(a) && typeof a.extent === 'number').reduce((p, a) => p * (a.extent as number), 1)
  const elements = Math.max(1, ...walk(factor).map((node) => (node.kind === 'load' ? elementsPerSample(node.tensor.shape) : 1)))
  return count([...e.axes, ...sum.axes]) / Math.min(elements, count(freeAxes(factor)))
}

function packPhase({ pack }: Staged, fixed: ReadonlySet<Axis>): Phase {
  const own = pack.axes.filter((a) => !fixed.has(a))
  const last = own.at(-1)!
  const lanes = (last.extent as number) >= 4 ? last : undefined
  return { equation: pack, loops: own.map((a): Loop => (a === lanes ? { axis: a, tile: 1, lanes: true } : { axis: a, tile: 1 })), unroll: new Map() }
}

/** Sets what will be summed up in memory to zero. */
function clearPhase(e: Equation, grid: readonly Axis[]): Phase {
  const equation = flattenAxes({ ...e, stores: e.stores.map((s) => ({ ...s, value: constant(0) })) }, grid)
  const own = equation.axes.filter((a) => !grid.includes(a))
  return { equation, loops: own.map((a, i): Loop => (i === own.length - 1 && (a.extent as number) >= 4 ? { axis: a, tile: 1, lanes: true } : { axis: a, tile: 1 })), unroll: new Map() }
}

function bestTile(e: Equation, main: Reduction, factors: readonly [Expression, Expression], staged: (f: Expression) => boolean): Tile | undefined {
  let best: Tile | undefined
  const consider = (tile: Tile): void => { if (!best || tile.cost < best.cost) best = tile }
  const numeric = e.axes.filter((a) => typeof a.extent === 'number' && a.extent > 1)
  const count = steps(main)
  for (const [vectors, others] of [factors, [factors[1], factors[0]] as const]) {
    const inVectors = numeric.filter((a) => freeAxes(vectors).has(a) && !freeAxes(others).has(a))
    const inOthers = [undefined, ...numeric.filter((a) => freeAxes(others).has(a) && !freeAxes(vectors).has(a))]
    for (const near of inOthers) {
      for (const lanes of inVectors) {
        if ((lanes.extent as number) < 4) continue
        const prepared = staged(vectors) && isInnermost(vectors, lanes)
        const loads = loadCost(vectors, lanes, prepared)
        const stored = e.stores.reduce((sum, s) => sum + costOfStride(strideOf(linearIndex(s.tensor, s.at), lanes)), 0)
        for (const far of [undefined, ...inVectors.filter((a) => a !== lanes)]) {
          for (const [nearCount, vectorCount, farCount] of counts(MOST_SUMS, near, lanes, far)) {
            const sums = nearCount * vectorCount * farCount
            const waste = overhang(near, nearCount) * overhang(lanes, 4 * vectorCount) * overhang(far, farCount)
            const cost = waste * (2 + (vectorCount * farCount * loads + nearCount * (1 + (staged(others) ? 0 : pointCost(others)))) / sums + 4 * stored / count + 0.01 * vectorCount + 0.02 * farCount)
            consider({ cost, vectors, others, lanes, vectorCount, near, nearCount, far, farCount })
          }
        }
      }
      for (const across of main.axes) {
        if (typeof across.extent !== 'number' || across.extent < 4) continue
        const [a, b] = [vectors, others].map((f) => loadCost(f, across, staged(f) && isInnermost(f, across))) as [number, number]
        for (const far of [undefined, ...inVectors]) {
          for (const [nearCount, , farCount] of counts(MOST_SUMS_ACROSS, near, undefined, far)) {
            const sums = nearCount * farCount
            const waste = overhang(near, nearCount) * overhang(far, farCount) * overhang(across, 4)
            const cost = waste * (2 + (farCount * a + nearCount * b) / sums) + (Number.isFinite(count) ? 24 / count : 0.2)
            consider({ cost, vectors, others, across, vectorCount: 1, near, nearCount, far, farCount })
          }
        }
      }
    }
  }
  return best
}

/** Sizes of a tile: points of `near`, fours along `lanes`, points of `far`. */
function* counts(most: number, near: Axis | undefined, lanes: Axis | undefined, far: Axis | undefined): Generator<[number, number, number]> {
  const upTo = (a: Axis | undefined, sizes: readonly number[]): readonly number[] => (a ? sizes.filter((s) => s <= (a.extent as number)) : [1])
  for (const n of upTo(near, [1, 2, 3, 4, 5, 6])) {
    for (const v of lanes ? [1, 2, 3, 4].filter((s) => s === 1 || 4 * (s - 1) < (lanes.extent as number)) : [1]) {
      for (const f of upTo(far, [1, 2, 3, 4, 5])) if (n * v * f <= most) yield [n, v, f]
    }
  }
}

/** Tiles that do not divide an axis overlap: the share that is computed. */
const overhang = (a: Axis | undefined, size: number): number => {
  if (!a) return 1
  const extent = a.extent as number
  // An axis that is shorter than a tile has as many fours as it needs.
  return extent < size ? Math.ceil(extent / 4) * 4 / extent : Math.ceil(extent / size) * size / extent
}

/** Whether neighbours along an axis lie side by side, or at the distance of a window's steps. */
const isInnermost = (f: Expression, a: Axis): boolean =>
  walk(f).every((node) => node.kind !== 'load' || (strideOf(linearIndex(node.tensor, node.at), a) ?? Infinity) <= 4)

/** Instructions for four lanes of a factor along an axis. */
function loadCost(f: Expression, a: Axis, staged: boolean): number {
  if (staged) return 1
  let cost = pointCost(f)
  for (const node of walk(f)) if (node.kind === 'load') cost += costOfStride(strideOf(linearIndex(node.tensor, node.at), a))
  return cost
}

const costOfStride = (stride: number | undefined): number =>
  stride === 0 || stride === 1 ? 1 : stride === 2 ? EVERY_OTHER : SCATTERED

interface Split {
  readonly equation: Equation
  readonly grid: readonly Axis[]
  /** What stands for an axis that was cut into blocks: the axis inside a block. */
  readonly moved: ReadonlyMap<Axis, Axis>
  readonly row?: Axis
  readonly rows?: number
  readonly rowBlocks?: Axis
  readonly channelBlocks?: Axis
}

/** Which axes count items. */
function chooseSplit(e: Equation, main: Reduction, tile: Tile): Split {
  const [vectors, others] = [freeAxes(tile.vectors), freeAxes(tile.others)]
  // The image, groups, chunks of a batch: what both factors depend on, or what has no end.
  const leading = e.axes.filter((a) => typeof a.extent !== 'number' || (vectors.has(a) && others.has(a)))
  const work = e.axes.filter((a) => !leading.includes(a)).reduce((p, a) => p * (a.extent as number), 1) * main.axes.reduce((p, a) => p * (typeof a.extent === 'number' ? a.extent : 64), 1)
  const already = leading.reduce((p, a) => p * (typeof a.extent === 'number' ? a.extent : 1), 1)
  const pieces = Math.max(1, Math.floor(Math.min(MOST_ITEMS, work / ITEM) / already))
  let equation = e
  const moved = new Map<Axis, Axis>()
  const blocks: Axis[] = []
  let channelBlocks: Axis | undefined
  let rowBlocks: Axis | undefined
  let rows: number | undefined
  // Rows of the picture, where all of it would not stay in the cache.
  const row = tile.lanes && e.axes.find((a) => a !== tile.lanes && a !== tile.far && vectors.has(a) && !others.has(a) && typeof a.extent === 'number' && a.extent > 1)
  const picture = Math.max(...walk(tile.vectors).map((node) => (node.kind === 'load' ? elementsPerSample(node.tensor.shape) : 1)))
  const wanted = Math.ceil(picture / GOOD_STAGE)
  if (row && needsStaging(tile.vectors) && wanted > 1 && e.sides.every((s) => s.kept !== row)) {
    const size = divisors(row.extent as number).filter((d) => d <= Math.max(4, (row.extent as number) / wanted)).at(-1)
    if (size !== undefined && size >= 4 && size < (row.extent as number)) {
      const cut = splitAxis(equation, row, size)
      equation = cut.equation
      moved.set(row, cut.inner)
      rowBlocks = cut.outer
      rows = size
      blocks.push(cut.outer)
    }
  }
  const left = Math.ceil(pieces / (rowBlocks ? rowBlocks.extent as number : 1))
  const { near } = tile
  if (near && left > 1) {
    const extent = near.extent as number
    const size = divisors(extent).filter((d) => d % tile.nearCount === 0 && extent / d <= left)[0]
    if (size !== undefined && size < extent) {
      const cut = splitAxis(equation, near, size)
      equation = cut.equation
      moved.set(near, cut.inner)
      channelBlocks = cut.outer
      blocks.push(cut.outer)
    }
  }
  const weights = Math.max(...walk(tile.others).map((node) => (node.kind === 'load' ? elementsPerSample(node.tensor.shape) : 1)))
  const batchFirst = weights < BIG_WEIGHTS || !channelBlocks
  const grid = batchFirst ? [...leading, ...blocks] : [channelBlocks!, ...leading, ...blocks.filter((b) => b !== channelBlocks)]
  return { equation, grid, moved, ...(rows !== undefined && { rows }), ...(row && { row }), ...(rowBlocks && { rowBlocks }), ...(channelBlocks && { channelBlocks }) }
}


/** Windows are written out, so that neighbours share what they load; else a little of the innermost loop. */
function writtenOut(sum: Reduction, tile: Tile, acc: number): Map<Axis, number> {
  const unroll = new Map<Axis, number>()
  let products = acc
  for (const a of [...sum.axes].reverse()) {
    if (a === tile.across || typeof a.extent !== 'number') continue
    if (a.extent > 11 || products * a.extent > BODY) continue
    unroll.set(a, a.extent)
    products *= a.extent
  }
  if (products > acc) return unroll
  const innermost = sum.axes.filter((a) => typeof a.extent === 'number').at(-1)
  if (!innermost) return unroll
  if (innermost === tile.across) { if ((innermost.extent as number) >= 16) unroll.set(innermost, 2) } else {
    const factor = [4, 2].find((f) => (innermost.extent as number) % f === 0)
    if (factor) unroll.set(innermost, factor)
  }
  return unroll
}

/** Statistics of what an item has just stored, read back while it is in the cache. */
function sidePhase(side: SideReduction, main: Equation, split: Omit<Split, 'equation' | 'moved'>): Phase {
  const [, channels, ...space] = side.source.shape as readonly ['n', number, ...number[]]
  const image = split.grid.find((a) => a.extent === 'n')!
  const { channelBlocks, rowBlocks, rows } = split
  // Where each channel is an item, its own; else all that the item has.
  const own = split.grid.includes(side.kept)
  const c = axis('c', own ? 1 : channelBlocks ? channels / (channelBlocks.extent as number) : channels)
  const channel: IndexLike = own ? side.kept : channelBlocks ? plus(times(channelBlocks, c.extent as number), c) : index(c)
  const width = space.at(-1) ?? 1
  const height = rows ?? (space.length > 1 ? space[0]! : 1)
  const area = axis('hw', height * width)
  const inner = (): Axis[] => [area]
  const at = (axes: readonly IndexLike[]): IndexLike[] => (space.length === 1 ? [axes[0]!] : [rowBlocks ? times(rowBlocks, height) : 0, axes[0]!])
  const places = side.blocks.map(({ axis: a }) => (a.extent === 'n' ? image : rowBlocks && a === split.row ? rowBlocks : 0))
  const equation = partialEquation(
    { name: main.name, layers: main.layers, source: side.source },
    { image, channel, axes: own ? split.grid : [...split.grid, c], inner, at, into: side.into, place: [...places, channel] },
  )
  const wide = area.extent as number
  return { equation, loops: own ? [] : [{ axis: c, tile: 1 }], ...(wide >= 4 && { across: area }), unroll: new Map(wide >= 16 ? [[area, 2]] : []) }
}

/** Point by point, windows, sums: one axis in lanes, an item for each image and channel. */
function plain(e: Equation, sums: readonly Reduction[]): Nest {
  const loads = weighedLoads(e)
  const stores = e.stores.map((s) => linearIndex(s.tensor, s.at))
  const inPlace = reads(e).some((t) => writes(e).includes(t))
  const costs: { cost: number; lanes?: Axis; across?: Axis }[] = [{ cost: loads.reduce((sum, l) => sum + 2 * l.weight, 2 * stores.length) }]
  for (const lanes of e.axes) {
    if (typeof lanes.extent !== 'number' || lanes.extent < 4 || stores.some((form) => (strideOf(form, lanes) ?? 0) < 1) || countsImages(e, lanes)) continue
    const each = loads.reduce((sum, l) => sum + l.weight * (1 + costOfStride(strideOf(l.form, lanes))), 0) + stores.reduce((sum, form) => sum + (strideOf(form, lanes) === 1 ? 1 : 5), 0)
    costs.push({ cost: each / 4 * overhang(lanes, 4), lanes })
  }
  for (const r of sums) {
    for (const across of r.axes) {
      if (typeof across.extent !== 'number' || across.extent < 4 || sums.some((s) => s.combine === 'argmax')) continue
      const cost = loads.reduce((sum, l) => sum + l.weight * (l.inside.has(across) ? (1 + costOfStride(strideOf(l.form, across))) / 4 * overhang(across, 4) : 2), 2 * stores.length + 6)
      costs.push({ cost, across })
    }
  }
  const { lanes, across } = costs.reduce((best, c) => (c.cost < best.cost ? c : best))
  const unroll = new Map<Axis, number>()
  for (const r of sums) {
    const size = steps(r)
    if (Number.isFinite(size) && size <= 16) for (const a of r.axes) if (a !== across) unroll.set(a, a.extent as number)
  }
  if (across && (across.extent as number) >= 32) unroll.set(across, 2)
  return plainGrid(e, lanes, across, unroll, sums.length === 0 && !inPlace)
}

/** Whether an axis tells images apart of which there may be none: four at a time would be loaded one by one. */
const countsImages = (e: Equation, a: Axis): boolean =>
  e.stores.some((s) => walk(s.value).some((node) => node.kind === 'guard' && node.guards.some((g) => g.kind === 'within' && typeof g.extent !== 'number' && axesOf(g.at).includes(a))))

const SMALL_ITEM = 512
const BLOCK = 4096

function plainGrid(e: Equation, lanes: Axis | undefined, across: Axis | undefined, unroll: ReadonlyMap<Axis, number>, pointwise: boolean): Nest {
  let equation = e
  let along = lanes
  const grid: Axis[] = []
  const points = (axes: readonly Axis[]): number => axes.reduce((p, a) => p * (typeof a.extent === 'number' ? a.extent : 1), 1)
  const inner = Math.max(1, ...e.stores.map((s) => reductions(s.value).reduce((sum, r) => sum + r.axes.reduce((p, a) => p * (typeof a.extent === 'number' ? a.extent : 16), 1), 0)))
  for (const [i, a] of equation.axes.entries()) {
    if (typeof a.extent !== 'number') { grid.push(a); continue }
    if (a === lanes || points(equation.axes.slice(i + 1)) * inner < SMALL_ITEM) break
    // Statistics are of whole pictures.
    if (e.sides.length > 0 && e.sides.some((side) => side.kept !== a)) break
    grid.push(a)
  }
  if (lanes && e.sides.length === 0 && (lanes.extent as number) * inner > 4 * BLOCK && grid.every((a) => typeof a.extent === 'number') && points(grid) < 64) {
    const size = divisors(lanes.extent as number).filter((d) => d % 4 === 0 && d * inner <= BLOCK).at(-1)
    if (size !== undefined && size >= 16) {
      const cut = splitAxis(equation, lanes, size)
      equation = cut.equation
      along = cut.inner
      grid.push(cut.outer)
    }
  }
  const own = equation.axes.filter((a) => !grid.includes(a))
  const loops = own.map((a): Loop => (a === along ? { axis: a, tile: pointwise && (a.extent as number) >= 8 ? 2 : 1, lanes: true } : { axis: a, tile: 1 }))
  const how = along ? `four points along ${along.name} at a time` : across ? `four terms along ${across.name} at a time` : 'one point at a time'
  const sides = e.sides.map((side) => sidePhase(side, equation, { grid }))
  return { grid, phases: [{ equation, loops, unroll, ...(across && { across }) }, ...sides], staging: [], summary: how }
}

interface WeighedLoad {
  readonly form: ReturnType<typeof linearIndex>
  readonly weight: number
  readonly inside: ReadonlySet<Axis>
}

/** Loads, and how often each is done for one point. */
function weighedLoads(e: Equation): WeighedLoad[] {
  const found: WeighedLoad[] = []
  const seen = new Set<Expression>()
  const visit = (node: Expression, weight: number, inside: ReadonlySet<Axis>): void => {
    if (seen.has(node)) return
    seen.add(node)
    if (node.kind === 'load') found.push({ form: linearIndex(node.tensor, node.at), weight, inside })
    // A function is worth several loads: it is as dear for one lane as for four.
    if (node.kind === 'unary' && ['exp', 'log', 'tanh', 'erf'].includes(node.op)) found.push({ form: index(0), weight: 10 * weight, inside })
    const [here, axes] = node.kind === 'reduce'
      ? [weight * node.axes.reduce((p, a) => p * (typeof a.extent === 'number' ? a.extent : 16), 1), new Set([...inside, ...node.axes])]
      : [weight, inside]
    for (const child of children(node)) visit(child, here, axes)
  }
  for (const s of e.stores) visit(s.value, 1, new Set())
  return found
}

function describe(tile: Tile, staged: readonly Tensor[], sum: Reduction): string {
  const parts = [
    ...(tile.near && tile.nearCount > 1 ? [`${tile.near.name} ${tile.nearCount}`] : []),
    ...(tile.far && tile.farCount > 1 ? [`${tile.far.name} ${tile.farCount}`] : []),
    ...(tile.lanes ? [`${tile.lanes.name} ${4 * tile.vectorCount}`] : []),
  ]
  const how = tile.lanes ? 'direct' : `four terms along ${tile.across!.name} at a time`
  const prepared = staged.length > 0 ? `; prepares ${staged.map((t) => t.shape.join('x')).join(' and ')}` : ''
  return `${how}, a tile of ${parts.join(' x ') || 'one point'} over ${sum.axes.map((a) => a.name).join(', ')}${prepared}`
}

const steps = (r: Reduction): number =>
  r.axes.reduce((product, a) => product * (typeof a.extent === 'number' ? a.extent : Infinity), 1)

function reductions(e: Expression, found = new Set<Reduction>(), seen = new Set<Expression>()): Reduction[] {
  if (!seen.has(e)) {
    seen.add(e)
    if (e.kind === 'reduce') found.add(e)
    for (const child of children(e)) reductions(child, found, seen)
  }
  return [...found]
}
