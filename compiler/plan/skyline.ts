interface Stretch {
  readonly first: number
  readonly last: number
  readonly top: number
}

/** The tensor on top of a buffer at each time, while tensors are stacked there from the bottom up. */
export class Skyline {
  /** The stretches in order, without overlaps; where nothing lies there is none. */
  private stretches: Stretch[] = []

  /** Puts a tensor on top from one time to another. Gives what lay there: each once, in the order of time. */
  cover(first: number, last: number, top: number): number[] {
    const from = this.indexAt(first)
    let to = from
    while (to < this.stretches.length && this.stretches[to]!.first <= last) to++
    const covered = this.stretches.slice(from, to)
    const put: Stretch[] = [{ first, last, top }]
    const [left, right] = [covered[0], covered.at(-1)]
    if (left && left.first < first) put.unshift({ ...left, last: first - 1 })
    if (right && right.last > last) put.push({ ...right, first: last + 1 })
    this.stretches.splice(from, to - from, ...put)
    return [...new Set(covered.map((stretch) => stretch.top))]
  }

  /** The first stretch that ends at this time or later. */
  private indexAt(time: number): number {
    let [low, high] = [0, this.stretches.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.stretches[middle]!.last >= time) high = middle
      else low = middle + 1
    }
    return low
  }
}
