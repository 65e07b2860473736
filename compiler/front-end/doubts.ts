import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Program } from '../../dsl/program.ts'
import type { Graph, Node, Value } from '../graph/graph.ts'
import { producers } from '../graph/query.ts'
import type { Operator } from '../ops/operator.ts'
import { allOperands } from '../ops/operands.ts'
import { traitsOf } from '../ops/traits.ts'
import { foreignOrders } from './foreign-orders.ts'
import { idleArguments } from './idle-arguments.ts'
import { trainingDoubts } from './training-doubts.ts'

/** Warnings of what can be computed and is hardly meant: `loss/applied-twice`, `loss/bounded-scores`, `loss/more-scores`, `loss/ignore-differs`, `argument/large-eps`, `argument/idle`, `argument/order`, `argument/batch`, `argument/last-axis`, `argument/division`, `argument/tiny`, `argument/picture-range`, and those of `trainingDoubts`. */
export function doubts(program: Program, graph: Graph, operators: ReadonlyMap<string, Operator>): Diagnostic[] {
  const makers = producers(graph)
  /** The node whose numbers a value has at test time, in whatever shape. */
  const makerOf = (value: Value): Node | undefined => {
    const node = makers.get(value)
    const { view, identityAtTest } = node ? traitsOf(operators, node) : {}
    return node && (view || identityAtTest) ? makerOf(node.inputs[0]!) : node
  }
  return [
    ...graph.nodes.flatMap((
      node,
    ) => [
      ...appliedTwice(node, makerOf, operators),
      ...boundedScores(node, makerOf, operators),
      ...moreScores(program, node, operators),
      ...largeEps(node, operators),
      ...divisionByZero(node),
    ]),
    ...idleArguments(program, graph, operators),
    ...foreignOrders(program, graph, operators),
    ...trainingDoubts(program),
    ...lostNumbers(program),
    ...ofBytes(program, graph),
    ...program.inputs.flatMap(({ name, classes }) => (classes === undefined ? [] : ignoreDiffers(name, classes, graph, operators))),
  ]
}

/** A loss that takes scores gets what it would make of them itself: softmax of a softmax hardly tells classes apart, so that little is learned. */
function appliedTwice(
  node: Node,
  makerOf: (value: Value) => Node | undefined,
  operators: ReadonlyMap<string, Operator>,
): Diagnostic[] {
  const { applies } = traitsOf(operators, node)
  const before = node.inputs[0] && makerOf(node.inputs[0])
  if (applies === undefined || before?.op !== applies) return []
  return [{
    severity: 'warning',
    code: 'loss/applied-twice',
    message: `${node.op} takes scores and computes ${applies} of them itself, and ${before.name} is a ${applies} already`,
    labels: [{ span: node.span, text: `a second ${applies} here` }, { span: before.span, text: 'the first one' }],
    hint: `give ${node.op} what goes into ${before.name}; an output of the ${applies} may stay beside it`,
  }]
}

/** Scores out of a function with bounds, by which a loss never gets small: an activation behind the last layer, out of habit. */
function boundedScores(
  node: Node,
  makerOf: (value: Value) => Node | undefined,
  operators: ReadonlyMap<string, Operator>,
): Diagnostic[] {
  const { wantsScores, applies } = traitsOf(operators, node)
  const before = node.inputs[0] && makerOf(node.inputs[0])
  if (!wantsScores || !before || before.op === applies) return []
  const [least, most] = traitsOf(operators, before).bounds?.(before.attributes) ?? [-Infinity, Infinity]
  if (least <= wantsScores[0] && most >= wantsScores[1]) return []
  return [{
    severity: 'warning',
    code: 'loss/bounded-scores',
    message: `${node.op} takes scores of any size, and ${before.op} gives none ${
      [...(least === -Infinity ? [] : [`below ${least}`]), ...(most === Infinity ? [] : [`above ${most}`])].join(' or ')
    }`,
    labels: [{ span: node.span, text: 'here' }, { span: before.span, text: 'scores are bounded here' }],
    hint: `give ${node.op} what goes into ${before.name}; -> mul(1) between them says that it is meant`,
  }]
}

/** Scores of more classes than a label names: some are never right. */
function moreScores(program: Program, node: Node, operators: ReadonlyMap<string, Operator>): Diagnostic[] {
  const [scores, labels] = node.inputs
  if (!traitsOf(operators, node).comparesLabels || !scores || !labels) return []
  const classes = program.inputs.find(({ name }) => name === labels.name)?.classes
  const channels = scores.shape[1]
  if (classes === undefined || typeof channels !== 'number' || channels <= classes) return []
  return [{
    severity: 'warning',
    code: 'loss/more-scores',
    message: `${node.op} gets ${channels} scores for the ${classes} classes of ${labels.name}: the last ${
      channels - classes === 1 ? 'is' : `${channels - classes} are`
    } never right`,
    labels: [{ span: node.span, text: 'here' }, { span: scores.madeAt, text: `${channels} scores` }, {
      span: labels.madeAt,
      text: `${classes} classes`,
    }],
    hint:
      `give the layer that makes the scores ${classes} outputs, or write class[${channels}]; positions that do not count need no class of their own (ignore)`,
  }]
}

