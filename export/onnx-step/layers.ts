import type { Node, Value } from '../../compiler/graph/graph.ts'
import type { Equation } from '../../compiler/ir/equation.ts'
import { constant, type Expression, LOWEST } from '../../compiler/ir/expression.ts'
import type { Tensor } from '../../compiler/ir/tensor.ts'
import { fromEnd } from '../../compiler/ops/elementwise.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { type Pair, pairOf } from '../../compiler/ops/sliding-window.ts'
import { nowhere } from '../../dsl/source.ts'
import type { EquationContext } from './equations.ts'
import { weightGradient, NO_PADS, type Pads, reachesFar, seenBy, convolve, convolveTransposedByTurned, convolveTransposed, type Windows,
  windowsOf } from './windows.ts'

/**
 * Operators that are written as one of ONNX, or as few, and not by their equations: above all those whose windows slide. Gives the value of the
 * node's output; undefined where its equations are the better way.
 */
export type Row = (node: Node, context: EquationContext) => string | undefined

const groupsOf = ({ attributes }: Node): number => (attributes['groups'] as number | undefined) ?? 1
const kernelOf = (weight: Tensor): Pair => weight.shape.slice(2) as unknown as Pair

const weightsOf = ({ parameters: { weight, bias } }: Node, { nameOf }: EquationContext): [string, string?] => [
  nameOf(weight!),
  ...(bias ? [nameOf(bias)] : []) as [string?],
]

const convolution: Row = (node, context) => {
  const x = node.inputs[0]!
  const windows = windowsOf(node, kernelOf(node.parameters['weight']!), x.shape, node.outputs[0]!.shape)
  return convolve(context.nodes, windows, [context.nameOf(x), ...weightsOf(node, context)], groupsOf(node))
}

const transposedConvolution: Row = (node, context) => {
  const x = node.inputs[0]!
  const windows = windowsOf(node, kernelOf(node.parameters['weight']!), node.outputs[0]!.shape, x.shape)
  const inputs = [context.nameOf(x), ...weightsOf(node, context)] as const
  const turned = convolveTransposedByTurned(
    context.nodes,
    windows,
    inputs,
    node.parameters['weight']!.shape as readonly number[],
    groupsOf(node),
  )
  return turned ?? (reachesFar(windows) ? undefined : convolveTransposed(context.nodes, windows, inputs, groupsOf(node)))
}

const weightGradientRow: Row = (node, { nodes, nameOf }) => {
  const [dense, strided] = node.inputs as readonly [Value, Value]
  const out = node.outputs[0]!
  const windows = windowsOf(node, kernelOf(out), dense.shape, strided.shape)
  const shapes = { weight: out.shape as readonly number[], map: strided.shape }
  return weightGradient(nodes, windows, [nameOf(dense), nameOf(strided)], shapes, groupsOf(node))
}

// ---- pooling -----------------------------------------------------------------------------------------------------------

function poolWindows({ attributes }: Node, dense: Tensor, strided: Tensor): Windows {
  const whole: Pair = [dense.shape[2] as number, dense.shape[3] as number]
  const kernel = pairOf(attributes, 'kernel', whole)
  return windowsOf({ attributes: { ...attributes, stride: pairOf(attributes, 'stride', kernel) } }, kernel, dense.shape, strided.shape)
}

/** Runtimes refuse padding as large as the window. */
const isLarge = ({ slides, pads }: Windows): boolean => pads.some((pad, i) => pad >= slides[i % 2]!.kernel)
const isDense = (slides: Windows['slides']): boolean => slides.every(({ dilation }) => dilation === 1)
/** Whether an element lies in several windows. */
const overlaps = ({ slides }: Windows): boolean => slides.some(({ kernel, stride }) => kernel > stride)

const poolAttributes = ({ slides }: Windows, pads: Pads) => ({
  kernel_shape: slides.map(({ kernel }) => kernel),
  strides: slides.map(({ stride }) => stride),
  ...(pads.some((pad) => pad > 0) && { pads }),
})

/** The layer and its gradient ask for one node. */
const maxPool: Row = (node, { nodes, nameOf }) => {
  const x = node.inputs[0]!
  const windows = poolWindows(node, x, node.outputs[0]!)
  const large = isLarge(windows)
  return nodes.add('MaxPool', [large ? nodes.frame(nameOf(x), windows.pads, LOWEST) : nameOf(x)], {
    ...poolAttributes(windows, large ? NO_PADS : windows.pads),
    ...(!isDense(windows.slides) && { dilations: windows.slides.map(({ dilation }) => dilation) }),
  })
}

/**
 * The position within its window of each maximum: the first in row order that equals it, as fusenet has it. MaxPool's own indices are not asked
 * for: onnxruntime's WebGPU has none.
 */
const maxPosition: Row = (node, context) => {
  const { nodes, nameOf } = context
  const x = node.inputs[0]!
  const { shape } = node.outputs[0]!
  const { slides, pads } = poolWindows(node, x, node.outputs[0]!)
  const framed = nodes.frame(nameOf(x), pads, LOWEST)
  const width = slides[1].kernel
  // One window, which may be large.
  if (isDense(slides) && shape[2] === 1 && shape[3] === 1) {
    const ends = slides.map(({ kernel }) => kernel)
    const whole = nodes.add('Slice', [framed, nodes.integers([0, 0]), nodes.integers(ends), nodes.integers([2, 3])])
    const rows = nodes.reshape(whole, [-1, x.shape[1] as number, 1, ends[0]! * ends[1]!])
    return nodes.add('Cast', [nodes.add('ArgMax', [rows], { axis: 3, keepdims: 1 })], { to: 1 })
  }
  const maxima = maxPool(node, context)!
  let position = nodes.number(0)
  for (let k = slides[0].kernel * width - 1; k >= 0; k--) {
    const seen = seenBy(nodes, slides, framed, shape, [Math.floor(k / width), k % width])
    position = nodes.add('Where', [nodes.add('Equal', [seen, maxima]), nodes.number(k), position])
  }
  return position
}

