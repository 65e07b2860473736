import { freeAxes } from '../ir/analysis.ts'
import type { Expression } from '../ir/expression.ts'
import type { Axis, Index } from '../ir/affine.ts'
import { type AxisList, type KnownValue, PointPart } from './point-part.ts'
import type { Point } from './point.ts'
import type { Operand } from './kernel-function.ts'

/** Values of expressions at places, for as long as the scopes are open that hold them. */
export class PointValues {
  private readonly scopes: readonly object[]
  private readonly listOfSet = new Map<ReadonlySet<Axis>, AxisList>()
  /** Numbers of the terms of indices, for short keys: by the list, and by what it says. */
  private readonly numberOf = new Map<Index['terms'], number>()
  private readonly numberOfKey = new Map<string, number>()

  /** `scopes`: those that are open, outermost first. */
  constructor(scopes: readonly object[]) {
    this.scopes = scopes
  }

  axesOf(e: Expression): AxisList {
    const set = freeAxes(e)
    let list = this.listOfSet.get(set)
    if (!list) this.listOfSet.set(set, list = { axes: [...set], set, parts: new Map() })
    return list
  }

  /** `under`: what else a value depends on, as text. */
  part(e: Expression, point: Point, under = ''): PointPart {
    const list = this.axesOf(e)
    if (under !== '') return partOf(list, this.pointKey(list, point) + under)
    const known = point.parts.get(list)
    if (known) return known
    const part = partOf(list, this.pointKey(list, point))
    point.parts.set(list, part)
    return part
  }

  /** The value from the innermost scope that has one. */
  recall(part: PointPart, e: Expression): Operand | undefined {
    let best: KnownValue | undefined
    for (let known = part.get(e); known; known = known.other) {
      if (this.isOpen(known) && (!best || known.depth > best.depth)) best = known
    }
    return best?.operand
  }

  keep(part: PointPart, e: Expression, operand: Operand, depth: number): void {
    const scope = this.scopes[depth]!
    let other = part.get(e)
    while (other && (other.scope === scope || !this.isOpen(other))) other = other.other
    part.set(e, { operand, scope, depth, other })
  }

  /** A text that says where the axes stand, all but one: it is equal for equal places. */
  pointKey({ axes }: AxisList, point: Point, except?: Axis): string {
    let key = ''
    for (const a of axes) {
      if (a === except) continue
      const at = point.get(a)
      key += at ? `${this.termsNumber(at)}+${at.constant};` : ';'
      if (point.lanes?.axis === a) key += `*${point.lanes.step};`
    }
    return key
  }

  private termsNumber(at: Index): number {
    const known = this.numberOf.get(at.terms)
    if (known !== undefined) return known
    const { terms, termsKey } = at
    const number = this.numberOfKey.get(termsKey) ?? this.numberOfKey.size
    this.numberOfKey.set(termsKey, number)
    this.numberOf.set(terms, number)
    return number
  }

  private isOpen({ scope, depth }: KnownValue): boolean {
    return this.scopes[depth] === scope
  }
}

function partOf({ parts }: AxisList, key: string): PointPart {
  let part = parts.get(key)
  if (!part) parts.set(key, part = new PointPart())
  return part
}
