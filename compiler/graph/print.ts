import type { Attribute } from '../../dsl/signature.ts'
import type { Initializer } from '../../bundle/format.ts'
import { showShape } from '../ir/tensor.ts'
import { UniqueNames } from '../unique-names.ts'
import type { Graph, Node, Value } from './graph.ts'
import { readsOf } from './query.ts'

/**
 * A graph as text, the same for the same graph: what `inspect --print graph` shows.
 *
 *     graph mnist
 *     input image: f32 [n, 1, 28, 28]
 *     parameter conv1.weight: [20, 1, 5, 5] in parameters at 0, starts uniform(-0.346, 0.346)
 *
 *     conv1 [n, 20, 24, 24] = conv(image, weight: conv1.weight; out: 20, kernel: [5, 5])
 *
 *     output prob = softmax_1
 */
export function printGraph(graph: Graph): string {
  const name = namer(graph)
  const node = (n: Node): string => printNode(n, name)
  const lines = [
    `graph ${graph.name}`,
    ...graph.inputs.map((input) => `input ${name(input)}: ${input.type} ${showShape(input.shape)}`),
    ...graph.parameters.map((entry) => {
      const { role, offset } = entry.value.storage!
      const rates = entry.trainable && (entry.rateMultiplier !== 1 || entry.decayMultiplier !== 1)
        ? `, lr_mult ${entry.rateMultiplier}, decay_mult ${entry.decayMultiplier}` : ''
      return `parameter ${entry.name}: ${showShape(entry.value.shape)} in ${role} at ${offset}, starts ${
        showInitializer(entry.initializer)
      }${rates}`
    }),
    ...(graph.prepare?.length ? ['', ...graph.prepare.map((n) => `prepare ${node(n)}`)] : []),
    ...(graph.nodes.length ? ['', ...graph.nodes.map(node)] : []),
    ...(graph.outputs.length ?
      [
        '',
        ...graph.outputs.map((out) =>
          `${out.role} ${out.name} = ${name(out.value)}${out.weight !== undefined && out.weight !== 1 ? `, weight ${out.weight}` : ''}`
        ),
      ] : []),
  ]
  return `${lines.join('\n')}\n`
}

function printNode(node: Node, name: (value: Value) => string): string {
  const reads = [...node.inputs.map(name), ...Object.entries(node.parameters).map(([role, value]) => `${role}: ${name(value)}`)]
  const attributes = Object.entries(node.attributes).map(([key, value]) => `${key}: ${showAttribute(value)}`)
  const call = `${node.op}(${[reads.join(', '), attributes.join(', ')].filter((part) => part !== '').join('; ')})`
  const makes = node.outputs.map((out) => `${name(out)} ${showShape(out.shape)}${showPlace(out)}`).join(', ')
  const absorbed = node.absorbed?.length ? `  // does ${[node.layer, ...node.absorbed].join(', ')}` : ''
  const same = node.outputs.length === 1 && name(node.outputs[0]!) === node.name
  return `${same ? '' : `${node.name}: `}${makes} = ${call}${absorbed}`
}

const showPlace = ({ storage }: Value): string => {
  if (!storage) return ''
  const buffer = storage.slot === undefined ? storage.role : `${storage.role}.${storage.slot}`
  return ` in ${buffer}${storage.role === 'prepared' || storage.role === 'input' ? '' : ` at ${storage.offset}`}`
}

export function showAttribute(value: Attribute): string {
  if (typeof value !== 'object') return String(value)
  if ('call' in value) {
    const args = Object.entries(value.args)
    return args.length === 0 ? value.call : `${value.call}(${args.map(([key, arg]) => `${key}: ${showAttribute(arg)}`).join(', ')})`
  }
  if ('unit' in value) return `${value.count} ${value.unit}`
  return `[${value.map(showAttribute).join(', ')}]`
}

const short = (value: number): string => String(Number(value.toPrecision(4)))

function showInitializer(init: Initializer): string {
  switch (init.kind) {
    case 'constant':
      return String(init.value)
    case 'uniform':
      return `uniform(${short(init.low)}, ${short(init.high)})`
    case 'gaussian':
      return `gaussian(${init.mean === 0 ? '' : `${short(init.mean)}, `}${short(init.deviation)})`
    case 'bilinear':
      return 'bilinear'
  }
}

/** Names of values: their own, with a number behind where two values have the same one. */
function namer(graph: Graph): (value: Value) => string {
  const names = new Map<Value, string>()
  const unique = new UniqueNames()
  const call = (value: Value): void => {
    if (names.has(value)) return
    names.set(value, unique.give(value.name, '#'))
  }
  graph.inputs.forEach(call)
  graph.parameters.forEach((entry) => call(entry.value))
  for (const node of [...(graph.prepare ?? []), ...graph.nodes]) [...readsOf(node), ...node.outputs].forEach(call)
  graph.outputs.forEach((out) => call(out.value))
  return (value) => names.get(value)!
}
