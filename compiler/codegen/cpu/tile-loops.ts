import { invariant } from '../../invariant.ts'
import { type Axis, axesOf, type Index, index, plus, substitute, times } from '../../ir/affine.ts'
import type { KernelBuilder } from '../builder.ts'
import * as operands from '../operands.ts'
import { int } from '../operands.ts'
import type { Point } from '../point.ts'
import { range } from '../range.ts'
import type { Loop, LoopNest } from './loop-nest.ts'

/**
 * Emits the loops over the tiles of axes. Where a register tile does not divide an axis, the last tile is moved back and overlaps the one before
 * (Halide: TailStrategy::ShiftInwards): some points are computed twice, and no masks are needed. Where no point may be computed
 * twice (`exact`), vectors of the tail come first, and the rest goes point by point.
 */
export class TileLoops {
  private readonly builder: KernelBuilder
  private readonly images: LoopNest['images']

  /** `images`: the block of a task's images, of which some may lie behind the batch. */
  constructor(builder: KernelBuilder, images: LoopNest['images']) {
    this.builder = builder
    this.images = images
  }

  /**
   * Emits loops, outermost first. `open` is called with the points of a tile in front of each of them, and in the innermost, where `inside`
   * follows. `exact`: no point may be computed twice.
   */
  emit(
    loops: readonly Loop[],
    exact: boolean,
    points: readonly Point[],
    inside: (points: readonly Point[]) => void,
    open?: (points: readonly Point[]) => void,
  ): void {
    open?.(points)
    const [next, ...inner] = loops
    if (!next) return inside(points)
    this.tiles(next, exact, points[0]!, (tile) => this.emit(inner, exact, points.flatMap(tile), inside, open))
  }

  /** Emits the loop over the tiles of an axis; `inside` gets what makes a point the points of a tile. */
  private tiles(
    { axis: a, tile, vectorized = false }: Loop,
    exact: boolean,
    bound: Point,
    inside: (points: (point: Point) => Point[]) => void,
  ): void {
    const { builder } = this
    if (a === this.images?.axis) return this.imageTiles(a, exact ? 1 : tile, bound, inside)
    const width = vectorized ? 4 : 1
    if (a === this.images?.lanes) return this.imageLanes(a, tile * width, width, bound, inside)
    if (typeof a.extent !== 'number') {
      invariant(tile === 1 && !vectorized, () => `${a.name} cannot be tiled`)
      return builder.loop(a, 1, (at) => inside((p) => [p.with(a, at)]))
    }
    const { extent } = a
    const size = tile * width
    const at = (
      p: Point,
      start: ReturnType<typeof index>,
      offset: number,
    ): Point => (vectorized ? p.withLanes(a, plus(start, offset)) : p.with(a, plus(start, offset)))
    if (exact && extent % size !== 0) {
      // Whole tiles, then the vectors that are left, then one by one.
      const whole = Math.floor(extent / size)
      const vectors = vectorized ? Math.floor((extent - whole * size) / width) : 0
      const done = whole * size + vectors * width
      if (whole > 0) builder.countedLoop(a, whole, (i) => inside((p) => range(tile).map((j) => at(p, times(i, size), j * width))))
      if (vectors > 0) inside((p) => range(vectors).map((j) => at(p, index(whole * size), j * width)))
      if (done < extent) inside((p) => range(extent - done).map((j) => p.with(a, index(done + j))))
      return
    }
    if (extent < size) {
      const starts = [...new Set(range(tile).map((j) => Math.min(j * width, Math.max(0, extent - width))))]
      return inside((p) => starts.map((start) => at(p, index(0), start)))
    }
    if (extent % size === 0) {
      return builder.countedLoop(a, extent / size, (i) => inside((p) => range(tile).map((j) => at(p, times(i, size), j * width))))
    }
    builder.countedLoop(a, Math.ceil(extent / size), (i) => {
      const last = extent - size
      const start = builder.computedVariable(
        `${a.name}_start`,
        last + 1,
        builder.op('imin', [builder.indexOperand(times(i, size)), int(last)], 'i32'),
      )
      inside((p) => range(tile).map((j) => at(p, index(start), j * width)))
    })
  }

  /** Tiles of a task's images: none begins behind the batch, and in the last one the last image takes the place of those that are missing. */
  private imageTiles(a: Axis, tile: number, bound: Point, inside: (points: (point: Point) => Point[]) => void): void {
    const { builder } = this
    const count = a.extent as number
    const { slots } = this.images!
    const first = this.firstImage(bound)
    builder.countedLoop(a, Math.ceil(count / tile), (i) => {
      const start = times(i, tile)
      builder.ifAll([builder.within(plus(first, start), 'n')], () => {
        const last = builder.op('iadd', [
          operands.batch('n'),
          builder.op('imul', [builder.indexOperand(plus(first, 1)), int(-1)], 'i32'),
        ], 'i32')
        const images = range(tile).map((j) =>
          j === 0 ? start : index(builder.computedVariable(
            `${a.name}_${j}`,
            count,
            builder.op('imin', [builder.indexOperand(plus(start, j)), last], 'i32'),
          ))
        )
        inside((p) => images.map((image, j) => (slots ? p.with(a, image).with(slots, plus(start, j)) : p.with(a, image))))
      })
    })
  }

  /** Images of a task in vectors, or `size` of them one by one (`width` 1): none begins behind the batch. What a tile does not divide comes last. */
  private imageLanes(a: Axis, size: number, width: number, bound: Point, inside: (points: (point: Point) => Point[]) => void): void {
    const { builder } = this
    const count = a.extent as number
    const tile = (start: Index, of: number): void =>
      builder.ifAll(
        [builder.within(plus(this.firstImage(bound), start), 'n')],
        () =>
          inside((p) =>
            width === 1 ? range(of).map((j) => p.with(a, plus(start, j))) : range(of / 4).map((j) => p.withLanes(a, plus(start, 4 * j)))
          ),
      )
    const rest = count % size
    if (count > rest) builder.countedLoop(a, (count - rest) / size, (i) => tile(times(i, size), size))
    if (rest > 0) tile(index(count - rest), rest)
  }

  /** The first image of a task. */
  private firstImage(bound: Point): Index {
    const { first } = this.images!
    return substitute(first, new Map(axesOf(first).map((x) => [x, bound.get(x)!])))
  }
}
