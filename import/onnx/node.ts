import type { Argument, ModelLayer, ModelTensor, Note } from '../model-net.ts'
import { type Dimension, isNumber, showDimensions } from './dimension.ts'
import { shortFloat32 } from './float32.ts'
import type { AttributeProto, GraphProto, NodeProto, TensorProto } from './proto.ts'
import { type Comparison, type Constant, dimensionsOf, rankOf, shapeOf, type Tensor, type Value } from './value.ts'

/** Why a node cannot be brought; the reader goes on, and tells all at the end. */
export class NodeRefused extends Error {
  readonly mend: string | undefined

  constructor(what: string, mend?: string) {
    super(what)
    this.mend = mend
  }
}

/** Layers whose parameters another one of the same kind may use. */
const SHARING = new Set(['conv', 'deconv', 'fc'])

/** Layers of one weight that are remembered: those that share it all have the same bias. */
const MOST_OWNERS = 64

/** A layer whose parameters others may use. */
interface Owner {
  readonly key: string
  readonly given: readonly (Value | undefined)[]
  readonly output: string
}

/** What the reader offers to nodes. */
export interface NetUnderWay {
  readonly layers: ModelLayer[]
  /** The shapes of one sample, of every value that a layer makes. */
  readonly shapes: Map<string, readonly number[]>
  readonly notes: Note[]
  /** Which program wrote the model, and its version: `pytorch 2.5.1`. */
  readonly producer: string
  /** The batch that the model was exported for; undefined where it has a name there. */
  readonly declaredBatch: number | undefined
  /** Elements that one folded constant may have. */
  readonly mostFolded: number
  /** Layers with parameters, by what these are made of. */
  readonly owners: Map<Value, Owner[]>
  /** Values that are 1 or 0 by a comparison, by their names. */
  readonly comparisons: Map<string, Comparison>
  /** A name that no value has yet. */
  readonly freshName: (wish: string) => string
  /** Whether a node or an output of the net reads a name. */
  readonly isRead: (name: string) => boolean
  /** Reads a tensor in an attribute. */
  readonly tensorConstant: (proto: TensorProto) => Constant
  /** What a name of the model stands for where the node is, for graphs within it. */
  readonly lookUp: (name: string) => Value | undefined
}

interface EmitOptions {
  readonly parameters?: Readonly<Record<string, ModelTensor>>
  /** False for a layer that only prepares the node's own: it has no name of the model. */
  readonly main?: boolean
  readonly type?: Tensor['type']
  /** Which output of the node it is. */
  readonly output?: number
}

/** A node with what its names stand for: how an operator's mapping sees it. */
export class OnnxNode {
  readonly proto: NodeProto
  /** The version of the operator's domain. */
  readonly opset: number
  readonly inputs: (Value | undefined)[]
  readonly net: NetUnderWay
  /** What the outputs became. */
  readonly results: (Value | undefined)[] = []
  private readonly attributes: ReadonlyMap<string, AttributeProto>

  constructor(proto: NodeProto, opset: number, inputs: (Value | undefined)[], net: NetUnderWay) {
    this.proto = proto
    this.opset = opset
    this.inputs = inputs
    this.net = net
    this.attributes = new Map(proto.attributes.map((attribute) => [attribute.name, attribute]))
  }

  /** The node as a user of the model knows it: `Conv node /layer1/conv1`; without a name, by the value that it makes. */
  get label(): string {
    return labelOf(this.proto)
  }

  refuse(what: string, mend?: string): never {
    throw new NodeRefused(what, mend)
  }

  note(kind: Note['kind'], text: string): void {
    this.net.notes.push({ about: this.label, kind, text })
  }

  /** What is true of all nodes of this kind is told once. */
  noteOnce(kind: Note['kind'], text: string): void {
    if (!this.net.notes.some((note) => note.text === text)) this.net.notes.push({ about: '', kind, text })
  }

  // ---- inputs ----

  has(input: number): boolean {
    return this.inputs[input] !== undefined
  }

  value(input: number): Tensor | Constant {
    const value = input === 1 && this.opset < 7 && this.int('broadcast', 0) !== 0 ? this.alignedOperand() : this.inputs[input]
    if (!value || value.kind === 'unknown') return this.refuse(`its input ${input + 1} is missing`)
    return value
  }

  /** The second operand before opset 7, whose first axis is that of `axis`: ones are put behind. Without `axis` the last axes meet, as ever. */
  private alignedOperand(): Value | undefined {
    const [a, b] = this.inputs
    if (!a || !b || a.kind === 'unknown' || b.kind !== 'constant' || !this.attributes.has('axis')) return b
    const rank = shapeOf(a).length
    const behind = rank - this.axis(this.int('axis', 0), rank) - b.shape.length
    return behind > 0 ? { ...b, shape: [...b.shape, ...new Array<number>(behind).fill(1)] } : b
  }

  tensor(input: number): Tensor {
    const value = this.value(input)
    if (value.kind === 'constant') return this.refuse(`its input ${input + 1}, ${value.name || 'a constant'}, is no value of the net`)
    return value
  }

  /** `what` names it for a user: 'the weight'. */
  constant(input: number, what: string): Constant {
    const value = this.value(input)
    if (value.kind === 'tensor')
      return this.refuse(
        `${what} is computed from the net's inputs`,
        `${what} must be known when the model is imported: an initializer, or constants`,
      )
    return value
  }

  /** Numbers of a constant input. */
  numbers(input: number, what: string): number[] {
    return this.dimensions(input, what).map((dim) => isNumber(dim) ? dim : this.refuse(`${what} depends on the batch`))
  }

