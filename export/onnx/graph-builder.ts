import type { Graph, Node, Value } from '../../compiler/graph/graph.ts'
import { producers, readers } from '../../compiler/graph/query.ts'
import { UniqueNames } from '../../compiler/unique-names.ts'
import type { ExportProblem } from '../export-error.ts'
import type { InferenceNet, NetTensor } from '../inference-net.ts'
import type { Layer } from './layer.ts'
import type { StoredTensor } from '../streamed.ts'
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxValue } from './model.ts'

/** The name of the dimension that is open: how many samples come at a time. */
const BATCH = 'N'

/** Gathers the graph of an ONNX model: nodes, initializers, names. Names of values are unique, and so are those of nodes. */
export class GraphBuilder {
  readonly problems: ExportProblem[] = []
  readonly notes: string[] = []
  private readonly net: InferenceNet
  private readonly opset: number
  private readonly valueNames = new UniqueNames()
  private readonly nodeNames = new UniqueNames()
  private readonly names = new Map<Value, string>()
  private readonly readers: ReadonlyMap<Value, readonly Node[]>
  private readonly producers: ReadonlyMap<Value, Node>
  private readonly nodes: OnnxNode[] = []
  private readonly initializers: StoredTensor[] = []
  private readonly values: OnnxValue[] = []
  private readonly tensorNames = new Map<NetTensor, string>()
  private readonly written = new Map<NetTensor, Map<string, string>>()

  constructor(net: InferenceNet, opset: number) {
    this.net = net
    this.opset = opset
    this.readers = readers(net.graph)
    this.producers = producers(net.graph)
    const { graph, inputs } = net
    for (const input of inputs) this.names.set(input, this.valueNames.give(input.name))
    // A layer `parameter` makes no node: its value is an initializer.
    const made = new Set(graph.nodes.flatMap(({ op, outputs }) => (op === 'parameter' ? [] : outputs)))
    // A value has the name of the first output that it is.
    for (const { name, value } of graph.outputs) {
      if (!made.has(value) || this.names.has(value)) continue
      this.names.set(value, this.give(name))
    }
    // Names of files of weights stay; those of layers are between them.
    for (const tensor of this.net.tensors.values()) this.tensorNames.set(tensor, this.valueNames.give(tensor.name))
    for (const value of made) if (!this.names.has(value)) this.names.set(value, this.valueNames.give(value.name))
  }

  private give(name: string): string {
    const given = this.valueNames.give(name)
    if (given !== name) this.notes.push(`the output ${name} is called ${given}: an input has its name`)
    return given
  }

  /** A layer of the net, whose row adds nodes. */
  layer(node: Node): Layer {
    const name = this.nodeNames.give(node.layer)
    const [output] = node.outputs as [Value]
    let hasMain = false
    const own = (suffix: string): string => this.valueNames.give(`${name}.${suffix}`)
    const tensor = (role: string): NetTensor => this.net.tensors.get(node.parameters[role]!)!
    return {
      node,
      attributes: node.attributes,
      opset: this.opset,
      shapes: node.inputs.map(({ shape }) => shape),
      shape: output.shape,
      readers: this.readers.get(output) ?? [],
      producer: this.producers.get(node.inputs[0]!),
      input: (i = 0) => this.nameOf(node.inputs[i]!),
      has: (role) => node.parameters[role] !== undefined,
      parameter: (role, { shape, transposed = false } = {}) => this.parameter(tensor(role), shape, transposed),
      values: (role) => tensor(role).values(),
      numbers: (suffix, values, shape = values.length === 1 ? [] : [values.length]) =>
        this.constant(`${name}.${suffix}`, { name: own(suffix), type: 'f32', shape, values: () => Float32Array.from(values) }),
      integers: (suffix, values) =>
        this.constant(`${name}.${suffix}`, { name: own(suffix), type: 'i64', shape: [values.length], values: () => values }),
      add: (suffix, op, inputs, attributes, isMain = false) => {
        const value = own(suffix)
        this.node(isMain ? name : this.nodeNames.give(`${name}.${suffix}`), op, inputs, value, attributes)
        hasMain ||= isMain
        return value
      },
      done: (op, inputs, attributes) => {
        this.node(hasMain ? this.nodeNames.give(`${name}.${op.toLowerCase()}`) : name, op, inputs, this.nameOf(output), attributes)
        this.values.push({ name: this.nameOf(output), type: 'f32', shape: openShape(output) })
      },
      note: (text) => {
        this.notes.push(`${node.layer}: ${text}`)
      },
      fail: (what, mend) => {
        this.problems.push({ where: node.layer, what, ...(mend !== undefined && { mend }) })
      },
    }
  }

