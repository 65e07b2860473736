import { substitute } from '../../ir/rewrite.ts'
import { type Axis, axesOf, axis, index, type IndexLike, plus, times } from '../../ir/affine.ts'
import { sum } from '../../ir/expression.ts'
import { type Equation, equation as equationOver, type SideReduction, store } from '../../ir/equation.ts'
import { shiftedEquation } from '../../ir/moments.ts'
import { type Stage, scalarLoops } from './loop-nest.ts'
import { runsThroughMaps, termsAt } from '../../ir/side-sums.ts'
import { CPU, stepsAtOnce } from './cost-model.ts'
import { fits } from './schedule.ts'
import type { TaskGrid } from './tasks.ts'

/**
 * Statistics of what a task has just stored, read back while it is in the cache. `around`: the channel of a task that loops around count; else the stage
 * walks all of them.
 */
export function statisticsStage(side: SideReduction, { name, layers }: Equation, { grid, cut }: TaskGrid, around?: IndexLike): Stage {
  const [, , ...space] = side.source.shape as readonly ['n', number, ...number[]]
  const row = side.blocks.find(({ axis: a }) => cut.has(a) && a.extent !== 'n')?.axis
  const [rows, rowBlocks] = [row && cut.get(row)!.size, row && cut.get(row)!.outer]
  for (const { axis: a, size } of side.blocks) {
    const block = grid.includes(a) || a.extent === 'n' ? 1 : cut.get(a)?.size ?? a.extent
    fits(block === size, `${name}: a task has ${block} along ${a.name}, its statistics are of ${size}`)
  }
  fits(!row || (space.length === 2 && side.blocks.at(-2)?.axis === row), `${name}: tasks cut ${row?.name}, statistics are of rows`)
  const channels = side.keptAxis.extent as number
  const channelBlocks = cut.get(side.keptAxis)?.outer
  // Where each channel is a task, its own; else all that the task has.
  const own = grid.includes(side.keptAxis)
  const group = side.groupAxis
  const groupBlock = group && cut.get(group)
  const c = axis('c', own ? 1 : channelBlocks ? channels / (channelBlocks.extent as number) : channels)
  // Groups of one channel are what its stage walks, so that four of them lie in lanes.
  const inTaskChannel = around ?? (channels === 1 ? 0 : c)
  const inGroup: IndexLike = own ? side.keptAxis
    : channelBlocks ? plus(times(channelBlocks, c.extent as number), inTaskChannel) : index(inTaskChannel)
  const g = group && (grid.includes(group) ? group : axis(group.name, groupBlock?.size ?? group.extent))
  const channel: IndexLike = g ? plus(times(groupBlock ? plus(times(groupBlock.outer, groupBlock.size), g) : g, channels), inGroup)
    : inGroup
  const images = [...cut].find(([a]) => a.extent === 'n')?.[1]
  // One at a time, of a block of them too.
  const image: IndexLike = images ? plus(times(images.outer, images.size), images.inner) : grid.find((a) => a.extent === 'n')!
  const width = space.at(-1) ?? 1
  const height = rows ?? (space.length > 1 ? space[0]! : 1)
  const area = axis('hw', height * width)
  const row0: IndexLike = rowBlocks ? times(rowBlocks, height) : 0
  const places = side.blocks.map(({ axis: a }) => (a.extent === 'n' ? image : rowBlocks && a === row ? rowBlocks : 0))
  const inTask = [
    ...(images ? [images.inner] : []),
    ...(g && g !== group ? [g] : []),
    ...(own || around !== undefined || (channels === 1 && g && g !== group) ? [] : [c]),
  ]
  const loops = scalarLoops(inTask)
  const axes = [...grid, ...(around === undefined ? [] : axesOf(index(around))), ...inTask]
  if (side.kind === 'sums') {
    const flat = runsThroughMaps(side, side.source)
    const [h, w] = [axis('h', height), axis('w', width)]
    const place = space.length === 1 ? [flat ? area : w] : flat ? [row0, area] : [plus(row0, h), w]
    const last = flat ? area : w
    const summed = flat || height === 1 ? [last] : [h, w]
    const stores = termsAt(side, [image, channel, ...place]).map((term, k) =>
      store(side.partials, [...places, channel, k], sum(summed, height === 1 && !flat ? substitute(term, new Map([[h, 0]])) : term))
    )
    return overLast(last, { equation: equationOver(name, layers, axes, stores), loops })
  }
  const inner = (): Axis[] => [area]
  const at = (axes: readonly IndexLike[]): IndexLike[] => (space.length === 1 ? [axes[0]!] : [row0, axes[0]!])
  const equation = shiftedEquation(
    { name, layers, source: side.source },
    {
      image,
      channel,
      ...(side.channelOffset !== undefined && { from: side.channelOffset }),
      axes,
      inner,
      at,
      into: side.partials,
      place: [...places, channel],
    },
  )
  return overLast(area, { equation, loops })
}

/** Sums along an axis are taken in four lanes, two vectors at a time, where it is long enough. */
function overLast(last: Axis, { loops, ...stage }: Omit<Stage, 'unroll'>): Stage {
  const inLanes = (last.extent as number) >= CPU.lanes
  const channels = loops.at(-1)
  const inFours = inLanes && channels && (channels.axis.extent as number) % CPU.lanes === 0
  return {
    ...stage,
    // What follows the sums is computed of four channels at a time.
    loops: inFours ? [...loops.slice(0, -1), { ...channels, vectorized: true }] : loops,
    ...(inLanes && { vectorReduction: last }),
    unroll: new Map(
      inFours ? (isShort(last) ? [[last, (last.extent as number) / CPU.lanes]] : [])
        : (last.extent as number) >= 16 ? [[last, stepsAtOnce(last)]] : [],
    ),
  }
}

/** A map that is written out: of whole vectors, eight at most. */
const isShort = ({ extent }: Axis): boolean => (extent as number) % CPU.lanes === 0 && (extent as number) <= 8 * CPU.lanes
