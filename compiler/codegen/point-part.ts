import type { Axis } from '../ir/affine.ts'
import type { Expression } from '../ir/expression.ts'
import type { Operand } from './kernel-function.ts'

/** The free axes of some expressions: one list for all that have the same, in the same order. */
export interface AxisList {
  readonly axes: readonly Axis[]
  readonly set: ReadonlySet<Axis>
  /** The parts of points that these axes make, by where the axes stand. */
  readonly parts: Map<string, PointPart>
}

/** A point, as far as a list of axes sees it: expressions of that list have one value at all points with this part. */
export class PointPart {
  private first: Expression | undefined
  private ofFirst: KnownValue | undefined
  /** The values of all expressions but the first, made only where there is a second: most parts know one expression. */
  private others: Map<Expression, KnownValue> | undefined

  get(e: Expression): KnownValue | undefined {
    return e === this.first ? this.ofFirst : this.others?.get(e)
  }

  set(e: Expression, known: KnownValue): void {
    this.first ??= e
    if (e === this.first) this.ofFirst = known
    else (this.others ??= new Map()).set(e, known)
  }
}

/** A value, and the scope that it was computed in: it may be used as long as that is open. */
export interface KnownValue {
  readonly operand: Operand
  readonly scope: object
  readonly depth: number
  /** The value that was found before in another scope, which is valid again when this one has closed. */
  readonly other: KnownValue | undefined
}
