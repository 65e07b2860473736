import type { Diagnostic } from '../../dsl/diagnostic.ts'
import { type Span, textOf } from '../../dsl/source.ts'
import type { LayerCall, Program } from '../../dsl/program.ts'
import { elementCount } from '../../bundle/sizes.ts'
import { NUMBERS } from '../../dsl/signature.ts'
import { showShape } from '../ir/tensor.ts'
import type { Graph, Node } from '../graph/graph.ts'
import type { Operator } from '../ops/operator.ts'
import { channelsLast } from '../ops/sliding-window.ts'
import { linearOf } from '../ops/traits.ts'

type Operators = ReadonlyMap<string, Operator>

/**
 * Warnings of numbers in the order of another framework, where they have a meaning here too: `input/channels-last`, `argument/order`, `argument/batch`, `argument/last-axis`. Only numbers that
 * are written without a name are doubted.
 */
export function foreignOrders(program: Program, graph: Graph, operators: Operators): Diagnostic[] {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]))
  return [
    ...channelsBehind(program),
    ...program.layers.flatMap((call) => {
      const node = nodes.get(call.name)
      return node
        ? [
          ...channelsFirst(call, node, operators),
          ...batchFirst(call, node, graph),
          ...axesAsNumbers(call, node),
          ...lastAxis(call, node, graph, operators),
        ] : []
    }),
  ]
}

const doubt = (code: string, span: Span, message: string, hint: string): Diagnostic => ({
  severity: 'warning',
  code,
  message,
  labels: [{ span, text: 'here' }],
  hint,
})

/** An integer that the text has without a name. */
function written(call: LayerCall, name: string): number | undefined {
  const span = call.attributeSpans[name]
  const text = span && textOf(span)
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

/** Warnings of `input image: f32[32, 32, 3]` that a convolution reads as 32 channels of maps of 32 x 3: Keras and TensorFlow.js have channels last. */
export const channelsBehind = ({ inputs, layers }: Program): Diagnostic[] =>
  inputs.flatMap(({ name, type, shape, batched, span }) => {
    const turned = shape.length === 3 ? channelsLast(['n', ...shape]) : undefined
    // What has a window reads maps.
    const reads = ({ attributes, inputs: [x] }: LayerCall): boolean =>
      attributes['kernel'] !== undefined && x?.kind === 'input' && x.name === name
    if (type !== 'f32' || !batched || !turned || !layers.some(reads)) return []
    return [doubt(
      'input/channels-last',
      span,
      `${name} has ${shape[0]} channels here, and maps of ${shape[1]} x ${shape[2]}`,
      `channels come first: f32[${turned.join(', ')}]; of pictures with channels last, transpose([0, 3, 1, 2]) brings them to the front`,
    )]
  })

/** A window and a stride that hardly anybody wants: `conv(3, 16, 3)`, which elsewhere are channels in, channels out, kernel. */
function channelsFirst(call: LayerCall, node: Node, operators: Operators): Diagnostic[] {
  const { op, inputs, attributes } = node
  const linear = linearOf(operators, node)
  if (!linear) return []
  const [kernel, stride] = [written(call, 'kernel'), written(call, 'stride')]
  const channels = inputs[0]?.shape[1]
  if (kernel === undefined || stride === undefined || attributes['out'] !== channels || kernel === stride) return []
  // Transposed convolutions enlarge by windows of twice their stride; by an even one, convolutions shrink so.
  const doubled = kernel === 2 * stride && (linear.weightLayout(attributes) === 'iohw' || stride % 2 === 0)
  const oddStride = stride >= 3 && stride % 2 === 1
  const likely = kernel > 1 && kernel < stride || kernel >= 6 && (kernel % 2 === 0 || oddStride) || kernel === 4 && oddStride
  if (!likely || doubled) return []
  const filters = (out: unknown, k: number): string => `${String(out)} filters of ${k} x ${k}`
  return [doubt(
    'argument/order',
    call.span,
    `${op}(${channels}, ${kernel}, ${stride}) has ${filters(channels, kernel)} that move by ${stride}`,
    `the channels that go in are known, and not said: ${op}(${kernel}, ${stride}) has ${
      filters(kernel, stride)
    }; write stride: ${stride} where it is meant so`,
  )]
}

/**
 * `reshape([-1, 10])`, where elsewhere -1 stands for the batch: -1 comes to 1, or fc takes all numbers of a sample in any case, or a map is cut where no
 * axis of it ends, so that elsewhere the batch would have grown.
 */
function batchFirst(call: LayerCall, node: Node, graph: Graph): Diagnostic[] {
  const dims = node.attributes['dims'] as readonly number[] | undefined
  const [x, y] = [node.inputs[0], node.outputs[0]]
  if (node.op !== 'reshape' || !dims || !x || !y || dims[0] !== -1 || dims.length < 2 || y.shape[0] !== 'n') return []
  const [first, ...others] = y.shape.slice(1) as readonly number[]
  const rest = others.join(', ')
  const warn = (what: string, mend: string): Diagnostic[] => [doubt(
    'argument/batch',
    call.attributeSpans['dims'] ?? call.span,
    `-1 comes to ${first} here, so that this gives ${showShape(y.shape)}${what}`,
    `the batch is not written: ${mend}; write reshape([${first}, ${rest}]) where it is meant so`,
  )]
  if (first === 1) return warn('', `reshape([${rest}])`)
  const all = elementCount(x.shape.slice(1))
  const part = elementCount(others)
  const inFull = graph.nodes.some(({ op, inputs, attributes }) => op === 'fc' && inputs[0] === y && attributes['axis'] === 1)
  const ends = x.shape.slice(1).map((_, d) => elementCount(x.shape.slice(d + 1)))
  if (!inFull && (x.shape.length < 4 || dims.length > 2 || ends.includes(part))) return []
  return warn(`; a sample has ${all} numbers, and not ${part}`, `flatten takes all ${all} of a sample`)
}

/** `softmax(axis: -1)` of maps: the width here, and channels where those are last, as in Keras. */
function lastAxis(call: LayerCall, { op, inputs: [x], name }: Node, graph: Graph, operators: Operators): Diagnostic[] {
  const { signature, traits } = operators.get(op)!
  const axis = signature?.parameters.find((parameter) => parameter.name === 'axis')
  const span = call.attributeSpans['axis']
  if (!span || !/^(axis:\s*)?-1$/.test(textOf(span)) || axis?.default !== 1 || axis.named || traits?.normalizesSamples) return []
  if (x?.shape.length !== 4 || x.shape[0] !== 'n' || graph.nodes.find(({ outputs }) => outputs[0] === x)?.op === 'transpose') return []
  return [doubt(
    'argument/last-axis',
    span,
    `${name} goes along the width of ${showShape(x.shape)}`,
    'channels are axis 1, which is taken where none is said; write axis: 3 where the width is meant',
  )]
}

/** `mean(x, 2, 3)`: elsewhere the numbers are axes, and here they are values whose mean with each of x is taken. */
function axesAsNumbers(call: LayerCall, { op, attributes, inputs }: Node): Diagnostic[] {
  const numbers = attributes[NUMBERS.values] as readonly number[] | undefined
  if (op !== 'mean' || !numbers || inputs.length !== 1) return []
  return [doubt(
    'argument/order',
    call.span,
    `mean takes the mean of each value and ${numbers.join(' and ')}: these are no axes`,
    `the mean along axes is reduce_mean([${numbers.join(', ')}], keep: false); of a whole map it is global_avg_pool`,
  )]
}
