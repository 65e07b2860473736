import { freeAxes, memoryStride, strideOf } from '../../ir/analysis.ts'
import { divisors } from '../../ir/divisors.ts'
import { type Axis, axesOf } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { type Expression, type Load, walk } from '../../ir/expression.ts'
import { elementsPerSample } from '../../ir/tensor.ts'
import type { SlidingSums } from '../reduction-loops.ts'
import { batchReduction, chooseTasks, fixedWhilePacking, mainOf, mayOverlap, needsPacking, tileSchedule } from './contraction.ts'
import { costOfStride, CPU, pointsOf, tailWaste } from './cost-model.ts'
import { accumulatorsOf, type MicroTile } from './micro-tile.ts'
import { interiorOf } from './pack-interior.ts'
import { packFactor } from './packing.ts'
import { AxisNames, type ContractionSchedule, type FactorName, otherFactor } from './schedule.ts'
import type { Contraction } from './simplify.ts'
import { cutTasks, hasStatisticsBlocks, innerAxis } from './tasks.ts'

/*
 * Convolutions whose sums run over a window of one channel alone: depthwise ones, and the phases and gradients of such. A vector of the map is multiplied
 * with every element of a column of the filter, for as many rows of the tile, so that a tile loads it once (`LoopTiling.slides`).
 */

/** A window that slides over a map. */
interface Window {
  /** The factor that is the map. */
  readonly map: FactorName
  /** The output axis of columns, which lies in lanes, and the reduced one of the window's; absent: it has one column. */
  readonly column: Axis
  readonly across: Axis | undefined
  /** That of rows, the elements of a column of the filter, and rows of the map from one window to the next; absent: there is one row. */
  readonly row?: { readonly axis: Axis; readonly size: number; readonly step: number }
  /** Output channels of one input channel. */
  readonly output: Axis | undefined
}

/** Products of a tile: 7 x 7 for eight vectors. */
const MOST_PRODUCTS = 400
/** Rows of a tile. */
const MOST_ROWS = 8
/**
 * Columns from which on masks at the border cost more than a packed map: a tile covers whole rows of fewer, whose masks are known when they are compiled
 * (14 x 14: 0.9 of the time of packing, 16 x 16: 1.07, 17 x 17: 1.5).
 */
const GOOD_COLUMNS = 4 * CPU.lanes

/** The schedule of a depthwise convolution; undefined where an equation is none, or where its window is too large to be written out. */
export function chooseDepthwise(c: Contraction): ContractionSchedule | undefined {
  const { equation: e, main } = c
  const window = batchReduction(c) ? undefined : windowOf(c)
  if (!window) return undefined
  const { map, column } = window
  const names = new AxisNames(e)
  const pays = (column.extent as number) >= GOOD_COLUMNS || ((column.extent as number) > CPU.lanes && isStrided(main.body[map], column)) ||
    !isPlain(main.body[map])
  const wanted = needsPacking(main.body[map]) && pays
  for (const packs of wanted ? [true, false] : [false]) {
    const tile = depthwiseTile(c, packs)
    if (!tile) return undefined
    const { tasks, blocks: cutAlready } = chooseTasks(c, tile)
    const blocks = new Map([...cutAlready, ...(packs ? [] : channelBlock(e, tasks))])
    if (!hasStatisticsBlocks(e, blocks)) return undefined
    const cut = { tasks: tasks.map((a) => names.of(a)), ...(blocks.size > 0 && { taskBlock: names.sizes(blocks) }) }
    const task = cutTasks(e, names, cut)
    const fixed = fixedWhilePacking(c, task)
    const made = packs && packFactor(`staged_${map}`, mainOf(task.equation).body[map], fixed, innerAxis(task, column))
    if (packs && (!made || elementsPerSample(made.into.shape) > CPU.goodPack || isGuarded(made.equation, fixed))) continue
    const unroll = names.sizes(main.axes.map((a) => [a, a.extent as number] as const))
    return { algorithm: 'contraction', ...cut, ...tileSchedule(main, tile, packs ? [map] : [], names), unroll }
  }
  return undefined
}

