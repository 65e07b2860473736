import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Attributes } from '../../dsl/signature.ts'
import type { Node } from '../graph/graph.ts'
import { add, guard, type Guard, load, sum, within } from '../ir/expression.ts'
import { type Axis, axis, type IndexLike, minus, plus } from '../ir/affine.ts'
import type { Equation } from '../ir/equation.ts'
import type { Shape } from '../ir/tensor.ts'
import { argumentProblem } from './diagnostics.ts'
import { firstInputGradient } from './gradients.ts'
import type { Operator, ShapeQuestion } from './operator.ts'
import { numberOf, pointwise } from './elementwise.ts'
import { mapProblems } from './sliding-window.ts'

interface Margins {
  /** A number for each of the four axes; 0 for the batch. */
  readonly before: readonly number[]
  readonly after: readonly number[]
}

/** One number goes all around, two are height and width, four top, bottom, left and right. */
function marginsOf(attributes: Attributes): Margins {
  const around = (attributes['size'] as readonly number[] | undefined) ?? [0]
  const [top, bottom, left, right] = around.length === 4 ? around : [around[0]!, around[0]!, around.at(-1)!, around.at(-1)!]
  const channels = (attributes['channels'] as readonly number[] | undefined) ?? [0, 0]
  return { before: [0, channels[0]!, top!, left!], after: [0, channels.at(-1)!, bottom!, right!] }
}

function marginProblems(q: ShapeQuestion): Diagnostic[] {
  const wrong = (name: 'size' | 'channels', counts: readonly number[], hint: string): Diagnostic[] => {
    const list = (q.attributes[name] as readonly number[] | undefined) ?? [0]
    if (!counts.includes(list.length))
      return [argumentProblem(q, name, 'pad-size', `pad cannot tell what ${list.length} numbers for ${name} mean`, hint)]
    const bad = list.find((n) => n < 0 || !Number.isInteger(n))
    return bad === undefined ? []
      : [
        argumentProblem(
          q,
          name,
          'pad-size',
          `${bad} is no number of rows, columns or channels to add`,
          'whole numbers, 0 or more; slice takes away',
        ),
      ]
  }
  return [
    ...wrong('size', [1, 2, 4], 'one goes all around, two are height and width, four top, bottom, left and right'),
    ...wrong('channels', [1, 2], 'one goes in front and behind, two are those in front and those behind'),
  ]
}

type Mode = 'constant' | 'reflect' | 'edge'
const modeOf = (attributes: Attributes): Mode => (attributes['mode'] as Mode | undefined) ?? 'constant'

/** What a frame mirrors must be there. */
function modeProblems(q: ShapeQuestion): Diagnostic[] {
  const mode = modeOf(q.attributes)
  if (mode === 'constant') return []
  if (q.attributeSpans['value'])
    return [argumentProblem(q, 'value', 'pad-value', `mode: ${mode} adds what the map holds, and no value`, 'leave value out, or mode')]
  if (mode === 'edge') return []
  const { shape } = q.inputs[0]!
  const { before, after } = marginsOf(q.attributes)
  const d = [1, 2, 3].find((axis) => Math.max(before[axis]!, after[axis]!) >= (shape[axis] as number))
  return d === undefined ? []
    : [
      argumentProblem(
        q,
        'size',
        'pad-reflect',
        `${Math.max(before[d]!, after[d]!)} ${['', 'channels', 'rows', 'columns'][d]} cannot be mirrored in ${shape[d] as number}`,
        'a mirrored frame is smaller than the map; mode: edge repeats its outermost row',
      ),
    ]
}

/** A part of a padded axis (or of its gradient): where it is, and where what it shows is read. */
interface Piece {
  readonly at: IndexLike
  readonly guards: readonly Guard[]
  readonly loop: readonly Axis[]
}

const piece = (at: IndexLike, guards: readonly Guard[] = [], loop: readonly Axis[] = []): Piece => ({ at, guards, loop })

/** The frame in front, the map and the frame behind, along one axis of the output. */
function framed(at: IndexLike, before: number, size: number, after: number, mode: Mode): Piece[] {
  if (before + after === 0) return [piece(at)]
  const inner = minus(at, before)
  return [
    piece(inner, [within(inner, size)]),
    ...(before > 0 ? [piece(mode === 'edge' ? 0 : minus(before, at), [within(at, before)])] : []),
    ...(after > 0 ? [piece(mode === 'edge' ? size - 1 : minus(2 * (size - 1), inner), [within(minus(inner, size), after)])] : []),
  ]
}

