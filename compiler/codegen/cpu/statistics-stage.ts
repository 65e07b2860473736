import { invariant } from '../../invariant.ts'
import { type Axis, axis, index, type IndexLike, plus, times } from '../../ir/affine.ts'
import { substitute, sum } from '../../ir/expression.ts'
import { type Equation, type SideReduction, store } from '../../ir/equation.ts'
import { partialEquation } from '../../ir/moments.ts'
import type { Loop, Stage } from './loop-nest.ts'
import { runsThroughMaps, termsAt } from '../../ir/side-sums.ts'

/** How an equation was cut into items, as far as its statistics care. */
export interface TaskBlocks {
  readonly grid: readonly Axis[]
  readonly row?: Axis
  readonly rows?: number
  readonly rowBlocks?: Axis
  readonly channelBlocks?: Axis
}

/** Statistics of what an item has just stored, read back while it is in the cache. */
export function statisticsStage(side: SideReduction, main: Equation, split: TaskBlocks): Stage {
  const [, , ...space] = side.source.shape as readonly ['n', number, ...number[]]
  const channels = side.kept.extent as number
  const image = split.grid.find((a) => a.extent === 'n')!
  const { channelBlocks, rowBlocks, rows } = split
  for (const { axis: a, size } of side.blocks) {
    const block = split.grid.includes(a) ? 1 : rowBlocks && a === split.row ? rows : a.extent
    invariant(block === size, `${main.name}: an item has ${block} along ${a.name}, its statistics are of ${size}`)
  }
  invariant(
    !channelBlocks || channels % (channelBlocks.extent as number) === 0,
    `${main.name}: ${channels} channels in ${channelBlocks?.extent} blocks`,
  )
  // Where each channel is an item, its own; else all that the item has.
  const own = split.grid.includes(side.kept)
  const c = axis('c', own ? 1 : channelBlocks ? channels / (channelBlocks.extent as number) : channels)
  const channel: IndexLike = own ? side.kept : channelBlocks ? plus(times(channelBlocks, c.extent as number), c) : index(c)
  const width = space.at(-1) ?? 1
  const height = rows ?? (space.length > 1 ? space[0]! : 1)
  const area = axis('hw', height * width)
  const inner = (): Axis[] => [area]
  const at = (
    axes: readonly IndexLike[],
  ): IndexLike[] => (space.length === 1 ? [axes[0]!] : [rowBlocks ? times(rowBlocks, height) : 0, axes[0]!])
  const places = side.blocks.map(({ axis: a }) => (a.extent === 'n' ? image : rowBlocks && a === split.row ? rowBlocks : 0))
  const loops: Loop[] = own ? [] : [{ axis: c, tile: 1 }]
  const axes = own ? split.grid : [...split.grid, c]
  if (side.kind === 'sums') {
    const flat = runsThroughMaps(side, side.source)
    const [row, column] = [axis('h', height), axis('w', width)]
    const row0 = rowBlocks ? times(rowBlocks, height) : 0
    const place = space.length === 1 ? [flat ? area : column] : flat ? [row0, area] : [plus(row0, row), column]
    const last = flat ? area : column
    const summed = flat || height === 1 ? [last] : [row, column]
    const stores = termsAt(side, [image, channel, ...place]).map((term, k) =>
      store(side.into, [...places, channel, k], sum(summed, height === 1 && !flat ? substitute(term, new Map([[row, 0]])) : term))
    )
    const extent = last.extent as number
    return {
      equation: { name: main.name, layers: main.layers, axes, stores, sides: [] },
      loops,
      ...(extent >= 4 && { vectorReduction: last }),
      unroll: new Map(extent >= 16 ? [[last, 2]] : []),
    }
  }
  const equation = partialEquation(
    { name: main.name, layers: main.layers, source: side.source },
    { image, channel, ...(side.from !== undefined && { from: side.from }), axes, inner, at, into: side.into, place: [...places, channel] },
  )
  const wide = area.extent as number
  return { equation, loops, ...(wide >= 4 && { vectorReduction: area }), unroll: new Map(wide >= 16 ? [[area, 2]] : []) }
}