/**
 * The channels of a task, by their axis, where maps are small: statistics of four of them are taken in lanes, and what a thread does between two looks at the
 * queue is worth one (3 x 3 on 4 x 4 with statistics: 0.5 of the time, on 7 x 7 0.75). Empty where a task has one channel.
 */
function channelBlock({ axes, sides }: Equation, tasks: readonly Axis[]): readonly (readonly [Axis, number])[] {
  const channel = tasks.find((a): a is Axis & { readonly extent: number } => typeof a.extent === 'number' && a.extent > 1)
  if (!channel) return []
  const map = pointsOf(axes.filter((a) => a !== channel && a.extent !== 'n'))
  if (map > (sides.some(({ kind }) => kind === 'moments') ? 64 : CPU.smallMap)) return []
  const size = divisors(channel.extent).findLast((d) => d % CPU.lanes === 0 && d < channel.extent && d * map <= GOOD_BLOCK)
  return size === undefined ? [] : [[channel, size]]
}

/** Elements of a task's block of small maps. */
const GOOD_BLOCK = 512

/** Whether columns of the map that neighbours begin with lie apart. */
const isStrided = (f: Expression, column: Axis): boolean =>
  walk(f).some((node) => node.kind === 'load' && Math.abs(memoryStride(node.tensor, node.at, column) ?? 0) > 1)

/** Whether each element of a packed map has a condition of its own. */
const isGuarded = (packing: Equation, fixed: ReadonlySet<Axis>): boolean =>
  (interiorOf(packing, fixed)?.equation ?? packing).stores.some((s) => s.value.kind === 'guard')

/** Whether a factor is what lies in memory, but for padding. */
const isPlain = (f: Expression): boolean =>
  walk(f).every((node) => node.kind === 'load' || node.kind === 'guard' || node.kind === 'constant')

/** The window of a sum; undefined where it runs over anything else, the map moves with other axes, or the window is too large. */
export function windowOf({ equation: e, main }: Contraction): Window | undefined {
  const reduced = main.axes.filter((a) => a.extent !== 1)
  if (reduced.length > 2 || !reduced.every(isCounted) || pointsOf(reduced) * CPU.accumulators / 2 > MOST_PRODUCTS) return undefined
  for (const map of ['a', 'b'] as const) {
    const [inMap, inFilter] = [freeAxes(main.body[map]), freeAxes(main.body[otherFactor(map)])]
    const load = mapLoad(main, map)
    if (!load || main.body[otherFactor(map)].kind !== 'load') continue
    const own = e.axes.filter((a) => isCounted(a) && a.extent !== 1 && inMap.has(a) && !inFilter.has(a))
    const outputs = e.axes.filter((a) => a.extent !== 1 && inFilter.has(a) && !inMap.has(a))
    const [column, row, ...others] = [...own].reverse()
    if (!column || (column.extent as number) < CPU.lanes || others.length > 0 || outputs.length > 1) continue
    // The reduced axis that moves the same index as an output axis, and nothing else.
    const movedWith = (a: Axis | undefined): readonly Axis[] =>
      load.at.filter((at) => a && axesOf(at).includes(a)).flatMap((at) => axesOf(at).filter((k) => reduced.includes(k)))
    const [across, down] = [movedWith(column), movedWith(row)]
    if (across.length > 1 || down.length > 1 || across.length + down.length !== reduced.length) continue
    if (load.at.some((at) => at.terms.some(({ atom }) => atom.kind !== 'axis' && own.some((a) => axesOf(atom.of).includes(a))))) continue
    const step = row && Math.max(...load.at.map((at) => Math.abs(strideOf(at, row) ?? 0)))
    return {
      map,
      column,
      across: across[0],
      ...(row && { row: { axis: row, size: (down[0]?.extent as number | undefined) ?? 1, step: step! } }),
      output: outputs[0],
    }
  }
  return undefined
}

const isCounted = (a: Axis): boolean => typeof a.extent === 'number'

