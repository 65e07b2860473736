import { type Axis, axis, plus, times } from '../../../ir/affine.ts'
import { equation, store, type Store } from '../../../ir/equation.ts'
import { type Expression, load } from '../../../ir/expression.ts'
import { tensor, type Tensor } from '../../../ir/tensor.ts'
import { type Loop, scalarLoops, type StageGroup } from '../loop-nest.ts'
import { type Matrix, transformed } from './matrix.ts'
import { plane } from './transforms.ts'

/** The transformation M x M' of tiles x: along the lines of x (its rows, or its columns), then across them. */
export interface TileTransformation {
  readonly name: string
  readonly matrix: Matrix
  /** Loops over tiles and channels, outermost first. The last one is in lanes where it is long enough. */
  readonly each: readonly Loop[]
  /** Memory between the passes: see `betweenPasses`. */
  readonly between: Tensor
  /** Element `k` of a line of x. */
  readonly element: (line: Axis, k: number) => Expression
  /** Stores what lies across the lines of x: element `line` of each line that the first pass made, transformed. */
  readonly stores: (line: Axis, values: readonly Expression[]) => readonly Store[]
}

/** What the first pass hands to the second one: M times each line of x, for all points of the axis in lanes. */
export const betweenPasses = (name: string, matrix: Matrix, lanes: Axis): Tensor =>
  tensor(name, [matrix.length * matrix[0]!.length, plane(lanes.extent as number)])

/**
 * Transforms tiles in two passes, each a loop over lines. All elements of a tile in one piece would be more than a thousand instructions that
 * share nothing but what fits into registers: a row of the result would load and transform all of x again.
 */
export function twoPasses({ name, matrix, each, between, element, stores }: TileTransformation): StageGroup {
  const [outputs, inputs] = [matrix.length, matrix[0]!.length]
  const [made, taken] = [axis('line', inputs), axis('line', outputs)]
  const around = each.map((loop) => loop.axis)
  const lanes = around.at(-1)!
  const along = transformed(matrix, Array.from({ length: inputs }, (_, k) => element(made, k)))
  const across = transformed(matrix, Array.from({ length: inputs }, (_, k) => load(between, plus(taken, k * outputs), lanes)))
  const first = along.map((value, k) => store(between, [plus(times(made, outputs), k), lanes], value))
  return {
    each,
    stages: [
      { equation: equation(name, [], [...around, made], first), loops: scalarLoops([made]), unroll: new Map() },
      { equation: equation(name, [], [...around, taken], stores(taken, across)), loops: scalarLoops([taken]), unroll: new Map() },
    ],
  }
}