  /** Whole numbers of a constant input, multiples of the batch among them. */
  dimensions(input: number, what: string): readonly Dimension[] {
    const constant = this.constant(input, what)
    if (constant.shape.reduce((a, b) => a * b, 1) > 4096) return this.refuse(`${what} has ${showDimensions(constant.shape)} numbers`)
    return dimensionsOf(constant)
  }

  number(input: number, what: string): number {
    const numbers = this.numbers(input, what)
    return numbers.length === 1 ? numbers[0]! : this.refuse(`${what} has ${numbers.length} numbers instead of one`)
  }

  // ---- attributes ----

  hasAttribute(name: string): boolean {
    return this.attributes.has(name)
  }

  int(name: string, absent: number): number {
    return this.attributes.get(name)?.i ?? absent
  }

  /** Gives an attribute as the shortest decimal number that is the same float32. */
  float(name: string, absent: number): number {
    const attribute = this.attributes.get(name)
    return attribute ? shortFloat32(attribute.f) : absent
  }

  text(name: string, absent: string): string {
    return this.attributes.get(name)?.s ?? absent
  }

  ints(name: string): readonly number[] | undefined {
    return this.attributes.get(name)?.ints
  }

  floats(name: string): readonly number[] | undefined {
    return this.attributes.get(name)?.floats
  }

  tensorAttribute(name: string): TensorProto | undefined {
    return this.attributes.get(name)?.t
  }

  graphAttribute(name: string): GraphProto | undefined {
    return this.attributes.get(name)?.g
  }

  attribute(name: string): AttributeProto | undefined {
    return this.attributes.get(name)
  }

  // ---- results ----

  /** Writes a layer. `dims` is the shape of a sample of what it makes. */
  emit(
    op: string,
    inputs: readonly (Tensor | number)[],
    args: Readonly<Record<string, Argument>>,
    dims: readonly number[],
    options: EmitOptions = {},
  ): Tensor {
    const wanted = this.proto.outputs[options.output ?? this.proto.outputs.findIndex(Boolean)] ?? this.proto.name
    const name = this.net.freshName(options.main === false ? `${wanted}/${op}` : wanted)
    const sharesWith = options.parameters && SHARING.has(op) ? this.owner(op, args, name) : undefined
    this.net.layers.push({
      op,
      ...(options.main !== false && this.proto.name && { name: this.proto.name }),
      inputs: inputs.map((input) => (typeof input === 'number' ? input : input.name)),
      arguments: args,
      ...(options.parameters && sharesWith === undefined && { parameters: options.parameters }),
      ...(sharesWith !== undefined && { sharesWith }),
      output: name,
      from: [this.label],
    })
    this.net.shapes.set(name, dims)
    const bare = inputs.some((input) => typeof input !== 'number' && input.bare)
    return { kind: 'tensor', name, dims, type: options.type ?? 'float', ...(bare && { bare }) }
  }

  /**
   * The value of an earlier layer that has the same learned parameters, of the same initializers: heads that look at maps of several sizes
   * share theirs. Without one this layer is remembered.
   */
  private owner(op: string, args: Readonly<Record<string, Argument>>, output: string): string | undefined {
    const given = this.inputs.slice(1)
    if (!given[0] || !given.every((value) => value === undefined || (value.kind === 'constant' && value.learned))) return undefined
    const { stride: _s, pad: _p, dilation: _d, output_pad: _o, ...shaping } = args
    const arranging = this.proto.attributes.filter(({ name }) => /^(trans|alpha|beta)/.test(name)).map(({ name, i, f }) => [name, i, f])
    const key = JSON.stringify([op, arranging, shaping, given.length])
    const all = this.net.owners.get(given[0]!) ?? []
    const row = all.find((one) => one.key === key && one.given.every((value, i) => value === given[i]))
    if (row) return row.output
    if (all.length < MOST_OWNERS) this.net.owners.set(given[0]!, [...all, { key, given, output }])
    return undefined
  }

  /** What the node's output is. */
  give(value: Value, output = 0): void {
    this.results[output] = value
  }

  /** Whether somebody reads its output of this number. */
  isRead(output: number): boolean {
    const name = this.proto.outputs[output]
    return !!name && this.net.isRead(name)
  }

  /** A layer of one input that keeps its shape. */
  pointwise(op: string, args: Readonly<Record<string, Argument>> = {}): void {
    const x = this.tensor(0)
    this.give(this.emit(op, [x], args, x.dims))
  }

  /** An axis counted from the front; refuses one that is not there. */
  axis(axis: number, rank: number): number {
    const front = axis < 0 ? axis + rank : axis
    if (!(front >= 0 && front < rank)) return this.refuse(`axis ${axis} of ${rank} axes`)
    return front
  }

  /** The axis of a tensor as the language counts, the batch as 0; refuses the batch with the reason `what`. */
  sampleAxis(axis: number, x: Tensor, what: string): number {
    const front = this.axis(axis, rankOf(x))
    if (x.bare) return front + 1
    const { what: why, mend } = acrossBatch(what)
    return front === 0 ? this.refuse(why, mend) : front
  }

  shape(input: number): readonly Dimension[] {
    return shapeOf(this.value(input))
  }
}

export const acrossBatch = (what: string): { readonly what: string; readonly mend: string } => ({
  what: `${what} along axis 0, which is the batch here`,
  mend: 'samples are computed one by one: nothing can be joined across them',
})

export const labelOf = (proto: NodeProto): string =>
  `${proto.domain ? `${proto.domain}.` : ''}${proto.opType} node ${proto.name || `that makes ${proto.outputs.find(Boolean) ?? 'nothing'}`}`
