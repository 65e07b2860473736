import { strideOf } from '../../../ir/analysis.ts'
import type { Shape } from '../../../ir/tensor.ts'
import { type Expression, walk } from '../../../ir/expression.ts'
import { CPU } from '../cost-model.ts'
import type { Axis, Index } from '../../../ir/affine.ts'
import type { Matrix } from './matrix.ts'

/*
 * Convolution by Winograd's minimal filtering F(m x m, r x r) (Lavin & Gray 2016): with n = m + r - 1, a tile of m x m
 * outputs takes n x n products instead of m m r r: F(4x4, 3x3) 36 for 144, F(2x2, 5x5) 36 for 100. With tiles d of n x n
 * inputs and filters g:
 *
 *   y = A' [ (G g G') * (B' d B) ] A
 *
 * where * goes element by element and sums over channels are matrix products, one for each of the n x n elements.
 */

interface Transforms {
  readonly input: Matrix
  readonly weight: Matrix
  readonly output: Matrix
}

/**
 * Points at which polynomials are evaluated, beside infinity: small, so that little is lost in float32 (Barabasz et al. 2020).
 * Where both signs of a number are points, they stand together: their rows share work.
 */
const POINTS: Readonly<Record<number, readonly number[]>> = {
  4: [0, 1, -1],
  5: [0, 1, -1, 0.5],
  6: [0, 1, -1, 2, -0.5],
  7: [0, 1, -1, 0.5, -0.5, 2],
  8: [0, 1, -1, 2, -2, 0.5, -0.5],
}

/** Outputs of a tile along a row, the best first. */
export const TILE_SIZES: Readonly<Record<number, readonly number[]>> = { 2: [4], 3: [4, 2], 4: [4], 5: [4, 2] }

/** Tiles of a map. */
export interface Tiling {
  /** Outputs of a tile along a row. */
  readonly m: number
  readonly down: number
  readonly across: number
  /** From one tile to the next. Less than m: tiles overlap, and what lies in two of them is computed twice. */
  readonly stepDown: number
  readonly stepAcross: number
  readonly overlaps: boolean
  /** The last tiles end behind the map: what they compute there is not stored. */
  readonly isPadded?: true
}

/** Tiles of m x m outputs that cover a map: side by side, or evenly so that the last ends where the map does. Undefined where neither works. */
export function tilingFor(m: number, filterSize: number, height: number, width: number): Tiling | undefined {
  if (!TILE_SIZES[filterSize]?.includes(m)) return undefined
  const [down, across] = [Math.ceil(height / m), Math.ceil(width / m)]
  if (height % m === 0 && width % m === 0) return { m, down, across, stepDown: m, stepAcross: m, overlaps: false }
  if (down < 2 || across < 2) return undefined
  const [stepDown, stepAcross] = [(height - m) / (down - 1), (width - m) / (across - 1)]
  return Number.isInteger(stepDown) && Number.isInteger(stepAcross) ? { m, down, across, stepDown, stepAcross, overlaps: true } : undefined
}

/** The same, or, if `mayPad`, tiles side by side of which the last ones end behind the map. */
export function coverMap(
  m: number,
  filterSize: number,
  height: number,
  width: number,
  mayOverlap: boolean,
  mayPad: boolean,
): Tiling | undefined {
  const tiling = tilingFor(m, filterSize, height, width)
  if (tiling && (mayOverlap || !tiling.overlaps)) return tiling
  if (!mayPad || !TILE_SIZES[filterSize]?.includes(m)) return undefined
  const [down, across] = [Math.ceil(height / m), Math.ceil(width / m)]
  return { m, down, across, stepDown: m, stepAcross: m, overlaps: false, isPadded: true }
}

/**
 * Chooses how tiles cover a map: side by side; if `mayOverlap`, evenly: 7 x 7 is four tiles of 4 x 4; if `mayPad`, such that the last ones end behind the map:
 * 9 x 9 is nine. Undefined where tiles that compute something twice, or for nothing, take more than half of the products that direct sums take.
 */
