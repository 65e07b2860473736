import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Attributes } from '../../dsl/signature.ts'
import { guard, load, within } from '../ir/expression.ts'
import { minus, plus } from '../ir/affine.ts'
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

/** x [n, C, H, W] in a frame of one value. Diagnostics: shape/pad-rank, argument/pad-size. */
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
        name: 'channels',
        type: { kind: 'numbers', integer: true },
        default: [0, 0],
        named: true,
        doc: 'channels added in front and behind',
      },
    ],
    doc: 'puts a frame around a map',
  },
  traits: { initSeesThrough: true },
  shape: (q) => {
    const problems = [...mapProblems(q), ...marginProblems(q)]
    if (problems.length > 0) return problems
    const { before, after } = marginsOf(q.attributes)
    return { shape: q.inputs[0]!.shape.map((dim, d) => (typeof dim === 'number' ? before[d]! + dim + after[d]! : dim)) }
  },
  equations: (node) => {
    const x = node.inputs[0]!
    const { before } = marginsOf(node.attributes)
    return [pointwise(node, (at) => {
      const inner = at.map((a, d) => minus(a, before[d]!))
      return guard([1, 2, 3].map((d) => within(inner[d]!, x.shape[d]!)), load(x, ...inner), numberOf(node.attributes, 'value', 0))
    })]
  },
  gradient: (node, dy, build) => firstInputGradient(node, build, { op: 'pad_dx', inputs: [dy], attributes: node.attributes }),
}

/** dy without its frame. Input: dy. */
const padDx: Operator = {
  name: 'pad_dx',
  equations: (node) => {
    const { before } = marginsOf(node.attributes)
    return [pointwise(node, (at) => load(node.inputs[0]!, ...at.map((a, d) => plus(a, before[d]!))))]
  },
}

export const padOperators: readonly Operator[] = [pad, padDx]
