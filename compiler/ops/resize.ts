import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Attributes } from '../../dsl/signature.ts'
import type { Node, Value } from '../graph/graph.ts'
import { type Expression, guard, load, mul, select, sum, within } from '../ir/expression.ts'
import { type Axis, axis, divide, type Index, type IndexLike, plus, times } from '../ir/affine.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import { type Shape, showShape, tensor, type Tensor } from '../ir/tensor.ts'
import { argumentProblem, shapeProblem } from './diagnostics.ts'
import { firstInputGradient } from './gradients.ts'
import type { ConstantSpec, Operator, ShapeQuestion } from './operator.ts'
import { pointAxes } from './elementwise.ts'
import { type Band, type Bands, bandsOf, type Direction, interpolationOf } from './resize-bands.ts'
import { mapProblems } from './sliding-window.ts'

/** Interpolation in both directions at once reads so many elements for one, at most; else it goes along the rows first, then down. */
const MOST_AT_ONCE = 36

const NAMES = ['rows', 'columns'] as const

const scalesOf = (attributes: Attributes): readonly [number, number] | undefined => {
  const given = attributes['scale'] as readonly number[] | undefined
  return given && [given[0]!, given.at(-1)!]
}

/** Height and width: of how many, to how many. A scale is float32's, and so is the product that is cut to a whole number (onnxruntime). */
export function directionsOf(attributes: Attributes, x: Shape): readonly [Direction, Direction] {
  const size = attributes['size'] as readonly number[] | undefined
  const scales = scalesOf(attributes)
  const direction = (d: 0 | 1): Direction => {
    const from = x[d + 2] as number
    if (size) return { from, to: size[d]! }
    const scale = Math.fround(scales![d])
    return {
      from,
      to: Math.floor(Math.fround(scale * from)),
      ...(Math.fround(scale * from) / from === scale && Number.isInteger(scale) ? {} : { scale }),
    }
  }
  return [direction(0), direction(1)]
}

function bandsOfNode(attributes: Attributes, x: Shape): readonly [Bands, Bands] {
  const interpolation = interpolationOf(attributes)
  const [rows, columns] = directionsOf(attributes, x)
  return [bandsOf(rows, interpolation), bandsOf(columns, interpolation)]
}

/** The tables of weights; a band of ones needs none. */
function constantsOf(bands: readonly [Bands, Bands]): ConstantSpec[] {
  const table = (role: string, { taps, weights, plain }: Band): ConstantSpec[] =>
    plain ? [] : [{ role, shape: [weights.length / taps, taps], values: weights }]
  return bands.flatMap(({ forward, backward }, d) => [...table(NAMES[d]!, forward), ...table(`${NAMES[d]!}_back`, backward)])
}

function argumentProblems(q: ShapeQuestion): Diagnostic[] {
  const { size, scale } = q.attributes
  const how = 'write resize([64, 64]) or resize(scale: 2)'
  if (size === undefined && scale === undefined)
    return [argumentProblem(q, 'size', 'resize-size', 'resize needs the new size, or a scale', how)]
  if (size !== undefined && scale !== undefined)
    return [argumentProblem(q, 'scale', 'resize-size', 'resize takes a size or a scale, not both', how)]
  const scales = (scale ?? []) as readonly number[]
  if (size !== undefined) return []
  if (scales.length < 1 || scales.length > 2)
    return [
      argumentProblem(q, 'scale', 'resize-scale', `${scales.length} numbers are no scale`, 'one for both directions, or [height, width]'),
    ]
  const wrong = scales.find((factor) => factor <= 0)
  return wrong === undefined ? []
    : [argumentProblem(q, 'scale', 'resize-scale', `a map cannot be made ${wrong} times as large`, 'scales are above 0')]
}

