import { freeAxes, reductions, steps, strideOf, isContraction } from '../../ir/analysis.ts'
import { contraction } from './contraction.ts'
import { divisors } from '../../ir/divisors.ts'
import { children, type Expression, walk, type Reduction } from '../../ir/expression.ts'
import { type Axis, axesOf, index, isAxis, linearIndex } from '../../ir/affine.ts'
import { type Equation, type OnLoad, reads, writes } from '../../ir/equation.ts'
import { costOfStride, tailWaste } from './cost-model.ts'
import type { Loop, LoopNest, NestChoice } from './loop-nest.ts'
import { loadOf } from '../../ir/fused-producer.ts'
import { onceByShape } from '../../ir/once-by-shape.ts'
import { pointStage } from './point-by-point.ts'
import { dropTrueGuards, flattenAxes, flattenReductions, overAxes, splitAxis, splitDivided } from '../../ir/reshape.ts'
import { statisticsStage } from './statistics-stage.ts'

/**
 * A nest from the shape of an equation alone, by a small model that counts instructions: two for each product of four
 * lanes, one for what is loaded, more where it lies scattered or is normalized and padded on the way.
 */
export function chooseNest(given: Equation, choice: NestChoice = {}): LoopNest {
  if (given.onLoad) return withOnLoad(given, given.onLoad, choice)
  const equation = flattenReductions(flattenAxes(dropTrueGuards(given), given.sides.map((side) => side.kept)))
  const sums = equation.stores.flatMap((s) => reductions(s.value))
  const main = sums.filter(isContraction).sort((a, b) => steps(b) - steps(a))[0]
  // What does not change along an output axis is computed before it: no tile is as large as that.
  const serial = equation.axes.some((a, i) => i > 0 && sums.some((r) => !freeAxes(r).has(a)))
  const nest = main && !serial && steps(main) > 1 ? contraction(equation, main, choice) : undefined
  if (nest) return nest
  const { equation: cut, inner } = splitDivided(equation, MOST_WRITTEN)
  return plain(cut, cut.stores.flatMap((s) => reductions(s.value)), inner)
}

/** An item makes the whole of its image first: what it then loads is in the cache. */
function withOnLoad({ onLoad: _, ...plain }: Equation, { axes, store }: OnLoad, choice: NestChoice): LoopNest {
  const nest = chooseNest(plain, choice)
  const [image] = nest.grid
  const [own, ...others] = axes
  const made = overAxes({ ...plain, axes, stores: [store], sides: [] }, new Map([[own!, image!]]), [image!, ...others])
  return {
    ...nest,
    stages: [{ ...pointStage(flattenAxes(made), [image!]), invariantOver: [image!] }, ...nest.stages],
    summary: `makes ${store.tensor.name} first; ${nest.summary}`,
  }
}

/** Why the items of an equation cannot make on load what it would. `makesImages` tells whether they could. */
export const refuseOnLoad = (
  e: Equation,
  makesImages: (e: Equation) => boolean,
): string | undefined => (makesImages(e) ? undefined : `${e.name} takes many images for each part of its weights`)

/** Whether an item has one image, so that it can make the whole of it first: for `refuseOnLoad`. */
export const makingImages = (choice: NestChoice = {}): (e: Equation) => boolean =>
  onceByShape(({ onLoad, ...plain }) => {
    const [image] = chooseNest(plain, choice).grid
    const load = plain.stores.map((s) => loadOf(s.value, onLoad!)).find((found) => found)
    return image?.extent === 'n' && load !== undefined && isAxis(load.at[0]!, image)
  })

/** Points between two multiples of what an index is divided by that are written out. */
const MOST_WRITTEN = 4

