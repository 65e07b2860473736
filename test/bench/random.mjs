/** Numbers of the workloads: drawn from a seed and a name, so every process makes the same without being told. */

/** Uniform in [0, 1): mulberry32, started by a hash (FNV-1a) of the name. */
export function uniform(name, seed) {
  let state = seed ^ 0x811c9dc5
  for (const c of name) state = Math.imul(state ^ c.charCodeAt(0), 0x01000193)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** Standard normal numbers (Box and Muller) times `deviation`. */
export function gaussian(name, length, deviation = 1, seed = 1) {
  const next = uniform(name, seed)
  return Float32Array.from({ length }, () => deviation * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()))
}

export function between(name, length, low, high, seed = 1) {
  const next = uniform(name, seed)
  return Float32Array.from({ length }, () => low + (high - low) * next())
}

/** Integers in 0..classes-1. */
export function labels(name, length, classes, seed = 1) {
  const next = uniform(name, seed)
  return Int32Array.from({ length }, () => Math.floor(next() * classes))
}
