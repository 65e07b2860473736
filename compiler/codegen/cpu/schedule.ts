import type { Axis } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { type Expression, walk } from '../../ir/expression.ts'

/**
 * How a CPU computes an equation: plain JSON, so that it can be printed, kept in a file and applied again to an equation of the
 * same shape. `applySchedule` turns it into a loop nest. A schedule changes speed, never the result beyond the order of sums.
 *
 * The words, beside those of Halide:
 *   tasks           axes that count the tasks which threads take, outermost first         parallel(fuse(...))
 *   taskBlock       points of one task along an axis of `tasks`; absent: one               split(axis, outer, inner, size)
 *   registerTile    points that one iteration of the innermost loops computes              unroll, tile
 *   vectorAxis      the axis whose points lie in the lanes of a vector                     vectorize
 *   vectorReduction a reduced axis that is summed up in lanes, which are added at the end  rfactor + vectorize
 *   unroll          steps of a reduced axis that are written out (vectors, along vectorReduction)
 *   packed          factors copied into a thread's own memory, in the order they are read  compute_at + in()
 *   transposed      a packed factor whose axis in lanes is made the innermost one          in() + reorder_storage
 *   strides         axes whose points are taken by their remainder, each with a loop nest  split, unroll(inner)
 */
export type CpuSchedule = PointwiseSchedule | ContractionSchedule | PhasesSchedule | WinogradSchedule | WinogradGradientSchedule

/** An axis by its position in `axesOfEquation` of the simplified equation, and its name: `1:o`. */
export type AxisName = string
export type AxisSizes = Readonly<Record<AxisName, number>>

interface Tasks {
  readonly tasks: readonly AxisName[]
  readonly taskBlock?: AxisSizes
}

interface RegisterTile {
  readonly registerTile: AxisSizes
  readonly vectorAxis?: AxisName
  /** Not with `vectorAxis`. */
  readonly vectorReduction?: AxisName
  readonly unroll: AxisSizes
}

/** Every point on its own: element-wise work, windows, plain sums. */
export interface PointwiseSchedule extends Tasks, RegisterTile {
  readonly algorithm: 'pointwise'
  /** Axes that are split first, into blocks of so many points: the other names are of the equation after these splits. */
  readonly split?: AxisSizes
}

/** A register tile of a sum of products, and which factors are packed for it. */
export interface ContractionTile extends RegisterTile {
  /** The factor that is loaded in vectors; the other's elements are broadcast to all lanes. */
  readonly vectorFactor: FactorName
  readonly packed: readonly FactorName[]
  /** The packed factor whose lanes are made neighbours in memory: a transposition. */
  readonly transposed?: FactorName
}

/** A sum of products in register tiles: a direct convolution, a matrix product. */
export interface ContractionSchedule extends Tasks, ContractionTile {
  readonly algorithm: 'contraction'
  /** Images that are packed together, where the sum runs over the batch. Absent: one. */
  readonly batchBlock?: number
}

/** A transposed convolution of a stride as dense ones, one a phase. */
export interface PhasesSchedule extends Tasks {
  readonly algorithm: 'phases'
  /** The axes that have phases, the last one counted fastest. */
  readonly strides: AxisSizes
  /** The tile of each phase, by names of the whole equation's axes; null where no element of the filter meets a window. */
  readonly tiles: readonly (ContractionTile | null)[]
}

/** A convolution by Winograd's minimal filtering. */
export interface WinogradSchedule extends Tasks {
  readonly algorithm: 'winograd'
  /** m of F(m x m, r x r). */
  readonly outputTile: number
  /** Output channels that are multiplied and transformed back at a time; divides those of a task. */
  readonly channelBlock: number
  /** A thread transforms the filter for its first image and keeps it for the next ones. */
  readonly keepsFilter: boolean
}

/** The gradient of a convolution's filter by the same transformations, transposed. */
export interface WinogradGradientSchedule extends Tasks {
  readonly algorithm: 'winograd-gradient'
  /** m of the tiles of output gradients. */
  readonly outputTile: number
  /** Rows of an image that are transformed at a time. */
  readonly rows: number
  /** Whether input or output channels lie in the lanes. */
  readonly vectorAxis: AxisName
  /** Images whose tiles are multiplied together, so that sums are added in memory once for all of them. Absent: one. */
  readonly batchBlock?: number
}

/** A factor of the contraction's product. */
export type FactorName = 'a' | 'b'
export const otherFactor = (f: FactorName): FactorName => (f === 'a' ? 'b' : 'a')

/** A schedule does not fit an equation: it is of another one, or was written by hand. The message says what does not fit. */
export class ScheduleMismatch extends Error {}

/** Throws ScheduleMismatch unless a condition holds. */
export function fits(condition: unknown, message: string): asserts condition {
  if (!condition) throw new ScheduleMismatch(message)
}

/** All axes in an order that equations of the same `canonicalText` share: those of the points, then reduced ones as they are met. */
function axesOfEquation(e: Equation): readonly Axis[] {
  const axes = new Set(e.axes)
  const seen = new Set<Expression>()
  for (const s of e.stores) for (const node of walk(s.value, seen)) if (node.kind === 'reduce') { for (const a of node.axes) axes.add(a) }
  return [...axes]
}

