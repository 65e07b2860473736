/**
 * Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): two words from a key
 * and a counter, so every number is known by its place and the order of asking does not matter. Integers only: the same
 * everywhere.
 */
export function threefry(key0: number, key1: number, counter0: number, counter1: number): readonly [number, number] {
  const keys = [key0 >>> 0, key1 >>> 0, (0x1bd11bda ^ key0 ^ key1) >>> 0]
  let x0 = (counter0 + keys[0]!) >>> 0
  let x1 = (counter1 + keys[1]!) >>> 0
  for (let round = 0; round < 20; round++) {
    const turn = ROTATIONS[round % 8]!
    x0 = (x0 + x1) >>> 0
    x1 = ((x1 << turn) | (x1 >>> (32 - turn))) ^ x0
    if (round % 4 === 3) {
      const s = (round + 1) / 4
      x0 = (x0 + keys[s % 3]!) >>> 0
      x1 = (x1 + keys[(s + 1) % 3]! + s) >>> 0
    }
  }
  return [x0 >>> 0, x1 >>> 0]
}

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24]

/** FNV-1a: turns a name into a word of a key. */
export function hashName(name: string): number {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}

/** A stream of numbers known by (seed, name): number i is always the same. */
export interface Stream {
  /** Gives a number in [0, 1), of 53 bits. */
  uniform(i: number): number
  /** Mean 0, deviation 1. */
  gaussian(i: number): number
  /** 0 .. below-1. */
  integer(i: number, below: number): number
}

export function stream(seed: number, name: string): Stream {
  const key1 = hashName(name)
  const unit = (high: number, low: number): number => (high * 0x200000 + (low >>> 11)) / 2 ** 53
  const at = (i: number, attempt: number): readonly [number, number] => threefry(seed, key1, i, attempt)
  return {
    uniform: (i) => unit(...at(i, 0)),
    integer: (i, below) => Math.floor(unit(...at(i, 0)) * below),
    // Marsaglia's polar method: a point of the unit disc; 1 in 5 is drawn again.
    gaussian(i) {
      for (let attempt = 0;; attempt++) {
        const [a, b] = at(i, attempt)
        const x = a / 2 ** 31 - 1
        const y = b / 2 ** 31 - 1
        const s = x * x + y * y
        if (s > 0 && s < 1) return x * Math.sqrt((-2 * naturalLog(s)) / s)
      }
    },
  }
}

/**
 * ln(x) for 0 < x < 1 by arithmetic alone, since engines disagree in the last bit of Math.log:
 * x = m 2^e with m in [sqrt(1/2), sqrt(2)), ln x = e ln 2 + 2 atanh((m - 1)/(m + 1)); 20 terms leave 1e-17 of the series.
 */
export function naturalLog(x: number): number {
  let exponent = 0
  while (x < Math.SQRT1_2) {
    x *= 2
    exponent--
  }
  const z = (x - 1) / (x + 1)
  let sum = 0
  for (let k = 39; k > 0; k -= 2) sum = sum * z * z + 1 / k
  return exponent * Math.LN2 + 2 * z * sum
}

/** 0 .. length-1 in an order known by (seed, epoch): Fisher and Yates. */
export function permutation(length: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i)
  const random = stream(seed, `shuffle ${epoch}`)
  for (let i = length - 1; i > 0; i--) {
    const j = random.integer(i, i + 1)
    const held = order[i]!
    order[i] = order[j]!
    order[j] = held
  }
  return order
}
