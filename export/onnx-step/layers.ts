import type { Node, Value } from '../../compiler/graph/graph.ts'
import { type Expression, LOWEST } from '../../compiler/ir/expression.ts'
import type { Tensor } from '../../compiler/ir/tensor.ts'
import { fromEnd } from '../../compiler/ops/elementwise.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { type Pair, pairOf } from '../../compiler/ops/sliding-window.ts'
import type { EquationSurroundings } from './equations.ts'
import { couple, NO_PADS, type Pads, reachesFar, slide, spreadOver, type Windows, windowsOf } from './windows.ts'

/**
 * Operators that are written as one of ONNX, or as few, and not by their equations: above all those whose windows slide. Gives the value of the
 * node's output; undefined where its equations are the better way.
 */
export type Row = (node: Node, around: EquationSurroundings) => string | undefined

const groupsOf = ({ attributes }: Node): number => (attributes['groups'] as number | undefined) ?? 1
const kernelOf = (weight: Tensor): Pair => weight.shape.slice(2) as unknown as Pair

const weightsOf = ({ parameters: { weight, bias } }: Node, { nameOf }: EquationSurroundings): [string, string?] => [
  nameOf(weight!),
  ...(bias ? [nameOf(bias)] : []) as [string?],
]

const sliding: Row = (node, around) => {
  const x = node.inputs[0]!
  const windows = windowsOf(node, kernelOf(node.parameters['weight']!), x.shape, node.outputs[0]!.shape)
  return slide(around.nodes, windows, [around.nameOf(x), ...weightsOf(node, around)], groupsOf(node))
}

const spreading: Row = (node, around) => {
  const x = node.inputs[0]!
  const windows = windowsOf(node, kernelOf(node.parameters['weight']!), node.outputs[0]!.shape, x.shape)
  if (reachesFar(windows)) return undefined
  return spreadOver(around.nodes, windows, [around.nameOf(x), ...weightsOf(node, around)], groupsOf(node))
}

const coupling: Row = (node, { nodes, nameOf }) => {
  const [dense, strided] = node.inputs as readonly [Value, Value]
  const out = node.outputs[0]!
  const windows = windowsOf(node, kernelOf(out), dense.shape, strided.shape)
  const shapes = { weight: out.shape as readonly number[], map: strided.shape }
  return couple(nodes, windows, [nameOf(dense), nameOf(strided)], shapes, groupsOf(node))
}

// ---- pooling -----------------------------------------------------------------------------------------------------------

function poolWindows({ attributes }: Node, dense: Tensor, strided: Tensor): Windows {
  const whole: Pair = [dense.shape[2] as number, dense.shape[3] as number]
  const kernel = pairOf(attributes, 'kernel', whole)
  return windowsOf({ attributes: { ...attributes, stride: pairOf(attributes, 'stride', kernel) } }, kernel, dense.shape, strided.shape)
}

/** Runtimes refuse padding as large as the window. */
const isLarge = ({ slides, pads }: Windows): boolean => pads.some((pad, i) => pad >= slides[i % 2]!.kernel)
const isDilated = ({ slides }: Windows): boolean => slides.some(({ dilation }) => dilation > 1)
/** Whether an element lies in several windows. */
const overlaps = ({ slides }: Windows): boolean => slides.some(({ kernel, stride }) => kernel > stride)

const poolAttributes = ({ slides }: Windows, pads: Pads) => ({
  kernel_shape: slides.map(({ kernel }) => kernel),
  strides: slides.map(({ stride }) => stride),
  ...(pads.some((pad) => pad > 0) && { pads }),
})

const maxPool: Row = (node, { nodes, nameOf }) => {
  const x = node.inputs[0]!
  const windows = poolWindows(node, x, node.outputs[0]!)
  const large = isLarge(windows)
  const framed = large ? nodes.frame(nameOf(x), windows.pads, LOWEST) : nameOf(x)
  return nodes.add('MaxPool', [framed], {
    ...poolAttributes(windows, large ? NO_PADS : windows.pads),
    ...(isDilated(windows) && { dilations: windows.slides.map(({ dilation }) => dilation) }),
  })
}

/** The divisor in the equation of an average, over the elements of a window: what ONNX's average of padded windows has to be divided by. */
function share(divided: Expression, { slides: [rows, columns] }: Windows): Expression | undefined {
  const area = rows.kernel * columns.kernel
  const divisor: Expression = divided.kind === 'binary' && divided.op === 'div' ? divided.b : { kind: 'constant', value: 1 }
  if (divisor.kind === 'constant' && divisor.value === area) return undefined
  return { kind: 'binary', op: 'div', a: { kind: 'constant', value: area }, b: divisor }
}

/** The mean of windows with zeros around the map, times the ratio of the divisors. */
const avgPool: Row = (node, { nodes, nameOf, folding }) => {
  const [x, y] = [node.inputs[0]!, node.outputs[0]!]
  const windows = poolWindows(node, x, y)
  // Opset 19 alone dilates averages.
  if (isDilated(windows)) return undefined
  const [equation] = operators.get(node.op)!.equations(node)
  const ratio = share(equation!.stores[0]!.value, windows)
  const large = isLarge(windows)
  const mean = nodes.add('AveragePool', [large ? nodes.frame(nameOf(x), windows.pads) : nameOf(x)], {
    ...poolAttributes(windows, large ? NO_PADS : windows.pads),
    ...(!large && windows.pads.some((pad) => pad > 0) && { count_include_pad: 1 }),
  })
  if (!ratio) return mean
  const known = folding.of(ratio, (axes) => equation!.axes.filter((axis) => [...axes].includes(axis)))
  if (!known) return undefined
  if (known.axes.length === 0 && known.values[0] === 1) return mean
  const shape = equation!.axes.slice(2).map((axis) => (known.axes.includes(axis) ? axis.extent as number : 1))
  return nodes.add('Mul', [mean, nodes.numbers(known.values, known.axes.length === 0 ? [] : shape)])
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
  const map = spreadOver(nodes, windows, [each, unit], 1)
  return nodes.reshape(map, dx.shape.map((dim) => (dim === 'n' ? -1 : dim)))
}

/** A store for each part has no form of its own. */
const concat: Row = ({ inputs, outputs, attributes }, { nodes, nameOf }) => {
  const axis = fromEnd((attributes['axis'] as number | undefined) ?? 1, outputs[0]!.shape.length)
  return nodes.add('Concat', inputs.map(nameOf), { axis })
}

export const ROWS: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['conv', sliding],
  ['deconv_dx', sliding],
  ['deconv', spreading],
  ['conv_dx', spreading],
  ['conv_dweight', coupling],
  ['max_pool', maxPool],
  ['global_max_pool', maxPool],
  ['avg_pool', avgPool],
  ['global_avg_pool', avgPool],
  ['max_pool_dx', maxDx],
  ['concat', concat],
])
