import type { Axis, Index } from './index-expression.ts'

/** Where each axis stands: a point of a tile, a step of a reduction. Persistent: adding an axis leaves the old place as it was. */
export class Place {
  private readonly axis: Axis | undefined
  private readonly index: Index | undefined
  private readonly rest: Place | undefined

  private constructor(axis?: Axis, index?: Index, rest?: Place) {
    this.axis = axis
    this.index = index
    this.rest = rest
  }

  static readonly empty = new Place()

  /** The newest binding of an axis counts. */
  with(axis: Axis, index: Index): Place {
    return new Place(axis, index, this)
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