/** Point by point, windows, sums: one axis in lanes, an item for each image and channel. */
function plain(e: Equation, sums: readonly Reduction[], written: ReadonlyMap<Axis, Axis>): LoopNest {
  const loads = weighedLoads(e)
  const stores = e.stores.filter((s) => !s.counts).map((s) => linearIndex(s.tensor, s.at))
  const inPlace = reads(e).some((t) => writes(e).includes(t))
  const costs: { cost: number; lanes?: Axis; across?: Axis }[] = [{ cost: loads.reduce((sum, l) => sum + 2 * l.weight, 2 * stores.length) }]
  for (const lanes of e.axes) {
    if (
      typeof lanes.extent !== 'number' || lanes.extent < 4 || stores.some((form) => (strideOf(form, lanes) ?? 0) < 1) ||
      countsImages(e, lanes)
    ) continue
    const each = loads.reduce((sum, l) => sum + l.weight * (1 + costOfStride(strideOf(l.form, lanes))), 0) +
      stores.reduce((sum, form) => sum + (strideOf(form, lanes) === 1 ? 1 : written.has(lanes) ? 2 : 5), 0)
    costs.push({ cost: each / 4 * tailWaste(lanes, 4), lanes })
  }
  for (const r of sums) {
    for (const across of r.axes) {
      if (typeof across.extent !== 'number' || across.extent < 4 || sums.some((s) => s.combine === 'argmax')) continue
      const cost = loads.reduce(
        (sum, l) => sum + l.weight * (l.inside.has(across) ? (1 + costOfStride(strideOf(l.form, across))) / 4 * tailWaste(across, 4) : 2),
        2 * stores.length + 6,
      )
      costs.push({ cost, across })
    }
  }
  const { lanes, across } = costs.reduce((best, c) => (c.cost < best.cost ? c : best))
  const unroll = new Map<Axis, number>()
  for (const r of sums) {
    const size = steps(r)
    if (Number.isFinite(size) && size <= 16) { for (const a of r.axes) if (a !== across) unroll.set(a, a.extent as number) }
  }
  if (across && (across.extent as number) >= 32) unroll.set(across, 2)
  return plainGrid(e, lanes, across, unroll, new Set(written.values()), sums.length === 0 && !inPlace)
}

/** Whether an axis tells images apart of which there may be none: four at a time would be loaded one by one. */
const countsImages = (e: Equation, a: Axis): boolean =>
  e.stores.some((s) =>
    walk(s.value).some((node) =>
      node.kind === 'guard' && node.guards.some((g) => g.kind === 'within' && typeof g.extent !== 'number' && axesOf(g.at).includes(a))
    )
  )

const SMALL_ITEM = 512
const BLOCK = 4096

function plainGrid(
  e: Equation,
  lanes: Axis | undefined,
  across: Axis | undefined,
  unroll: ReadonlyMap<Axis, number>,
  written: ReadonlySet<Axis>,
  pointwise: boolean,
): LoopNest {
  let equation = e
  let along = lanes
  const grid: Axis[] = []
  const points = (axes: readonly Axis[]): number => axes.reduce((p, a) => p * (typeof a.extent === 'number' ? a.extent : 1), 1)
  const inner = Math.max(
    1,
    ...e.stores.map((s) =>
      reductions(s.value).reduce((sum, r) => sum + r.axes.reduce((p, a) => p * (typeof a.extent === 'number' ? a.extent : 16), 1), 0)
    ),
  )
  for (const [i, a] of equation.axes.entries()) {
    if (typeof a.extent !== 'number') {
      grid.push(a)
      continue
    }
    if (a === lanes || points(equation.axes.slice(i + 1)) * inner < SMALL_ITEM) break
    // Statistics are of whole pictures.
    if (e.sides.length > 0 && e.sides.some((side) => side.kept !== a)) break
    grid.push(a)
  }
  if (
    lanes && e.sides.length === 0 && (lanes.extent as number) * inner > 4 * BLOCK && grid.every((a) => typeof a.extent === 'number') &&
    points(grid) < 64
  ) {
    const size = divisors(lanes.extent as number).filter((d) => d % 4 === 0 && d * inner <= BLOCK).at(-1)
    if (size !== undefined && size >= 16) {
      const cut = splitAxis(equation, lanes, size)
      equation = cut.equation
      along = cut.inner
      grid.push(cut.outer)
    }
  }
  const own = equation.axes.filter((a) => !grid.includes(a))
  const loops = own.map((
    a,
  ): Loop => (a === along ? { axis: a, tile: pointwise && (a.extent as number) >= 8 ? 2 : 1, vectorized: true }
    : { axis: a, tile: written.has(a) ? a.extent as number : 1 })
  )
  const how = along ? `four points along ${along.name} at a time`
    : across ? `four terms along ${across.name} at a time` : 'one point at a time'
  const sides = e.sides.map((side) => statisticsStage(side, equation, { grid }))
  return { grid, stages: [{ equation, loops, unroll, ...(across && { vectorReduction: across }) }, ...sides], scratch: [], summary: how }
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
    if (node.kind === 'unary' && ['exp', 'log', 'tanh', 'erf'].includes(node.op))
      found.push({ form: index(0), weight: 10 * weight, inside })
    const [here, axes] = node.kind === 'reduce'
      ? [weight * node.axes.reduce((p, a) => p * (typeof a.extent === 'number' ? a.extent : 16), 1), new Set([...inside, ...node.axes])]
      : [weight, inside]
    for (const child of children(node)) visit(child, here, axes)
  }
  for (const s of e.stores) visit(s.value, 1, new Set())
  return found
}
