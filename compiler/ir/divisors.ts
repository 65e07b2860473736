/** Ascending. */
export function divisors(n: number): number[] {
  const small: number[] = []
  for (let d = 1; d * d <= n; d++) if (n % d === 0) small.push(d)
  return [...small, ...small.filter((d) => d * d !== n).map((d) => n / d).reverse()]
}
