import type { Attributes } from '../../dsl/signature.ts'

/*
 * One direction of a resized map: every row (or column) of the output is a weighted sum of a few neighbouring rows of the input. Positions
 * and weights are known at compile time, so they are tables; where a window begins is a line, floor((rise h + offset) / run), that loops
 * can compute.
 */

export type ResizeMode = 'nearest' | 'linear' | 'cubic'
export type Coordinates = 'half_pixel' | 'half_pixel_symmetric' | 'pytorch_half_pixel' | 'asymmetric' | 'align_corners'
export type Rounding = 'round_prefer_floor' | 'round_prefer_ceil' | 'floor' | 'ceil'

/** How many rows there are, how many there will be, and the ratio of both: that of the sizes where it is not given. */
export interface Direction {
  readonly from: number
  readonly to: number
  readonly scale?: number
}

/** Row h reads rows floor((rise h + offset) / run) + k, 0 <= k < taps, of `from` rows, each with weight `weights[h taps + k]`. */
export interface Band {
  readonly rise: number
  readonly offset: number
  readonly run: number
  readonly taps: number
  readonly weights: readonly number[]
  /** Whether every weight is 1. */
  readonly plain: boolean
  /** Whether some windows reach beyond the rows that there are; their weights there are 0. */
  readonly beyond: boolean
}

/** A row of a sparse matrix: weights by column. */
type Row = ReadonlyMap<number, number>

/**
 * The position of row h among the rows of the input (ONNX, Resize, coordinate_transformation_mode), rounded after every step by `round`:
 * `Math.fround` does as onnxruntime does, whose choice where two neighbours are equally near depends on it.
 */
function positionOf(h: number, { from, to, scale }: Direction, coordinates: Coordinates, round: (x: number) => number): number {
  const ratio = round(scale ?? to / from)
  const half = (): number => round(round((h + 0.5) / ratio) - 0.5)
  switch (coordinates) {
    case 'asymmetric':
      return round(h / ratio)
    case 'align_corners':
      return to === 1 ? 0 : round(round(h * (from - 1)) / (to - 1))
    case 'pytorch_half_pixel':
      return to === 1 ? 0 : half()
    case 'half_pixel_symmetric': {
      const adjustment = round(to / round(ratio * from))
      return round(round(round(from / 2) * round(1 - adjustment)) + (h + 0.5) / ratio - 0.5)
    }
    case 'half_pixel':
      return half()
  }
}

/** The same without rounding: exact but for the last digit of a double. */
function exactPosition(h: number, direction: Direction, coordinates: Coordinates): number {
  const { from, to, scale } = direction
  // Both sizes are integers, so that products are exact and one division is all that rounds.
  if (
    scale === undefined &&
    (coordinates === 'half_pixel' || coordinates === 'half_pixel_symmetric' || (coordinates === 'pytorch_half_pixel' && to > 1))
  )
    return ((2 * h + 1) * from - to) / (2 * to)
  if (scale === undefined && coordinates === 'asymmetric') return (h * from) / to
  return positionOf(h, direction, coordinates, (x) => x)
}

/** Positions as near to the middle between two pixels are taken for the middle, since float32 may have missed it (as onnxruntime 1.30 does). */
const NEAR = 1e-6

function nearest(position: number, rounding: Rounding): number {
  const below = Math.floor(position)
  switch (rounding) {
    case 'floor':
      return below
    case 'ceil':
      return Math.ceil(position)
    default:
      if (Math.abs(position - below - 0.5) <= NEAR) return rounding === 'round_prefer_ceil' ? below + 1 : below
      return Math.floor(position + 0.5)
  }
}

/** The weight of a neighbour at this distance (Keys 1981); `a` is -0.5 or -0.75 as a rule. */
function cubicWeight(distance: number, a: number): number {
  const d = Math.abs(distance)
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0
}

export interface Interpolation {
  readonly mode: ResizeMode
  readonly coordinates: Coordinates
  readonly rounding: Rounding
  readonly cubicCoefficient: number
  readonly excludeOutside: boolean
}

export function interpolationOf(attributes: Attributes): Interpolation {
  return {
    mode: (attributes['mode'] as ResizeMode | undefined) ?? 'nearest',
    coordinates: (attributes['coordinates'] as Coordinates | undefined) ?? 'half_pixel',
    rounding: (attributes['rounding'] as Rounding | undefined) ?? 'round_prefer_floor',
    cubicCoefficient: (attributes['cubic_coefficient'] as number | undefined) ?? -0.75,
    excludeOutside: attributes['exclude_outside'] === true,
  }
}

