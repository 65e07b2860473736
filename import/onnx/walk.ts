import { ImportError, type ImportProblem } from '../import-error.ts'
import type { ModelLayer, Note } from '../model-net.ts'
import { labelOf, NodeRefused, OnnxNode, type NetUnderWay } from './node.ts'
import { onnxOperators, operatorIn } from './operators/table.ts'
import type { AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, ValueInfoProto } from './proto.ts'
import { storedTensor, type TensorFiles } from './tensor-data.ts'
import { shapeOf, UNKNOWN, type Value } from './value.ts'
import { showDimensions } from './dimension.ts'
import { placedSamples, samplesAfter, together } from './operators/moved.ts'
import { quoted } from '../../bundle/quoted.ts'

interface WalkOptions {
  /** What names stand for: inputs and initializers, and then all that nodes make. */
  readonly values: Map<string, Value>
  readonly files: TensorFiles
  readonly declaredBatch: number | undefined
  readonly notes: Note[]
  readonly problems: ImportProblem[]
  readonly fileSize: number
  readonly isRead: (name: string) => boolean
  readonly progress?: (done: number) => void
  /** Filled: the shape of a sample of every value that a layer makes. */
  readonly shapes: Map<string, readonly number[]>
}

/** Nodes that are gone through: those of the model's graph, of a function's body, of a branch. */
interface Frame {
  readonly nodes: readonly NodeProto[]
  next: number
  readonly values: Map<string, Value>
  readonly around?: Frame
  readonly opsets: ReadonlyMap<string, number>
  /** Names in front of those of its nodes: the call's own. */
  readonly prefix: string
  /** What is done when all are through. */
  readonly end?: () => void
}

/** Calls within calls. */
const MOST_DEPTH = 64
/** Inputs or outputs of one node. */
const MOST_INPUTS = 4096
/** Nodes of functions and branches, written out. */
const MOST_NODES = 1 << 18

