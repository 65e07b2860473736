import { binaryOf, reductionOf } from '../../ir/expression-node.ts'
import { type Axis, axis, type Index, type IndexLike, plus, substitute as substituteIndex, times } from '../../ir/affine.ts'
import { type Expression, guard, type Guard, within } from '../../ir/expression.ts'
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
  /** The value, or zero where a row has no image. */
  readonly isThere: (value: Expression) => Expression
}

/**
 * Splits the sum over a batch of images, or over a chunk of one, into blocks (BLIS: blocks of K): both factors are packed for a block, its images are added
 * up in registers, and what a block came to is added in memory once. Without it a gradient reads and writes all of its sums for each image. Undefined where
 * nothing says which images of a chunk are there.
 */
export function blockBatch({ equation, main }: Contraction, batch: Axis, images: number): BatchBlocks | undefined {
  const chunks = typeof batch.extent === 'object' ? batch.extent.chunks : 1
  const blocks = axis(`${batch.name}_block`, { chunks: chunks * images })
  const [rows, row] = [axis(`${batch.name}_row`, images / IN_A_ROW), axis(batch.name, IN_A_ROW)]
  const first = plus(times(blocks, images), times(rows, IN_A_ROW))
  const image = plus(first, row)
  const exists = batch.extent === 'n' ? within(batch, 'n') : existence(main.body.a) ?? existence(main.body.b)
  if (!exists) return undefined
  const existsAt = (at: Index): Guard => ({ ...exists, at: substituteIndex(exists.at, new Map([[batch, at]])) })
  const inBlock = (f: Expression): Expression =>
    guard([existsAt(image)], substitute(without(exists, f), new Map<Axis, IndexLike>([[batch, image]])))
  const body = binaryOf(main.body.op, inBlock(main.body.a), inBlock(main.body.b))
  const blocked = reductionOf(main.combine, [blocks, rows, ...main.axes.filter((a) => a !== batch), row], body) as Contraction['main']
  const stores = equation.stores.map((s) => ({ ...s, value: replaceNode(s.value, main, blocked) }))
  return {
    contraction: { equation: { ...equation, stores }, main: blocked },
    blocks,
    rows,
    row,
    isThere: (value) => guard([existsAt(first)], value),
  }
}

/** A factor without a condition that stands around all of it: with others in one guard, images could not be loaded in vectors. */
const without = (g: Guard, f: Expression): Expression =>
  f.kind === 'guard' && f.otherwise === 0 ? guard(f.guards.filter((own) => own.kind !== g.kind || own.at.key !== g.at.key), f.value) : f

/** The condition under which a factor's image exists. */
const existence = (f: Expression): Guard | undefined =>
  f.kind === 'guard' && f.otherwise === 0 ? f.guards.find((g) => g.kind === 'within' && g.extent === 'n') : undefined
