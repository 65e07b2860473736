/** The numbers from 0 up to `count`, which is not among them. */
export function range(count: number): number[] {
  const numbers: number[] = []
  for (let i = 0; i < count; i++) numbers.push(i)
  return numbers
}
