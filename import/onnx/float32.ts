/** The shortest decimal number that is the same float32: 0.9 for 0.8999999761581421. */
export function shortFloat32(x: number): number {
  if (!Number.isFinite(x) || Number.isInteger(x)) return x
  const rounded = Math.fround(x)
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(rounded.toPrecision(digits))
    if (Math.fround(short) === rounded) return short
  }
  return Number(rounded.toPrecision(9))
}
