/**
 * The generator behind `random`: a counter hashed with murmur3's finalizer (Appleby, public domain), four rounds, one for
 * each of seed, step, key and position. 32-bit integer arithmetic only, so every device draws the same numbers.
 * Twins that must match: `hash` in targets/wgsl/prelude.ts and this file.
 */
export function randomUniform(seed: number, step: number, key: number, at: number): number {
  let x = mix((seed ^ 0x9e3779b9) >>> 0)
  x = mix((x + Math.imul(step, 0x85ebca6b)) >>> 0)
  x = mix((x ^ key) >>> 0)
  x = mix((x + Math.imul(at, 0x9e3779b1)) >>> 0)
  return (x >>> 8) / 16777216
}

function mix(value: number): number {
  let x = value
  x ^= x >>> 16
  x = Math.imul(x, 0x85ebca6b)
  x ^= x >>> 13
  x = Math.imul(x, 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}