/** Goes through nodes one after the other and gives the layers that they become; problems and notes go to `options`. */
export function walkGraph(model: ModelProto, nodes: readonly NodeProto[], options: WalkOptions): readonly ModelLayer[] {
  const { values, problems, notes } = options
  const layers: ModelLayer[] = []
  const taken = new Set<string>(values.keys())
  const functions = new Map(model.functions.map((f) => [functionKey(f.domain, f.name, f.overload), f]))
  const declared = new Map<string, ValueInfoProto>([...model.graph.values, ...model.graph.outputs].map((info) => [info.name, info]))
  const stack: Frame[] = [{ nodes, next: 0, values, opsets: model.opsets, prefix: '' }]
  let count = 0

  const lookUp = (name: string): Value | undefined => {
    for (let frame: Frame | undefined = stack.at(-1)!; frame; frame = frame.around) {
      const value = frame.values.get(name)
      if (value) return value
    }
    return undefined
  }
  const net: NetUnderWay = {
    layers,
    shapes: options.shapes,
    notes,
    producer: model.producer,
    owners: new Map(),
    comparisons: new Map(),
    declaredBatch: options.declaredBatch,
    mostFolded: Math.max(1 << 20, options.fileSize),
    freshName: (wish) => {
      let name = wish
      for (let i = 2; taken.has(name); i++) name = `${wish}_${i}`
      taken.add(name)
      return name
    },
    tensorConstant: (proto) => {
      const { shape, type, values: numbers } = storedTensor(proto, options.files)
      return { kind: 'constant', shape, type, values: numbers, name: proto.name, learned: false }
    },
    lookUp,
    // What functions and branches make may be read by them.
    isRead: (name) => stack.length > 1 || options.isRead(name),
  }

  while (stack.length > 0) {
    const frame = stack.at(-1)!
    if (frame.next === frame.nodes.length) {
      frame.end?.()
      stack.pop()
      continue
    }
    if (++count > MOST_NODES)
      throw new ImportError([...problems, { where: '', what: `more than ${MOST_NODES} nodes, functions written out` }])
    if (stack.length === 1 && count % 256 === 0) options.progress?.(frame.next / frame.nodes.length)
    const proto = named(frame.nodes[frame.next++]!, frame.prefix)
    try {
      enter(proto, frame)
    } catch (error) {
      tell(proto, error)
      for (const name of proto.outputs) if (name) frame.values.set(name, fallback(name, frame))
    }
  }
  return layers

  function tell(proto: NodeProto, error: unknown): void {
    if (error instanceof ImportError) problems.push(...error.problems)
    else if (error instanceof NodeRefused)
      problems.push({ where: labelOf(proto), what: error.message, ...(error.mend && { mend: error.mend }) })
    else throw error
  }

  /** What is known of a value whose node is refused: its shape, where the model tells it, so that later nodes are judged too. */
  function fallback(name: string, frame: Frame): Value {
    const shape = frame.prefix === '' ? declared.get(name)?.shape : undefined
    const dims = shape?.slice(1)
    if (!shape?.length || !dims!.every((dim) => typeof dim === 'number' && dim > 0)) return UNKNOWN
    return { kind: 'tensor', name: net.freshName(name), dims: dims as number[], type: 'float' }
  }

  function enter(proto: NodeProto, frame: Frame): void {
    if (proto.inputs.length > MOST_INPUTS || proto.outputs.length > MOST_INPUTS)
      throw new NodeRefused(`it has ${proto.inputs.length} inputs and ${proto.outputs.length} outputs`)
    const again = proto.outputs.find((name, i) => name && (frame.values.has(name) || proto.outputs.indexOf(name) !== i))
    if (again)
      throw new NodeRefused(`it makes ${again}, which is there already`, 'every value of a model is made once: the file is damaged')
    const inputs = proto.inputs.map((name) => {
      if (!name) return undefined
      const value = lookUp(name)
      if (!value)
        throw new NodeRefused(`it reads ${name}, which nothing before it makes`, 'the file is damaged: its nodes are not in order')
      return value
    })
    const called = functions.get(functionKey(proto.domain, proto.opType, proto.overload))
    if (called) return call(proto, called, inputs, frame)
    if (proto.domain !== '')
      throw new NodeRefused(`the operator set ${proto.domain} is not ONNX's own`, cutBefore(proto, inputs))
    const opset = frame.opsets.get('') ?? model.opsets.get('') ?? 0
    const operator = operatorIn(proto.opType, opset)
    if (proto.opType !== 'If' && !operator)
      throw new NodeRefused(
        onnxOperators.has(proto.opType) ? `opset ${opset} has no ${proto.opType}` : 'no layer of the language computes it',
        cutBefore(proto, inputs),
      )
    for (const value of inputs) if (value?.kind === 'unknown' && value.why) throw new NodeRefused(`it reads ${value.why}`)
    if (inputs.some((value) => value?.kind === 'unknown')) {
      for (const name of proto.outputs) if (name) frame.values.set(name, fallback(name, frame))
      return
    }
    const node = new OnnxNode(proto, opset, inputs, net)
    if (proto.opType !== 'DequantizeLinear' && inputs.some((value) => value?.kind === 'tensor' && value.quantized !== undefined))
      node.refuse('it computes with quantized numbers', 'import the net before it was quantized')
    if (proto.opType === 'If') return branch(node, frame)
    together(node)
    const tensors = node.inputs.filter((value) => value?.kind === 'tensor')
    const moved = tensors.filter((x) => x.samples)
    if (moved.length > 0 && moved.length < tensors.length)
      node.refuse(
        `the batch lies differently in ${tensors.map((x) => showDimensions(shapeOf(x))).join(' and ')}`,
        'keep the batch as the first axis in the model',
      )
    const samples = moved.length > 0 && moved.length === tensors.length ? samplesAfter(node, moved) : undefined
    if (tensors.some((x) => x.bare) && (operator!.batched || !tensors.every((x) => x.bare)))
      node.refuse(
        operator!.batched ? 'its input has no axis for the batch' : 'one operand has an axis for the batch, and another has none',
        'keep the batch as the first axis in the model',
      )
    const constants = inputs.every((value) => !value || value.kind === 'constant')
    if (constants && operator!.fold) operator!.fold(node)
    else if (constants && inputs.length > 0)
      node.refuse(
        `it is computed from constants, which ${proto.opType} is not here`,
        'export the model with constants folded, or simplify it by onnxsim',
      )
    else if (operator!.map) operator!.map(node)
    else node.refuse(
        'it is computed from the inputs, and no layer of the language computes it',
        cutBefore(proto, inputs),
      )
    proto.outputs.forEach((name, i) => {
      if (!name) return
      const result = node.results[i]
      const value = result?.kind === 'tensor' && samples ? placedSamples(node, result, moved[0]!, samples) : result
      frame.values.set(name, value ?? { kind: 'unknown', why: `${name}, output ${i + 1} of ${node.label}, cannot be had` })
    })
  }

  /** The nodes of a function of the model in place of its call. */
  function call(proto: NodeProto, called: FunctionProto, inputs: readonly (Value | undefined)[], frame: Frame): void {
    if (stack.length > MOST_DEPTH) throw new NodeRefused('functions that call one another without an end')
    const given = new Map([...called.defaults, ...proto.attributes].map((attribute) => [attribute.name, attribute]))
    const inner = new Map<string, Value>()
    called.inputs.forEach((name, i) => inputs[i] && inner.set(name, inputs[i]))
    push({
      nodes: called.nodes.map((node) => ({
        ...node,
        inputs: node.inputs.map((name) => (called.inputs.includes(name) && !inner.has(name) ? '' : name)),
        attributes: node.attributes.flatMap((attribute) => bound(attribute, given)),
      })),
      next: 0,
      values: inner,
      opsets: called.opsets.size ? called.opsets : frame.opsets,
      prefix: `${proto.name || proto.outputs[0]}/`,
      end: () => called.outputs.forEach((name, i) => proto.outputs[i] && frame.values.set(proto.outputs[i], inner.get(name) ?? UNKNOWN)),
    })
  }

  /** If with a constant condition: the nodes of one branch. */
  function branch(node: OnnxNode, frame: Frame): void {
    const condition = node.constant(0, 'the condition')
    const graph = node.graphAttribute(
      node.dimensions(0, 'the condition').every((v) => v !== 0) && condition.shape.every((dim) => dim === 1) ? 'then_branch'
        : 'else_branch',
    )
    if (!graph) return node.refuse('a branch is missing')
    if (stack.length > MOST_DEPTH) return node.refuse('branches within branches')
    const inner = initializersOf(graph)
    const made: Frame = {
      nodes: graph.nodes,
      next: 0,
      values: inner,
      around: frame,
      opsets: frame.opsets,
      prefix: frame.prefix,
      end: () => node.proto.outputs.forEach((name, i) => name && frame.values.set(name, lookUp(graph.outputs[i]?.name ?? '') ?? UNKNOWN)),
    }
    push(made)
  }

  function push(frame: Frame): void {
    stack.push(frame)
  }

  function initializersOf(graph: GraphProto): Map<string, Value> {
    return new Map(graph.initializers.map((proto) => [proto.name, { ...net.tensorConstant(proto), learned: true }]))
  }
}

/** How to leave a node out: the values that it reads as outputs. */
function cutBefore(proto: NodeProto, inputs: readonly (Value | undefined)[]): string {
  const names = [...new Set(proto.inputs.filter((_, i) => inputs[i]?.kind === 'tensor'))]
  return `cut the net in front of it${names.length ? `: --outputs ${quoted(names.join(','))}` : ' with --outputs'}`
}

const functionKey = (domain: string, name: string, overload: string): string => `${domain}\n${name}\n${overload}`

/** A node of a function has the call's name in front of its own. */
const named = (proto: NodeProto, prefix: string): NodeProto => (prefix && proto.name ? { ...proto, name: prefix + proto.name } : proto)

/** An attribute within a function: its own, or that of the call under its name. */
function bound(attribute: AttributeProto, given: ReadonlyMap<string, AttributeProto>): AttributeProto[] {
  if (!attribute.reference) return [attribute]
  const value = given.get(attribute.reference)
  return value ? [{ ...value, name: attribute.name }] : []
}
