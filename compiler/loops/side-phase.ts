import { type Axis, axis, index, type IndexLike, plus, times } from './index-expression.ts'
import type { Equation, SideReduction } from './kernel.ts'
import { partialEquation } from './moments.ts'
import type { Phase } from './nest.ts'

/** How an equation was cut into items, as far as its statistics care. */
export interface ItemBlocks {
  readonly grid: readonly Axis[]
  readonly row?: Axis
  readonly rows?: number
  readonly rowBlocks?: Axis
  readonly channelBlocks?: Axis
}

/** Statistics of what an item has just stored, read back while it is in the cache. */
export function sidePhase(side: SideReduction, main: Equation, split: ItemBlocks): Phase {
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