/** x [n, C, H, W] -> y [n, C, size]. Diagnostics: shape/resize-rank, shape/resize-empty, argument/resize-size, argument/resize-scale. */
const resize: Operator = {
  name: 'resize',
  signature: {
    name: 'resize',
    parameters: [
      { name: 'size', type: { kind: 'window', min: 1 }, optional: true, doc: 'the new height and width' },
      {
        name: 'scale',
        type: { kind: 'numbers' },
        optional: true,
        named: true,
        doc: 'instead of a size: how many times as large, or [height, width]; what is left over is dropped',
      },
      {
        name: 'mode',
        type: { kind: 'word', words: ['nearest', 'linear', 'cubic'] },
        default: 'nearest',
        named: true,
        doc: 'one pixel, 2 x 2 or 4 x 4 around',
      },
      {
        name: 'coordinates',
        type: { kind: 'word', words: ['half_pixel', 'half_pixel_symmetric', 'pytorch_half_pixel', 'asymmetric', 'align_corners'] },
        default: 'half_pixel',
        named: true,
        doc: 'where a pixel of the new map lies in the old one',
      },
      {
        name: 'rounding',
        type: { kind: 'word', words: ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'] },
        default: 'round_prefer_floor',
        named: true,
        doc: 'which pixel is the nearest',
      },
      { name: 'cubic_coefficient', type: { kind: 'number' }, default: -0.75, named: true, doc: 'the a of cubic interpolation' },
      {
        name: 'exclude_outside',
        type: { kind: 'boolean' },
        default: false,
        named: true,
        doc: 'cubic: weights of pixels beyond the edge are 0, and the others grow; else the edge goes on',
      },
    ],
    doc: 'a map of another size, by interpolation',
  },
  traits: {
    initSeesThrough: true,
    idle: ({ mode = 'nearest' }) => [
      ...(mode === 'nearest' ? []
        : [{ name: 'rounding', by: 'mode', value: String(mode), why: `mode: ${String(mode)} takes no nearest pixel` }]),
      ...(mode === 'cubic' ? [] :
        ['cubic_coefficient', 'exclude_outside'].map((name) => ({
          name,
          by: 'mode',
          value: String(mode),
          why: `mode: ${String(mode)} is not cubic`,
        }))),
    ],
  },
  shape: (q) => {
    const problems = [...mapProblems(q), ...argumentProblems(q)]
    if (problems.length > 0) return problems
    const { shape } = q.inputs[0]!
    const [rows, columns] = directionsOf(q.attributes, shape)
    if (rows.to < 1 || columns.to < 1) {
      return [
        shapeProblem(
          q,
          'resize-empty',
          `nothing is left of ${showShape(shape)}: ${rows.to} x ${columns.to}`,
          q.inputs,
          'take a larger scale',
        ),
      ]
    }
    return { shape: [shape[0]!, shape[1]!, rows.to, columns.to], constants: constantsOf(bandsOfNode(q.attributes, shape)) }
  },
  equations: (node) => {
    const [rows, columns] = bandsOfNode(node.attributes, node.inputs[0]!.shape)
    const { rows: down, columns: along } = node.parameters
    return bandEquations(node, [{ band: rows.forward, table: down }, { band: columns.forward, table: along }])
  },
  gradient: (node, dy, build) =>
    firstInputGradient(node, build, { op: 'resize_dx', inputs: [dy], parameters: node.parameters, attributes: node.attributes }),
}

/** Every element of x gets from each y that was made of it the share that it had. Input: dy. */
const resizeDx: Operator = {
  name: 'resize_dx',
  equations: (node) => {
    const [rows, columns] = bandsOfNode(node.attributes, node.outputs[0]!.shape)
    const { rows_back: down, columns_back: along } = node.parameters
    return bandEquations(node, [{ band: rows.backward, table: down }, { band: columns.backward, table: along }])
  },
}

interface Weighed {
  readonly band: Band
  readonly table: Value | undefined
}

/** The elements that a row (or column) reads: a loop over its taps, and the weight of each. */
interface Taps {
  readonly loop: readonly Axis[]
  readonly at: Index
  readonly isThere: readonly ReturnType<typeof within>[]
  readonly weigh: (value: Expression) => Expression
}

function tapsOf({ band, table }: Weighed, row: Axis, name: string, extent: number, nearest: boolean): Taps {
  const { rise, offset, run, taps, beyond } = band
  const k = taps > 1 ? axis(name, taps) : undefined
  const at = plus(divide(plus(times(row, rise), offset), run), k ?? 0)
  const weight = table && load(table, row, k ?? 0)
  return {
    loop: k ? [k] : [],
    at,
    isThere: beyond ? [within(at, extent)] : [],
    // What the nearest pixel is not may be infinite, and 0 times that is no number.
    weigh: (value) => (!weight ? value : nearest ? select('lt', 0, weight, value, 0) : mul(value, weight)),
  }
}

/** y[n, c, h, w] = sum over i, j of x[n, c, row(h) + i, column(w) + j] times both weights. */
function bandEquations(node: Node, [down, along]: readonly [Weighed, Weighed]): readonly Equation[] {
  const [x, y] = [node.inputs[0]!, node.outputs[0]!]
  const nearest = interpolationOf(node.attributes).mode === 'nearest'
  const one = (name: string, from: Tensor, to: Tensor, rows: Weighed | undefined, columns: Weighed | undefined): Equation => {
    const at = pointAxes(to.shape)
    const [n, c, h, w] = at as [Axis, Axis, Axis, Axis]
    const vertical = rows && tapsOf(rows, h, 'i', from.shape[2] as number, nearest)
    const horizontal = columns && tapsOf(columns, w, 'j', from.shape[3] as number, nearest)
    const place: readonly IndexLike[] = [n, c, vertical?.at ?? h, horizontal?.at ?? w]
    const seen = guard([...(vertical?.isThere ?? []), ...(horizontal?.isThere ?? [])], load(from, ...place))
    const weighed = [horizontal, vertical].reduce<Expression>((value, taps) => taps?.weigh(value) ?? value, seen)
    return equation(name, [node.layer], at, [store(to, at, sum([...(vertical?.loop ?? []), ...(horizontal?.loop ?? [])], weighed))])
  }
  if (down.band.taps * along.band.taps <= MOST_AT_ONCE) return [one(node.name, x, y, down, along)]
  const half = tensor(`${node.name}.rows`, [x.shape[0]!, x.shape[1]!, x.shape[2]!, y.shape[3]!])
  return [one(`${node.name}.rows`, x, half, undefined, along), one(node.name, half, y, down, undefined)]
}

export const resizeOperators: readonly Operator[] = [resize, resizeDx]