/** A label that is no class, and that one reader passes over and another does not: data with it are refused, since the other has no score for it. */
function ignoreDiffers(name: string, classes: number, graph: Graph, operators: ReadonlyMap<string, Operator>): Diagnostic[] {
  const readers = graph.nodes.filter(({ inputs }) => inputs[1]?.name === name && inputs[1].type === 'i32')
  const ignoreOf = ({ attributes }: Node): unknown => attributes['ignore']
  const preset = ({ op }: Node): unknown => operators.get(op)?.signature?.parameters.find((p) => p.name === 'ignore')?.default
  const isClass = (label: unknown): boolean => typeof label !== 'number' || (label >= 0 && label < classes)
  for (const node of readers) {
    const ignore = ignoreOf(node)
    const other = readers.find((reader) => ignoreOf(reader) !== ignore)
    if (!other || isClass(ignore) || ignore === preset(node)) continue
    const takes = preset(other) !== undefined
    return [{
      severity: 'warning',
      code: 'loss/ignore-differs',
      message: `${node.op} passes over the label ${ignore} of ${name}, and ${other.op} does not: such labels are refused`,
      labels: [{ span: other.span, text: 'no score is that of this label here' }, {
        span: node.span,
        text: `label ${ignore} is ignored here`,
      }],
      hint: takes ? `write ignore: ${ignore} in ${other.op}, too` : `${other.op} ignores no labels: give it an input of its own`,
    }]
  }
  return []
}

/**
 * An eps from 1 on is more than the variance of what is normalized, as a rule. Elsewhere the number of channels stands where eps does here: in
 * `batch_norm(64)` and `group_norm(4, 64)`.
 */
function largeEps(node: Node, operators: ReadonlyMap<string, Operator>): Diagnostic[] {
  const { eps } = node.attributes
  const takesIt = operators.get(node.op)?.signature?.parameters.some((p) => p.name === 'eps')
  if (!takesIt || typeof eps !== 'number' || eps < 1) return []
  const input = node.inputs[0]!
  return [{
    severity: 'warning',
    code: 'argument/large-eps',
    message: `${node.op} adds ${eps} to the variance: that is its eps`,
    labels: [{ span: node.span, text: 'here' }],
    hint: eps === input.shape[1] ? `the ${eps} channels are known from what it reads: leave the number out` : 'eps is small, e.g. 1e-5',
  }]
}

/** What is divided by a 0 of the text: an infinity or no number, which WGSL leaves open. */
function divisionByZero(node: Node): Diagnostic[] {
  const divisor = node.op === 'div' ? allOperands(node)[1] : undefined
  if (!divisor || !('number' in divisor) || divisor.number !== 0) return []
  return [{
    severity: 'warning',
    code: 'argument/division',
    message: `${node.name} divides by 0: no result of it is finite`,
    labels: [{ span: node.span, text: 'here' }],
    hint: 'divide by another number',
  }]
}

/** Numbers of the text that are 0 in float32, as an eps of 1e-50: what they are there for does not happen. */
const lostNumbers = ({ layers }: Program): Diagnostic[] =>
  layers.flatMap(({ name, attributes, attributeSpans, span }) =>
    Object.entries(attributes).flatMap(([argument, value]) =>
      numbersIn(value).filter((number) => number !== 0 && Math.fround(number) === 0).map((number): Diagnostic => ({
        severity: 'warning',
        code: 'argument/tiny',
        message: `${number} in ${name} is 0 in float32, in which nets are computed`,
        labels: [{ span: attributeSpans[argument] ?? span, text: 'here' }],
        hint: 'the smallest number that all devices tell from 0 is 1.2e-38',
      }))
    )
  )

/** Numbers of an argument, of a list, or of the arguments of a call such as `gaussian(0.1)`. */
const numbersIn = (value: unknown): number[] =>
  typeof value === 'number' ? [value] : typeof value === 'object' && value !== null ? Object.values(value).flatMap(numbersIn) : []

/** Data sets whose pictures are 0..1. */
const PICTURES = ['mnist', 'fashion_mnist', 'cifar10', 'images', 'idx']

/** `normalize(mean: [104, 117, 123])` of what are pictures, or a `std` of such: by three numbers, or by the data. Theirs are 0..1, and elsewhere often 0..255. */
function ofBytes({ inputs, train }: Program, graph: Graph): Diagnostic[] {
  // A std of 256 / 255 or 2 changes little.
  const ofByte = (least: number) => (v: number): boolean => v > least && v <= 256
  return graph.nodes.flatMap((node): Diagnostic[] => {
    const { mean, std } = node.attributes as Readonly<Record<string, readonly number[] | undefined>>
    const input = inputs.find(({ name, type }) => name === node.inputs[0]?.name && type === 'f32')
    const [large, divided] = [mean?.every(ofByte(1)), std?.every(ofByte(2))]
    if (!mean || !std || !input || !(large || (divided && mean.every((m) => Math.abs(m) <= 1)))) return []
    const [channels] = input.shape
    const ofColours = channels === 3 && (mean.length === 3 || std.length === 3)
    if (input.shape.length !== 3 || !(PICTURES.includes(train?.data?.call ?? '') || ofColours)) return []
    const by = (list: readonly number[], whole: number): string => `[${list.map((v) => Number((v / whole).toPrecision(4))).join(', ')}]`
    // A std below 1 is one of 0..1; 1 itself leaves bytes as they are.
    const mended = [...(large ? [`mean: ${by(mean, 255)}`] : []), `std: ${by(std, std.every((s) => s < 1) ? 1 : 255)}`].join(', ')
    return [{
      severity: 'warning',
      code: 'argument/picture-range',
      message: `${node.op} ${
        large ? `subtracts ${mean.join(', ')} from` : `divides by ${std.join(', ')} what it takes of`
      } ${input.name}, and pictures come as 0..1`,
      labels: [{ span: node.span, text: 'here' }],
      hint: `write ${mended}; where ${input.name} is not 0..1, -> mul(1) in front says so`,
    }]
  })
}