/** What the average of a window is divided by, where it is: a number, or one for each position of a row, a column or both, that broadcasts. */
function divisorsOf(
  x: Value,
  y: Value,
  { attributes }: Node,
  { folding }: EquationContext,
): { values: readonly number[]; shape: readonly number[] } | undefined {
  const node: Node = { name: '', op: 'avg_pool', layer: '', inputs: [x], parameters: {}, outputs: [y], attributes, span: nowhere }
  const [{ axes, stores }] = operators.get('avg_pool')!.equations(node) as [Equation]
  const { value } = stores[0]!
  const divisor: Expression = value.kind === 'binary' && value.op === 'div' ? value.b : constant(1)
  const known = folding.of(divisor, (some) => axes.filter((axis) => [...some].includes(axis)))
  if (!known) return undefined
  const shape = known.axes.length === 0 ? [] : axes.slice(2).map((axis) => (known.axes.includes(axis) ? axis.extent as number : 1))
  return { values: known.values, shape }
}

/** The mean of windows with zeros around the map, times the ratio of the divisors. */
const avgPool: Row = (node, context) => {
  const { nodes, nameOf } = context
  const [x, y] = [node.inputs[0]!, node.outputs[0]!]
  const windows = poolWindows(node, x, y)
  const divisors = divisorsOf(x, y, node, context)
  // Opset 19 alone dilates averages.
  if (!isDense(windows.slides) || !divisors) return undefined
  const large = isLarge(windows)
  const mean = nodes.add('AveragePool', [large ? nodes.frame(nameOf(x), windows.pads) : nameOf(x)], {
    ...poolAttributes(windows, large ? NO_PADS : windows.pads),
    ...(!large && windows.pads.some((pad) => pad > 0) && { count_include_pad: 1 }),
  })
  const area = windows.slides[0].kernel * windows.slides[1].kernel
  if (divisors.values.every((divisor) => divisor === area)) return mean
  return nodes.add('Mul', [mean, nodes.numbers(divisors.values.map((divisor) => area / divisor), divisors.shape)])
}

/** Each element's winners: dy where the element was the position that a window took, spread by a kernel a position. */
const maxDx: Row = (node, { nodes, nameOf }) => {
  const [dy, taken] = node.inputs as readonly [Value, Value]
  const dx = node.outputs[0]!
  const windows = poolWindows(node, dx, dy)
  if (!overlaps(windows) || reachesFar(windows)) return undefined
  const [rows, columns] = windows.slides
  const area = rows.kernel * columns.kernel
  const size = dy.shape.slice(2) as number[]
  const apart = (of: Tensor): string => nodes.reshape(nameOf(of), [-1, 1, ...size])
  const positions = nodes.numbers(Array.from({ length: area }, (_, k) => k), [area, 1, 1])
  const each = nodes.add('Where', [nodes.add('Equal', [apart(taken), positions]), apart(dy), nodes.number(0)])
  const unit = nodes.numbers(Array.from({ length: area * area }, (_, i) => (i % (area + 1) === 0 ? 1 : 0)), [
    area,
    1,
    rows.kernel,
    columns.kernel,
  ])
  const map = convolveTransposed(nodes, windows, [each, unit], 1)
  return nodes.reshape(map, dx.shape.map((dim) => (dim === 'n' ? -1 : dim)))
}

/** Each window's share of dy, spread by a kernel of ones. */
const avgDx: Row = (node, context) => {
  const { nodes, nameOf } = context
  const dy = node.inputs[0]!
  const dx = node.outputs[0]!
  const windows = poolWindows(node, dx, dy)
  const divisors = divisorsOf(dx, dy, node, context)
  if (!overlaps(windows) || reachesFar(windows) || !divisors) return undefined
  const shares = nodes.add('Div', [nameOf(dy), nodes.numbers(divisors.values, divisors.shape)])
  const [rows, columns] = windows.slides
  const ones = nodes.numbers(new Array<number>(rows.kernel * columns.kernel).fill(1), [1, 1, rows.kernel, columns.kernel])
  const map = convolveTransposed(nodes, windows, [nodes.reshape(shares, [-1, 1, ...dy.shape.slice(2) as number[]]), ones], 1)
  return nodes.reshape(map, dx.shape.map((dim) => (dim === 'n' ? -1 : dim)))
}

/** A store for each part has no form of its own. */
const concat: Row = ({ inputs, outputs, attributes }, { nodes, nameOf }) => {
  const axis = fromEnd((attributes['axis'] as number | undefined) ?? 1, outputs[0]!.shape.length)
  return nodes.add('Concat', inputs.map(nameOf), { axis })
}

export const ROWS: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['conv', convolution],
  ['deconv_dx', convolution],
  ['deconv', transposedConvolution],
  ['conv_dx', transposedConvolution],
  ['conv_dweight', weightGradientRow],
  ['max_pool', maxPool],
  ['global_max_pool', maxPool],
  ['max_pool_position', maxPosition],
  ['avg_pool', avgPool],
  ['global_avg_pool', avgPool],
  ['max_pool_dx', maxDx],
  ['avg_pool_dx', avgDx],
  ['concat', concat],
])
