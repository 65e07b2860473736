/**
 * erf to double precision: the Maclaurin series for |x| < 3 (Abramowitz & Stegun 7.1.6), beyond it 1 - erfc by Lentz's
 * continued fraction (7.1.14).
 */
export function erf(x: number): number {
  const z = Math.abs(x)
  if (Number.isNaN(x)) return NaN
  if (z > 6) return Math.sign(x)
  if (z < 3) {
    // erf x = 2/sqrt(pi) exp(-x^2) sum 2^k x^(2k+1) / (1*3*...*(2k+1)): all terms positive, nothing cancels.
    let term = z
    let total = z
    for (let k = 1; k < 200 && term > total * 1e-17; k++) {
      term *= (2 * z * z) / (2 * k + 1)
      total += term
    }
    return (Math.sign(x) * 2 * Math.exp(-z * z) * total) / Math.sqrt(Math.PI)
  }
  // erfc z = exp(-z^2)/sqrt(pi) * 1/(z + (1/2)/(z + 1/(z + (3/2)/(z + ...)))), from the bottom up.
  let tail = z
  for (let k = 60; k >= 1; k--) tail = z + k / 2 / tail
  return Math.sign(x) * (1 - Math.exp(-z * z) / Math.sqrt(Math.PI) / tail)
}
