import { freeAxes } from '../ir/analysis.ts'
import type { Expression } from '../ir/expression.ts'
import type { Axis } from '../ir/affine.ts'
import { type AxisList, type KnownValue, PointPart } from './point-part.ts'
import type { Point } from './point.ts'
import type { Operand } from './kernel-function.ts'

/** Values of expressions at places, for as long as the scopes are open that hold them. */
export class PointValues {
  private readonly scopes: readonly object[]
  private readonly listOf = new Map<Expression, AxisList>()
  private readonly listOfSet = new Map<ReadonlySet<Axis>, AxisList>()
  private readonly lists = new Map<string, AxisList>()

  /** `scopes`: those that are open, outermost first. */
  constructor(scopes: readonly object[]) {
    this.scopes = scopes
  }

  axesOf(e: Expression): AxisList {
    const known = this.listOf.get(e)
    if (known) return known
    const free = freeAxes(e)
    let list = this.listOfSet.get(free)
    if (!list) {
      let key = ''
      for (const { id } of free) key += `${id},`
      list = this.lists.get(key)
      if (!list) this.lists.set(key, list = { axes: [...free], parts: new Map() })
      this.listOfSet.set(free, list)
    }
    this.listOf.set(e, list)
    return list
  }

  /** `under`: what else a value depends on, as text. */
  part(e: Expression, point: Point, under = ''): PointPart {
    const list = this.axesOf(e)
    if (under !== '') return partOf(list, pointKey(list, point) + under)
    const known = point.parts.get(list)
    if (known) return known
    const part = partOf(list, pointKey(list, point))
    point.parts.set(list, part)
    return part
  }

  /** The value from the innermost scope that has one. */
  recall(part: PointPart, e: Expression): Operand | undefined {
    let best: KnownValue | undefined
    for (let known = part.known.get(e); known; known = known.other) {
      if (this.isOpen(known) && (!best || known.depth > best.depth)) best = known
    }
    return best?.operand
  }

  keep(part: PointPart, e: Expression, operand: Operand, depth: number): void {
    const scope = this.scopes[depth]!
    let other = part.known.get(e)
    while (other && (other.scope === scope || !this.isOpen(other))) other = other.other
    part.known.set(e, { operand, scope, depth, other })
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

export function pointKey({ axes }: AxisList, point: Point, except?: Axis): string {
  let key = ''
  for (const a of axes) {
    if (a === except) continue
    key += `${point.get(a)?.key};`
    if (point.lanes?.axis === a) key += `*${point.lanes.step};`
  }
  return key
}