/** All places of a padded axis that show an element of the map. */
function shown(at: IndexLike, before: number, size: number, after: number, mode: Mode): Piece[] {
  const own = piece(plus(at, before))
  if (mode === 'reflect') {
    return [
      own,
      ...(before > 0 ? [piece(minus(before, at), [within(minus(at, 1), before)])] : []),
      ...(after > 0 ? [piece(minus(before + 2 * (size - 1), at), [within(minus(at, size - 1 - after), after)])] : []),
    ]
  }
  const [front, behind] = [axis('front', before), axis('behind', after)]
  return [
    own,
    ...(before > 0 ? [piece(front, [within(at, 1)], [front])] : []),
    ...(after > 0 ? [piece(plus(behind, before + size), [within(minus(at, size - 1), 1)], [behind])] : []),
  ]
}

/** The sum of all combinations of pieces along the three axes of a map. */
function pieced(node: Node, sizes: Shape, piecesOf: typeof framed): Equation {
  const x = node.inputs[0]!
  const { before, after } = marginsOf(node.attributes)
  return pointwise(node, (at) => {
    const [n, ...axes] = at as [Axis, ...Axis[]]
    const along = (i: number): Piece[] => piecesOf(axes[i]!, before[i + 1]!, sizes[i + 1] as number, after[i + 1]!, modeOf(node.attributes))
    const combinations = along(0).flatMap((c) => along(1).flatMap((h) => along(2).map((w) => [c, h, w])))
    return add(
      ...combinations.map((pieces) =>
        sum(pieces.flatMap(({ loop }) => loop), guard(pieces.flatMap(({ guards }) => guards), load(x, n, ...pieces.map((p) => p.at))))
      ),
    )
  })
}

/** x [n, C, H, W] in a frame. Diagnostics: shape/pad-rank, argument/pad-size, argument/pad-reflect, argument/pad-value. */
const pad: Operator = {
  name: 'pad',
  signature: {
    name: 'pad',
    parameters: [
      {
        name: 'size',
        type: { kind: 'numbers', integer: true },
        default: [0],
        doc: 'how much is added: one number all around, [height, width], or [top, bottom, left, right]',
      },
      { name: 'value', type: { kind: 'number' }, default: 0, named: true, doc: 'what is added' },
      {
        name: 'mode',
        type: { kind: 'word', words: ['constant', 'reflect', 'edge'] },
        default: 'constant',
        named: true,
        doc: 'what is added: the value; the map mirrored at its outermost pixels; its outermost pixels',
      },
      {
        name: 'channels',
        type: { kind: 'numbers', integer: true },
        default: [0, 0],
        named: true,
        doc: 'channels added in front and behind',
      },
    ],
    doc: 'puts a frame around a map',
  },
  traits: {
    initSeesThrough: true,
    idle: (attributes) => {
      const { before, after } = marginsOf(attributes)
      if ([...before, ...after].some((count) => count !== 0)) return []
      return ['value', 'mode'].map((name) => ({ name, by: 'size', value: '0', why: 'nothing is added' }))
    },
  },
  shape: (q) => {
    const wrong = [...mapProblems(q), ...marginProblems(q)]
    const problems = wrong.length > 0 ? wrong : modeProblems(q)
    if (problems.length > 0) return problems
    const { before, after } = marginsOf(q.attributes)
    return { shape: q.inputs[0]!.shape.map((dim, d) => (typeof dim === 'number' ? before[d]! + dim + after[d]! : dim)) }
  },
  equations: (node) => {
    const x = node.inputs[0]!
    if (modeOf(node.attributes) !== 'constant') return [pieced(node, x.shape, framed)]
    const { before } = marginsOf(node.attributes)
    return [pointwise(node, (at) => {
      const inner = at.map((a, d) => minus(a, before[d]!))
      return guard([1, 2, 3].map((d) => within(inner[d]!, x.shape[d]!)), load(x, ...inner), numberOf(node.attributes, 'value', 0))
    })]
  },
  gradient: (node, dy, build) => firstInputGradient(node, build, { op: 'pad_dx', inputs: [dy], attributes: node.attributes }),
}

/** dy without its frame; what the frame shows again is added. Input: dy. */
const padDx: Operator = {
  name: 'pad_dx',
  equations: (node) => {
    if (modeOf(node.attributes) !== 'constant') return [pieced(node, node.outputs[0]!.shape, shown)]
    const { before } = marginsOf(node.attributes)
    return [pointwise(node, (at) => load(node.inputs[0]!, ...at.map((a, d) => plus(a, before[d]!))))]
  },
}

export const padOperators: readonly Operator[] = [pad, padDx]
