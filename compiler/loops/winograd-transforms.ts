import type { Shape } from '../tensor.ts'
import { add, constant, type Expression, mul, sub, walk } from './expression.ts'
import type { Axis } from './index-expression.ts'
import { strideOf } from './reshape.ts'

/*
 * Convolution by Winograd's minimal filtering F(m x m, r x r) (Lavin & Gray 2016): with n = m + r - 1, a tile of m x m
 * outputs takes n x n products instead of m m r r: F(4x4, 3x3) 36 for 144, F(2x2, 5x5) 36 for 100. With tiles d of n x n
 * inputs and windows g:
 *
 *   y = A' [ (G g G') * (B' d B) ] A
 *
 * where * goes element by element and sums over channels are matrix products, one for each of the n x n elements.
 */

export type Matrix = readonly (readonly number[])[]

interface Transforms {
  readonly input: Matrix
  readonly weight: Matrix
  readonly output: Matrix
}

/** Points at which polynomials are evaluated, beside infinity: small, so that little is lost in float32 (Barabasz et al. 2020). */
const POINTS: Readonly<Record<number, readonly number[]>> = { 4: [0, 1, -1], 6: [0, 1, -1, 2, -0.5] }

/** Outputs of a tile along a row, the best first. */
export const TILE_SIZES: Readonly<Record<number, readonly number[]>> = { 3: [4, 2], 5: [2] }

/** The matrices of Toom and Cook for `m` outputs and a window of `r`. */
export function transformsOf(m: number, r: number): Transforms {
  const size = m + r - 1
  const points = POINTS[size]!
  const without = (j: number): number[] => points.filter((_, l) => l !== j)
  const norm = (j: number): number => without(j).reduce((p, other) => p * (points[j]! - other), 1)
  return {
    input: [...points.map((_, j) => padded(expand(without(j)), size)), expand(points)],
    weight: [...points.map((p, j) => Array.from({ length: r }, (_, k) => p ** k / norm(j))), padded([...Array<number>(r - 1).fill(0), 1], r)],
    output: Array.from({ length: m }, (_, i) => [...points.map((p) => p ** i), i === m - 1 ? 1 : 0]),
  }
}

/** Coefficients of (x - a)(x - b)..., the lowest first. */
const expand = (roots: readonly number[]): number[] =>
  roots.reduce<number[]>((c, root) => [...c, 0].map((_, i) => (c[i - 1] ?? 0) - root * (c[i] ?? 0)), [1])

const padded = (row: readonly number[], size: number): number[] => Array.from({ length: size }, (_, i) => row[i] ?? 0)

/** Fewer channels do not pay for the transformations. */
export const LEAST_CHANNELS = 16
export const LEAST_TILES = 16
/** Transformed inputs of an item, in elements: they should stay in the second cache. */
export const GOOD_ITEM = 160 * 1024
export const MOST_ITEM = 2 ** 20

/** Whether windows lie at every place, and their elements side by side. */
export const isDense = (f: Expression, a: Axis, k: Axis): boolean =>
  walk(f).every((node) => node.kind !== 'load' || node.at.every((at) => [0, 1].includes(strideOf(at, a) ?? 2) && [-1, 0, 1].includes(strideOf(at, k) ?? 2)))

export const showElements = (shapes: readonly Shape[]): string => shapes.map((s) => s.join('x')).join(' and ')

/** Elements from one to the next: an odd number of cache lines, so that all of them can be in the first cache at once. */
export const plane = (elements: number): number => 16 * (Math.ceil(elements / 16) | 1)

export type Tile = readonly (readonly Expression[])[]

export const matrixOf = (rows: number, columns: number, at: (i: number, j: number) => Expression): Tile =>
  Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => at(i, j)))

const transpose = (m: Tile): Tile => m[0]!.map((_, j) => m.map((row) => row[j]!))
export const flatten = (m: Tile): Expression[] => m.flat()

/** M' of a matrix. */
export const columnsOf = (m: Matrix): Matrix => m[0]!.map((_, j) => m.map((row) => row[j]!))

/** M x M', rows first: what rows have in common is computed once. */
export const sandwich = (m: Matrix, x: Tile): Tile => transpose(applyRows(m, transpose(applyRows(m, x))))

const applyRows = (m: Matrix, x: Tile): Tile =>
  m.map((row) => x[0]!.map((_, j) => row.reduce<Expression | undefined>((total, factor, i) => {
    if (factor === 0) return total
    const value = x[i]![j]!
    const term = Math.abs(factor) === 1 ? value : mul(value, Math.abs(factor))
    if (!total) return factor > 0 ? term : sub(constant(0), term)
    return factor > 0 ? add(total, term) : sub(total, term)
  }, undefined)!))