export function chooseTiling(
  filterSize: number,
  height: number,
  width: number,
  mayOverlap: boolean,
  mayPad = false,
): Tiling | undefined {
  const tilings = (TILE_SIZES[filterSize] ?? []).map((m) => coverMap(m, filterSize, height, width, mayOverlap, mayPad))
    .filter((t) => t !== undefined)
  const isLarge = height * width >= CPU.winograd.leastPixels
  const even = tilings.find((t) => !t.overlaps && !t.isPadded && isLarge)
  return even ??
    tilings.find(({ m, down, across, isPadded }) =>
      (mayOverlap || isPadded) && down > 1 && across > 1 &&
      2 * down * across * (m + filterSize - 1) ** 2 <= height * width * filterSize ** 2
    )
}

/** The matrices of Toom and Cook for `m` outputs along a row and a filter of `r`. */
export function transformsOf(m: number, r: number): Transforms {
  const key = `${m} ${r}`
  const known = knownTransforms.get(key) ?? makeTransforms(m, r)
  knownTransforms.set(key, known)
  return known
}

/** The transforms that were made: those of the few sizes in `TILE_SIZES`. */
const knownTransforms = new Map<string, Transforms>()

function makeTransforms(m: number, r: number): Transforms {
  const size = m + r - 1
  const points = POINTS[size]!
  const without = (j: number): number[] => points.filter((_, l) => l !== j)
  const norm = (j: number): number => without(j).reduce((p, other) => p * (points[j]! - other), 1)
  // Infinity comes second: pairs of points then start at even places.
  const second = <T>(infinity: T, [first, ...others]: readonly T[]): T[] => [first!, infinity, ...others]
  return {
    input: second(expand(points), points.map((_, j) => padded(expand(without(j)), size))),
    weight: second(
      padded([...Array<number>(r - 1).fill(0), 1], r),
      points.map((p, j) => Array.from({ length: r }, (_, k) => p ** k / norm(j))),
    ),
    output: Array.from({ length: m }, (_, i) => second(i === m - 1 ? 1 : 0, points.map((p) => p ** i))),
  }
}

/** Coefficients of (x - a)(x - b)..., the lowest first. */
const expand = (roots: readonly number[]): number[] =>
  roots.reduce<number[]>((c, root) => [...c, 0].map((_, i) => (c[i - 1] ?? 0) - root * (c[i] ?? 0)), [1])

const padded = (row: readonly number[], size: number): number[] => Array.from({ length: size }, (_, i) => row[i] ?? 0)

/** Every index that a value changes with: where it loads, and what it asks of a place, as a border's guards do of one that nothing is loaded by. */
export const indicesOf = (f: Expression): Index[] =>
  walk(f).flatMap((node) =>
    node.kind === 'load' ? node.at
      : node.kind === 'position' || node.kind === 'random' ? [node.at]
      : node.kind === 'guard' ? node.guards.map((g) => g.at) : []
  )

/** Whether a factor is zero, not undefined, where an axis is longer than it is. */
export const endsInZeros = (f: Expression, a: Axis): boolean =>
  f.kind === 'guard' && f.otherwise === 0 &&
  walk(f.value).every((node) =>
    node.kind === 'load' ? node.at.every((at, i) =>
      strideOf(at, a) === 0 || f.guards.some((g) => g.kind === 'within' && g.at.key === at.key && g.extent === node.tensor.shape[i])
    )
      : (node.kind !== 'position' && node.kind !== 'random') || strideOf(node.at, a) === 0
  )

/** Whether the filter moves along `a` by one element (stride 1) and its own axis `k` by one (no dilation). */
export const isDense = (f: Expression, a: Axis, k: Axis): boolean =>
  indicesOf(f).every((at) => [0, 1].includes(strideOf(at, a) ?? 2) && [-1, 0, 1].includes(strideOf(at, k) ?? 2))

/** Whether a factor's index grows along `a` where it shrinks along the filter's axis `k`: the gradient by an input reads the filter mirrored. */
export const backwards = (f: Expression, k: Axis, a: Axis): boolean =>
  indicesOf(f).some((at) => (strideOf(at, k) ?? 0) * (strideOf(at, a) ?? 0) < 0)

export const showElements = (shapes: readonly Shape[]): string => shapes.map((s) => s.join('x')).join(' and ')

/** Elements from one to the next: an odd number of cache lines, so that all of them can be in the first cache at once. */
export const plane = (elements: number): number => 16 * (Math.ceil(elements / 16) | 1)