  /** Says that a layer's output is one of its parameters: `parameter`. */
  alias(node: Node, role: string): void {
    this.names.set(node.outputs[0]!, this.parameter(this.net.tensors.get(node.parameters[role]!)!))
  }

  finish(): OnnxGraph {
    const { graph, inputs } = this.net
    const outputs = graph.outputs.map((output) => this.output(output))
    const isResult = new Set(outputs.map(({ name }) => name))
    return {
      name: graph.name,
      nodes: this.nodes,
      initializers: this.initializers,
      inputs: inputs.map((input) => this.valueOf(input, this.nameOf(input))),
      outputs,
      values: this.values.filter(({ name }) => !isResult.has(name)),
    }
  }

  private readonly named = new Set<string>()

  /** An output: a value that has its name, or a copy, where it is an input, a parameter, or has another output's name. */
  private output({ name, value }: Graph['outputs'][number]): OnnxValue {
    const own = this.nameOf(value)
    const isMade = this.nodes.some(({ outputs }) => outputs.includes(own))
    if (isMade && !this.named.has(own)) {
      this.named.add(own)
      return this.valueOf(value, own)
    }
    const copy = this.give(name)
    this.node(this.nodeNames.give(name), 'Identity', [own], copy)
    return this.valueOf(value, copy)
  }

  private valueOf(value: Value, name: string): OnnxValue {
    return { name, type: value.type === 'i32' ? 'i32' : 'f32', shape: openShape(value) }
  }

  private nameOf(value: Value): string {
    const known = this.names.get(value)
    if (known === undefined) throw new Error(`${value.name} is read before it is made`)
    return known
  }

  private node(name: string, op: string, inputs: readonly string[], output: string, attributes: Record<string, OnnxAttribute> = {}): void {
    this.nodes.push({ name, op, inputs, outputs: [output], attributes })
  }

  /** Numbers of the text are no initializers, which are what a net has learned. */
  private constant(name: string, tensor: StoredTensor): string {
    this.node(this.nodeNames.give(name), 'Constant', [], tensor.name, { value: { tensor } })
    return tensor.name
  }

  private initializer(tensor: StoredTensor): string {
    this.initializers.push(tensor)
    return tensor.name
  }

  /** A tensor of the net, once for each form in which it is read. The first has the tensor's name. */
  private parameter(tensor: NetTensor, shape: readonly number[] = tensor.shape, transposed = false): string {
    const forms = this.written.get(tensor) ?? new Map<string, string>()
    this.written.set(tensor, forms)
    const form = transposed ? 'transposed' : shape.join()
    const known = forms.get(form)
    if (known !== undefined) return known
    const own = this.tensorNames.get(tensor)!
    const name = forms.size === 0 ? own : this.valueNames.give(`${own}.${forms.size}`)
    forms.set(form, name)
    const values = transposed ? () => exchanged(tensor) : tensor.values
    return this.initializer({ name, type: 'f32', shape: transposed ? [...shape].reverse() : shape, values })
  }
}

/** A matrix with rows and columns exchanged. */
function exchanged({ shape, values }: NetTensor): Float32Array {
  const [rows, columns] = shape as readonly [number, number]
  const from = values()
  return Float32Array.from({ length: rows * columns }, (_, i) => from[(i % rows) * columns + Math.floor(i / rows)]!)
}

const openShape = ({ shape }: Value): (number | string)[] => shape.map((dim) => (dim === 'n' ? BATCH : dim))
