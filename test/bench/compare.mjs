/**
 * How far results are apart: for each array the largest absolute difference over the largest value of the reference; with
 * `byNorm` the norm of the difference over the norm of the reference. `{ worst, at, each }`; NaN and missing or unequal arrays
 * count as infinitely far.
 */
export function compareResults(got, want, { byNorm = false } = {}) {
  const each = {}
  for (const [name, expected] of Object.entries(want)) each[name] = (byNorm ? differenceOfNorms : largestDifference)(got[name], expected)
  const [at, worst] = Object.entries(each).reduce((a, b) => (b[1] > a[1] ? b : a))
  return { worst, at, each }
}

function largestDifference(got, want) {
  if (got?.length !== want.length) return Infinity
  let largest = 0
  let difference = 0
  for (let i = 0; i < want.length; i++) {
    largest = Math.max(largest, Math.abs(want[i]))
    const d = Math.abs(got[i] - want[i])
    if (!(d <= difference)) difference = Number.isNaN(d) ? Infinity : d
  }
  return largest === 0 ? difference : difference / largest
}

function differenceOfNorms(got, want) {
  if (got?.length !== want.length) return Infinity
  let value = 0
  let difference = 0
  for (let i = 0; i < want.length; i++) {
    value += want[i] ** 2
    difference += (got[i] - want[i]) ** 2
  }
  if (Number.isNaN(difference)) return Infinity
  return Math.sqrt(value === 0 ? difference : difference / value)
}
