/**
 * Sizes of tensors, as numbers and as multiples of the batch. A net of the language never says its batch, so shapes that a model
 * computes are followed with the batch as an unknown n.
 */

/** a n + b with a not 0: what becomes of the batch in arithmetic on shapes. */
export interface Linear {
  readonly n: number
  readonly plus: number
}

export type Dimension = number | Linear

/** The batch itself. */
export const BATCH: Linear = { n: 1, plus: 0 }

export const isNumber = (dim: Dimension): dim is number => typeof dim === 'number'

export const isBatch = (dim: Dimension | undefined): boolean => typeof dim === 'object' && dim.n === 1 && dim.plus === 0

const made = (n: number, plus: number): Dimension => (n === 0 ? plus : { n, plus })

const parts = (dim: Dimension): Linear => (isNumber(dim) ? { n: 0, plus: dim } : dim)

/** `undefined` where the result is no multiple of the batch. */
export const dimensionArithmetic: Readonly<Record<string, (a: Dimension, b: Dimension) => Dimension | undefined>> = {
  Add: (a, b) => made(parts(a).n + parts(b).n, parts(a).plus + parts(b).plus),
  Sub: (a, b) => made(parts(a).n - parts(b).n, parts(a).plus - parts(b).plus),
  Mul: (a, b) => (isNumber(a) ? times(b, a) : isNumber(b) ? times(a, b) : undefined),
  Div: (a, b) => {
    if (isNumber(b)) {
      const [n, plus] = [parts(a).n / b, parts(a).plus / b]
      return Number.isInteger(n) && Number.isInteger(plus) ? made(n, plus) : undefined
    }
    // (k b) / b, a multiple of the batch by itself.
    if (isNumber(a)) return undefined
    const ratio = a.n / b.n
    return Number.isInteger(ratio) && a.plus === ratio * b.plus ? ratio : undefined
  },
  // A batch is 1 or more, and never known to equal a number.
  Equal: (a, b) => (isNumber(a) !== isNumber(b) ? (nonPositive(a) || nonPositive(b) ? 0 : undefined) : sameDimension(a, b) ? 1 : undefined),
  Max: (a, b) => (sameDimension(a, b) ? a : isNumber(a) && a <= 1 && isBatch(b) ? b : isNumber(b) && b <= 1 && isBatch(a) ? a : undefined),
  Min: (a, b) => (sameDimension(a, b) ? a : undefined),
}

const nonPositive = (dim: Dimension): boolean => isNumber(dim) && dim <= 0

const times = (dim: Dimension, by: number): Dimension => made(parts(dim).n * by, parts(dim).plus * by)

export const sameDimension = (a: Dimension, b: Dimension): boolean => {
  const [left, right] = [parts(a), parts(b)]
  return left.n === right.n && left.plus === right.plus
}

/** Shows a dimension as a user reads it: `n`, `2n + 1`, `32`. */
export const showDimension = (dim: Dimension): string =>
  isNumber(dim) ? String(dim) : `${dim.n === 1 ? '' : dim.n}n${dim.plus ? ` ${dim.plus < 0 ? '-' : '+'} ${Math.abs(dim.plus)}` : ''}`

export const showDimensions = (shape: readonly Dimension[]): string => `[${shape.map(showDimension).join(', ')}]`