/** Which rows of the input each row of the output is made of. What lies outside is the outermost row, or (excludeOutside) nothing. */
function rowsOf(direction: Direction, { mode, coordinates, rounding, cubicCoefficient, excludeOutside }: Interpolation): readonly Row[] {
  const { from, to } = direction
  const kept = (at: number): number => Math.min(Math.max(at, 0), from - 1)
  return Array.from({ length: to }, (_, h): Row => {
    if (mode === 'nearest') return new Map([[kept(nearest(positionOf(h, direction, coordinates, Math.fround), rounding)), 1]])
    const position = exactPosition(h, direction, coordinates)
    const first = Math.floor(position)
    const rest = position - first
    const taps: readonly (readonly [number, number])[] = mode === 'linear' ? [[first, 1 - rest], [first + 1, rest]]
      : [-1, 0, 1, 2].map((k) => [first + k, cubicWeight(k - rest, cubicCoefficient)] as const)
    const row = new Map<number, number>()
    for (const [at, weight] of taps) {
      if (mode === 'cubic' && excludeOutside && at !== kept(at)) continue
      if (weight !== 0) row.set(kept(at), (row.get(kept(at)) ?? 0) + weight)
    }
    const total = [...row.values()].reduce((a, b) => a + b, 0)
    return mode === 'cubic' && excludeOutside ? new Map([...row].map(([at, weight]) => [at, weight / total])) : row
  })
}

const transposed = (rows: readonly Row[], count: number): readonly Row[] => {
  const columns = Array.from({ length: count }, () => new Map<number, number>())
  for (const [h, row] of rows.entries()) for (const [at, weight] of row) columns[at]!.set(h, weight)
  return columns
}

/** Denominators of slopes that are tried: windows of a few hundred rows repeat within so many. */
const LONGEST_RUN = 4096

/** Fractions near a number, by growing denominators: convergents of its continued fraction, and those between them (Stern-Brocot). */
function fractionsNear(value: number): readonly (readonly [number, number])[] {
  const found: (readonly [number, number])[] = []
  let [above, below]: [readonly [number, number], readonly [number, number]] = [[1, 0], [0, 1]]
  // Whole numbers first: long walks along one side are what large ratios need.
  for (let steps = 0; steps < 4 * LONGEST_RUN; steps++) {
    const [rise, run] = [above[0] + below[0], above[1] + below[1]]
    if (run > LONGEST_RUN) break
    if (run > 0) found.push([rise, run])
    if (rise === value * run) break
    if (rise < value * run) below = [rise, run]
    else above = [rise, run]
  }
  return found.slice(-64)
}

/** The lines that are tried: at best the ratio of the sizes, else one near to it. */
function slopesOf(rows: number, columns: number, ratio: number): readonly (readonly [number, number])[] {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b))
  const common = divisor(columns, rows)
  const corners = divisor(columns - 1, rows - 1)
  return [
    [columns / common, rows / common] as const,
    ...(rows > 1 && columns > 1 ? [[(columns - 1) / corners, (rows - 1) / corners] as const] : []),
    ...fractionsNear(ratio),
  ].filter(([, run]) => run <= LONGEST_RUN)
}

/** The narrowest band that holds all of a sparse matrix; a row without entries may begin anywhere. */
function bandOf(rows: readonly Row[], columns: number, ratio: number): Band {
  const ends = rows.map((row) => ({ low: Math.min(...row.keys()), high: Math.max(...row.keys()), any: row.size > 0 }))
  const least = Math.max(1, ...ends.map(({ low, high, any }) => (any ? high - low + 1 : 1)))
  const slopes = slopesOf(rows.length, columns, ratio)
  for (let taps = least; taps < columns; taps++) {
    for (const [rise, run] of slopes) {
      // high - taps + 1 <= floor((rise h + offset) / run) <= low
      let [from, to] = [-Infinity, Infinity]
      for (const [h, { low, high, any }] of ends.entries()) {
        if (!any) continue
        from = Math.max(from, run * (high - taps + 1) - rise * h)
        to = Math.min(to, run * low + run - 1 - rise * h)
      }
      if (from <= to) return banded(rows, columns, rise, Number.isFinite(from) ? from : 0, run, taps)
    }
  }
  return banded(rows, columns, 0, 0, 1, columns)
}

function banded(rows: readonly Row[], columns: number, rise: number, offset: number, run: number, taps: number): Band {
  const start = (h: number): number => Math.floor((rise * h + offset) / run)
  const weights = rows.flatMap((row, h) => Array.from({ length: taps }, (_, k) => row.get(start(h) + k) ?? 0))
  return {
    rise,
    offset,
    run,
    taps,
    weights,
    plain: weights.every((weight) => weight === 1),
    beyond: start(0) < 0 || start(rows.length - 1) + taps > columns,
  }
}

/** What rows of the output read, and what the gradient of rows of the input reads. */
export interface Bands {
  readonly forward: Band
  readonly backward: Band
}

const known = new Map<string, Bands>()
const MOST_KNOWN = 64

/** The bands of one direction. */
export function bandsOf(direction: Direction, interpolation: Interpolation): Bands {
  const key = JSON.stringify([direction, interpolation])
  const before = known.get(key)
  if (before) return before
  const { from, to, scale } = direction
  const rows = rowsOf(direction, interpolation)
  const ratio = scale ?? to / from
  const bands = { forward: bandOf(rows, from, 1 / ratio), backward: bandOf(transposed(rows, from), to, ratio) }
  if (known.size >= MOST_KNOWN) known.clear()
  known.set(key, bands)
  return bands
}