/** The only load of a factor that changes with what is summed up over. */
function mapLoad({ axes, body }: Contraction['main'], map: FactorName): Load | undefined {
  const loads = walk(body[map]).filter((node): node is Load => node.kind === 'load')
  const moving = loads.filter((load) => axes.some((a) => freeAxes(load).has(a)))
  return moving.length === 1 ? moving[0] : axes.every((a) => a.extent === 1) && loads.length === 1 ? loads[0] : undefined
}

/** The register tile that costs least; undefined where an equation is no depthwise convolution. */
export function depthwiseTile(c: Contraction, isPacked: boolean, mostSums: number = CPU.accumulators): MicroTile | undefined {
  const window = windowOf(c)
  if (!window) return undefined
  const { equation: e, main } = c
  const { map, column, row, output } = window
  const terms = pointsOf(main.axes)
  const size = row?.size ?? 1
  const width = terms / size
  const load = mapLoad(main, map)!
  const stride = isPacked ? 1 : costOfStride(memoryStride(load.tensor, load.at, column))
  const isMasked = !isPacked && needsPacking(main.body[map])
  let best: { readonly cost: number; readonly tile: MicroTile } | undefined
  for (const outputs of output ? [1, 2, 4] : [1]) {
    for (let rows = 1; rows <= (row ? MOST_ROWS : 1); rows++) {
      for (const vectors of [1, 2, 3, 4, 5, 6, 7, 8]) {
        const sums = outputs * rows * vectors
        if (sums > mostSums || sums * terms > MOST_PRODUCTS || outputs > ((output?.extent as number) ?? 1)) continue
        if (rows > ((row?.axis.extent as number) ?? 1) || CPU.lanes * (vectors - 1) >= (column.extent as number)) continue
        // Tiles move back at an edge only where nothing is updated in place.
        if (!mayOverlap(e) && row && (row.axis.extent as number) % rows !== 0) continue
        // Columns of the window that reach beyond the tile's own, in whole rows by as much as is known when the kernel is compiled.
        const each = stride +
          (isMasked ? (width - 1) / (width * vectors) * (CPU.lanes * vectors >= (column.extent as number) ? MASK : PARTIAL_MASK) : 0)
        const loads = (((rows - 1) * (row?.step ?? 1) + size) * width * vectors * each + outputs * terms) / (sums * terms)
        const waste = tailWaste(output, outputs) * tailWaste(row?.axis, rows) * tailWaste(column, CPU.lanes * vectors)
        const cost = waste * (1 + loads / 2 + IDLE / sums + (vectors === 1 ? ALONE : 0))
        if (best && best.cost <= cost) continue
        best = {
          cost,
          tile: {
            vectorFactor: map,
            vectorAxis: column,
            vectorCount: vectors,
            broadcastAxis: outputs > 1 ? output : undefined,
            broadcastCount: outputs,
            outerAxis: rows > 1 ? row!.axis : undefined,
            outerCount: rows,
          },
        }
      }
    }
  }
  return best?.tile
}

/** Loads that a mask costs; where columns of a tile are counted by a loop, it is computed each time. */
const MASK = 0.5
const PARTIAL_MASK = 2.5
/** A vector without a neighbour: sums of a row follow each other closely. */
const ALONE = 0.1
/** Products that a tile waits for, where few sums follow each other. */
const IDLE = 1

/** How the sum of a stage is taken: where the whole of a window is written out, points of a tile share what they load. */
export function slidesOf(
  c: Contraction,
  sum: Contraction['main'],
  tile: MicroTile,
  unroll: ReadonlyMap<Axis, number>,
): SlidingSums | undefined {
  const isWhole = sum.axes.every((a) => unroll.get(a) === a.extent || a.extent === 1)
  if (!tile.vectorAxis || tile.transposed || !isWhole || accumulatorsOf(tile) <= FEW_SUMS) return undefined
  const window = windowOf(c)
  return window?.map === tile.vectorFactor ? new Map([[sum, { map: window.map, column: window.across }]]) : undefined
}

/** Vectors of sums up to which the steps of a window are taken one after the other: tiles of so few share little. */
const FEW_SUMS = 4
