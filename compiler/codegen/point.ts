import { type Axis, type Index, plus } from '../ir/affine.ts'
import type { AxisList, PointPart } from './point-part.ts'

/** Four points at once: those along `axis` that start where it stands, `step` apart. */
export interface Lanes {
  readonly axis: Axis
  readonly step: number
}

/** Where each axis stands: a point of a tile, a step of a reduction. Persistent: adding an axis leaves the old point as it was. */
export class Point {
  /** Set where this is four points. */
  readonly lanes: Lanes | undefined
  private readonly axis: Axis | undefined
  private readonly index: Index | undefined
  private readonly rest: Point | undefined
  private single: readonly Point[] | undefined
  private knownParts: Map<AxisList, PointPart> | undefined

  private constructor(axis?: Axis, index?: Index, rest?: Point, lanes?: Lanes) {
    this.axis = axis
    this.index = index
    this.rest = rest
    this.lanes = lanes
  }

  static readonly empty = new Point()

  /** The part of this place that each list of axes sees, for lists that were asked for. */
  get parts(): Map<AxisList, PointPart> {
    return this.knownParts ??= new Map()
  }

  /** The newest binding of an axis counts. */
  with(axis: Axis, index: Index): Point {
    return new Point(axis, index, this, this.lanes)
  }

  /** Four points along an axis, of which `index` is the first. */
  withLanes(axis: Axis, index: Index, step = 1): Point {
    return new Point(axis, index, this, { axis, step })
  }

  /** The four points one by one; the first of them is also the point where nothing differs from lane to lane. */
  lane(i: number): Point {
    const { lanes } = this
    if (!lanes) return this
    const start = this.get(lanes.axis)!
    this.single ??= [0, 1, 2, 3].map((k) => new Point(lanes.axis, plus(start, k * lanes.step), this, undefined))
    return this.single[i]!
  }

  get(axis: Axis): Index | undefined {
    let point: Point | undefined = this
    while (point) {
      if (point.axis === axis) return point.index
      point = point.rest
    }
    return undefined
  }

  has(axis: Axis): boolean {
    return this.get(axis) !== undefined
  }
}
