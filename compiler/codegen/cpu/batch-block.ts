import { type Axis, axis, type IndexLike, plus, times } from '../../ir/affine.ts'
import { type Expression, guard, within } from '../../ir/expression.ts'
import { replaceNode, substitute } from '../../ir/rewrite.ts'
import type { Contraction } from './simplify.ts'

/** Images that are multiplied in a row without a look at how many there are. */
export const IN_A_ROW = 4

/** A sum over the batch that is taken in blocks of images. */
export interface BatchBlocks {
  readonly contraction: Contraction
  /** Counts blocks. */
  readonly blocks: Axis
  /** Counts rows of images in a block, and images in a row; those behind the batch are zero. */
  readonly rows: Axis
  readonly row: Axis
  /** The image, for what is packed; and the condition under which a row has one. */
  readonly image: IndexLike
  readonly isThere: (value: Expression) => Expression
}

/**
 * Splits the sum over a batch of images into blocks (BLIS: blocks of K): both factors are packed for a block, its images are added up in registers, and
 * what a block came to is added in memory once. Without it an inner product's gradient reads and writes all of its sums for each image.
 */
export function blockBatch({ equation, main }: Contraction, batch: Axis, images: number): BatchBlocks {
  const blocks = axis(`${batch.name}_block`, { chunks: images })
  const [rows, row] = [axis(`${batch.name}_row`, images / IN_A_ROW), axis(batch.name, IN_A_ROW)]
  const first = plus(times(blocks, images), times(rows, IN_A_ROW))
  const image = plus(first, row)
  const inBlock = (f: Expression): Expression => guard([within(image, 'n')], substitute(f, new Map<Axis, IndexLike>([[batch, image]])))
  const body = { ...main.body, a: inBlock(main.body.a), b: inBlock(main.body.b) }
  const blocked = { ...main, body, axes: [blocks, rows, ...main.axes.filter((a) => a !== batch), row] }
  const stores = equation.stores.map((s) => ({ ...s, value: replaceNode(s.value, main, blocked) }))
  return {
    contraction: { equation: { ...equation, stores }, main: blocked },
    blocks,
    rows,
    row,
    image,
    isThere: (value) => guard([within(first, 'n')], value),
  }
}
