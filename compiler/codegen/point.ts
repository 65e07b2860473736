import { type Axis, type Index, plus } from '../ir/affine.ts'
import type { AxisList, PlacePart } from './place-part.ts'

/** Four points at once: those along `axis` that start where it stands, `step` apart. */
export interface Lanes {
  readonly axis: Axis
  readonly step: number
}

/** Where each axis stands: a point of a tile, a step of a reduction. Persistent: adding an axis leaves the old place as it was. */
export class Place {
  /** Set where this is four points. */
  readonly lanes: Lanes | undefined
  private readonly axis: Axis | undefined
  private readonly index: Index | undefined
  private readonly rest: Place | undefined
  private single: readonly Place[] | undefined
  private knownParts: Map<AxisList, PlacePart> | undefined

  private constructor(axis?: Axis, index?: Index, rest?: Place, lanes?: Lanes) {
    this.axis = axis
    this.index = index
    this.rest = rest
    this.lanes = lanes
  }

  static readonly empty = new Place()

  /** What lists of axes see of this place, as far as somebody asked. */
  get parts(): Map<AxisList, PlacePart> {
    return this.knownParts ??= new Map()
  }

  /** The newest binding of an axis counts. */
  with(axis: Axis, index: Index): Place {
    return new Place(axis, index, this, this.lanes)
  }

  /** Four points along an axis, of which `index` is the first. */
  withLanes(axis: Axis, index: Index, step = 1): Place {
    return new Place(axis, index, this, { axis, step })
  }

  /** The four points one by one; the first of them is also the place where nothing differs from lane to lane. */
  lane(i: number): Place {
    const { lanes } = this
    if (!lanes) return this
    const start = this.get(lanes.axis)!
    this.single ??= [0, 1, 2, 3].map((k) => new Place(lanes.axis, plus(start, k * lanes.step), this, undefined))
    return this.single[i]!
  }

  get(axis: Axis): Index | undefined {
    let place: Place | undefined = this
    while (place) {
      if (place.axis === axis) return place.index
      place = place.rest
    }
    return undefined
  }

  has(axis: Axis): boolean {
    return this.get(axis) !== undefined
  }
}
