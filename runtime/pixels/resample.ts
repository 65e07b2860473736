/** The taps of a resampling filter: a result is made of `count` pixels from `from` on, with weights that add up to 1. */
interface Taps {
  readonly from: Int32Array
  readonly count: Int32Array
  readonly weights: Float32Array
  /** Weights a pixel. */
  readonly most: number
}

/** Keys' cubic with a = -1/2 (Catmull and Rom's), which PIL calls BICUBIC and libvips cubic. Keys 1981, equation 15. */
function cubic(x: number): number {
  const d = Math.abs(x)
  if (d < 1) return 1.5 * d ** 3 - 2.5 * d ** 2 + 1
  return d < 2 ? -0.5 * d ** 3 + 2.5 * d ** 2 - 4 * d + 2 : 0
}

/**
 * `size` pixels out of the stretch start..start+length of a line of `available`. Shrinking widens the kernel by the same factor, so that all pixels count and
 * nothing aliases. What lies outside of the stretch has no weight.
 */
export function tapsOf(size: number, start: number, length: number, available: number): Taps {
  const scale = length / size
  const support = 2 * Math.max(1, scale)
  const low = Math.max(0, Math.floor(start))
  const high = Math.min(available, Math.ceil(start + length))
  const most = Math.ceil(2 * support) + 1
  const [from, count, weights] = [new Int32Array(size), new Int32Array(size), new Float32Array(size * most)]
  for (let i = 0; i < size; i++) {
    const centre = start + (i + 0.5) * scale
    const first = Math.max(low, Math.min(high - 1, Math.floor(centre - support + 0.5)))
    const last = Math.max(first + 1, Math.min(high, Math.floor(centre + support + 0.5)))
    const own: number[] = []
    for (let k = first; k < last; k++) own.push(cubic((k + 0.5 - centre) / Math.max(1, scale)))
    let sum = own.reduce((a, b) => a + b, 0)
    // A sliver of a pixel at the edge is that pixel.
    if (Math.abs(sum) < 1e-6) sum = own.fill(1).length
    from[i] = first
    count[i] = own.length
    own.forEach((w, k) => {
      weights[i * most + k] = w / sum
    })
  }
  return { from, count, weights, most }
}

/** One channel, by lines of `width`, as a plane of the size that the taps have. Only the lines that are needed are looked at. */
export function resample(plane: Float32Array, width: number, across: Taps, down: Taps): Float32Array {
  const [w, h] = [across.from.length, down.from.length]
  const first = down.from.reduce((a, b) => Math.min(a, b))
  const last = down.from.reduce((most, from, i) => Math.max(most, from + down.count[i]!), 0)
  const lines = new Float32Array((last - first) * w)
  for (let y = first; y < last; y++) {
    for (let x = 0; x < w; x++) {
      const at = y * width + across.from[x]!
      const weight = x * across.most
      let sum = 0
      for (let k = 0, n = across.count[x]!; k < n; k++) sum += plane[at + k]! * across.weights[weight + k]!
      lines[(y - first) * w + x] = sum
    }
  }
  const result = new Float32Array(w * h)
  for (let y = 0; y < h; y++) {
    for (let k = 0; k < down.count[y]!; k++) {
      const weight = down.weights[y * down.most + k]!
      const line = (down.from[y]! + k - first) * w
      for (let x = 0; x < w; x++) result[y * w + x]! += weight * lines[line + x]!
    }
  }
  return result
}