/** Who knows axes by their names. */
export type AxisFinder = Pick<AxisNames, 'find' | 'findSizes'>

/** Names of an equation's axes, both ways. */
export class AxisNames {
  private readonly axes: readonly Axis[]

  constructor(e: Equation) {
    this.axes = axesOfEquation(e)
  }

  of(a: Axis): AxisName {
    return `${this.axes.indexOf(a)}:${a.name}`
  }

  sizes(sizes: Iterable<readonly [Axis, number]>): Record<AxisName, number> {
    return Object.fromEntries([...sizes].map(([a, size]) => [this.of(a), size]))
  }

  /** Throws ScheduleMismatch where no axis has the name. */
  find(name: AxisName): Axis {
    const a = this.axes[Number.parseInt(name, 10)]
    fits(a && this.of(a) === name, `there is no axis ${name}`)
    return a
  }

  findSizes(sizes: AxisSizes): [Axis, number][] {
    return Object.entries(sizes).map(([name, size]) => [this.find(name), size])
  }
}

/**
 * Reads a schedule from JSON. Throws ScheduleMismatch where a field is missing, unknown or of another kind; whether it fits an
 * equation is seen by `applySchedule`.
 */
export function parseSchedule(json: unknown): CpuSchedule {
  fits(isRecord(json), 'a schedule is an object')
  const { algorithm } = json
  fits(typeof algorithm === 'string' && Object.hasOwn(FIELDS, algorithm), `there is no algorithm ${JSON.stringify(algorithm)}`)
  const fields = FIELDS[algorithm as CpuSchedule['algorithm']]
  for (const [name, kind] of Object.entries(fields)) fits(KINDS[kind](json[name]), `${algorithm}: ${name} is not ${kind}`)
  for (const name of Object.keys(json)) fits(name === 'algorithm' || Object.hasOwn(fields, name), `${algorithm} has no field ${name}`)
  return json as unknown as CpuSchedule
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isSize = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0
const isSizes = (value: unknown): boolean => isRecord(value) && Object.values(value).every(isSize)

const hasFields = (value: unknown, fields: Fields): boolean =>
  isRecord(value) && Object.entries(fields).every(([name, kind]) => KINDS[kind](value[name])) &&
  Object.keys(value).every((name) => Object.hasOwn(fields, name))

type Kind =
  | 'a size'
  | 'a size or absent'
  | 'an axis'
  | 'an axis or absent'
  | 'a list of axes'
  | 'a table of sizes'
  | 'a table of sizes or absent'
  | 'a or b'
  | 'a, b or absent'
  | 'a list of a and b'
  | 'a list of tiles'
  | 'true or false'

const KINDS: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  'a size': isSize,
  'a size or absent': (value: unknown) => value === undefined || isSize(value),
  'an axis': (value: unknown) => typeof value === 'string',
  'an axis or absent': (value: unknown) => value === undefined || typeof value === 'string',
  'a list of axes': (value: unknown) => Array.isArray(value) && value.every((name) => typeof name === 'string'),
  'a table of sizes': isSizes,
  'a table of sizes or absent': (value: unknown) => value === undefined || isSizes(value),
  'a or b': (value: unknown) => value === 'a' || value === 'b',
  'a, b or absent': (value: unknown) => value === undefined || value === 'a' || value === 'b',
  'a list of a and b': (value: unknown) =>
    Array.isArray(value) && value.every((f) => f === 'a' || f === 'b') && new Set(value).size === value.length,
  'a list of tiles': (value: unknown) => Array.isArray(value) && value.every((tile) => tile === null || hasFields(tile, CONTRACTION_TILE)),
  'true or false': (value: unknown) => typeof value === 'boolean',
}

type Fields = Readonly<Record<string, Kind>>
const TASKS: Fields = { tasks: 'a list of axes', taskBlock: 'a table of sizes or absent' }
const TILE: Fields = {
  registerTile: 'a table of sizes',
  vectorAxis: 'an axis or absent',
  vectorReduction: 'an axis or absent',
  unroll: 'a table of sizes',
}
const CONTRACTION_TILE: Fields = { ...TILE, vectorFactor: 'a or b', packed: 'a list of a and b', transposed: 'a, b or absent' }
const FIELDS: Readonly<Record<CpuSchedule['algorithm'], Fields>> = {
  pointwise: { ...TASKS, ...TILE, split: 'a table of sizes or absent' },
  contraction: { ...TASKS, ...CONTRACTION_TILE, batchBlock: 'a size or absent' },
  phases: { ...TASKS, strides: 'a table of sizes', tiles: 'a list of tiles' },
  winograd: { ...TASKS, outputTile: 'a size', channelBlock: 'a size', keepsFilter: 'true or false' },
  'winograd-gradient': { ...TASKS, outputTile: 'a size', rows: 'a size', vectorAxis: 'an axis', batchBlock: 'a size or absent' },
}
