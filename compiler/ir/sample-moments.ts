import { add, div, type Expression, load, mul, rounded, sqrt, square, sub, sum } from './expression.ts'
import { type Axis, axis, divide, type IndexLike, plus, times } from './affine.ts'
import { type Equation, equation, type Store, store } from './equation.ts'
import { mergeBlocks, type MomentsRequest, role } from './moments-request.ts'
import type { Tensor } from './tensor.ts'

/*
 * Statistics of each sample by itself: of groups of channels, or of some of its axes. A row of the table that they go to has
 *   m0, m1                              the mean in two numbers, m0 + m1: one float32 is too coarse where the deviation is small
 *   1 / sqrt(variance + eps)            the variance is biased
 *   gamma / sqrt(variance + eps), beta  where each channel has a row of its own and there are gamma and beta: who normalizes reads one table
 */

/** The numbers of a row, coefficients of a channel among them or not. */
export const rowLength = (affine: boolean): number => (affine ? 5 : 3)

/** Merges partials [n, b1, b2, ..., C, 4], those of a group's channels and blocks together, into [n, C, 5 or 3] or [n, groups, 3]. */
export function mergeSamples(request: MomentsRequest, partials: Tensor): Equation {
  const { groups, perChannel } = request.samples!
  const { shape } = partials
  const channels = shape.at(-2) as number
  const size = channels / groups
  const n = axis('n', shape[0]!)
  const row = perChannel ? axis('c', channels) : axis('g', groups)
  const first = perChannel ? times(divide(row, size), size) : times(row, size)
  const extents = [...shape.slice(1, -2), size] as number[]
  // A dimension of one part is no loop.
  const blocks = (): Axis[] => extents.filter((extent) => extent > 1).map((extent, i) => axis(`b${i + 1}`, extent))
  const at = (some: readonly Axis[]): IndexLike[] => {
    const left = [...some]
    const along = extents.map((extent) => (extent > 1 ? left.shift()! : 0))
    return [n, ...along.slice(0, -1), plus(first, along.at(-1)!)]
  }
  const reference = load(partials, n, ...extents.slice(1).map(() => 0), first, 0)
  const { mean, squares, count } = mergeBlocks(partials, reference, at, blocks)
  return {
    ...equation(
      `${request.name}.statistics`,
      request.layers,
      [n, row],
      rowStores(request, [n, row], { reference, mean, variance: div(squares, count) }),
    ),
    moments: { ...role(request), stage: 'merge' },
  }
}

/** Mean (as reference + mean) and biased variance of one row. */
interface Moments {
  readonly reference: Expression
  readonly mean: Expression
  readonly variance: Expression
}

/** The stores of one row of the table. */
function rowStores(
  { result, affine, eps }: Pick<MomentsRequest, 'result' | 'affine' | 'eps'>,
  at: readonly IndexLike[],
  { reference, mean, variance }: Moments,
): Store[] {
  const m0 = rounded(add(reference, mean))
  const inverse = div(1, sqrt(add(variance, eps)))
  const coefficients = affine ? [mul(load(affine.gamma, at[1]!), inverse), load(affine.beta, at[1]!)] : []
  return [m0, add(rounded(sub(reference, m0)), mean), inverse, ...coefficients].map((part, k) => store(result, [...at, k], part))
}

export interface AtOnceRequest {
  readonly name: string
  readonly layers: readonly string[]
  readonly source: Tensor
  /** [..., 3]: a row for each point of `axes`. */
  readonly result: Tensor
  readonly eps: number
  /** The points of the table, and how many values each is of. */
  readonly axes: readonly Axis[]
  readonly count: number
  /** New axes over the values of a point, and where these lie in the source. */
  readonly inner: () => readonly Axis[]
  readonly at: (inner: readonly IndexLike[]) => readonly IndexLike[]
}

/** The table in one equation that goes over the values twice: for the mean of their differences from the first, then for the squares. */
export function momentsAtOnce({ name, layers, source, result, eps, axes, count, inner, at }: AtOnceRequest): Equation {
  const [first, second] = [inner(), inner()]
  const reference = load(source, ...at(first.map(() => 0)))
  const value = (along: readonly Axis[]): Expression => rounded(sub(load(source, ...at(along)), reference))
  const mean = div(sum(first, value(first)), count)
  const variance = div(sum(second, square(sub(value(second), mean))), count)
  return equation(name, layers, axes, rowStores({ result, eps }, axes, { reference, mean, variance }))
}
