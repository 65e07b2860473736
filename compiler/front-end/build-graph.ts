import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { InputDeclaration, LayerCall, NamedValue, Program, ValueRef } from '../../dsl/program.ts'
import type { Span } from '../../dsl/source.ts'
import { suggest } from '../../bundle/nearest.ts'
import type { Style } from '../../bundle/format.ts'
import { type Constant, type Graph, type NamedOutput, type Node, type ParameterEntry, value, type Value } from '../graph/graph.ts'
import { outputValues, readers } from '../graph/query.ts'
import { nextOffset } from '../graph/storage.ts'
import { initializerOf } from '../ops/fillers.ts'
import type { ConstantSpec, Operator, ParameterSpec, ShapeAnswer } from '../ops/operator.ts'
import { traitsOf } from '../ops/traits.ts'
import { type Dim, elementsPerSample, isBatched, sameShape, showShape } from '../ir/tensor.ts'
import { gradientProblems } from './gradient-ways.ts'

export interface BuildOptions {
  readonly operators: ReadonlyMap<string, Operator>
  /** The style of the command line: overrides what the file says, for the net and for single layers. */
  readonly style?: Style
}

export interface BuiltGraph {
  /** The graph. Absent when there is an error. */
  readonly graph?: Graph
  /** Every independent error, and warnings. */
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * Turns the layer calls of a program into the graph of the layers as the file tells them, with every shape, and every
 * parameter with its place: values packed at multiples of 64 elements, trained ones in `parameters`, others in `states`.
 * Each batch_norm carries the style that counts for it as attribute `style`. Says all errors that do not follow from
 * another one: a layer whose input failed is passed over in silence.
 */
export function buildGraph(program: Program, options: BuildOptions): BuiltGraph {
  return new Builder(program, options).build()
}

class Builder {
  private readonly program: Program
  private readonly options: BuildOptions
  private readonly diagnostics: Diagnostic[] = []
  private readonly inputs = new Map<string, Value>()
  private readonly classes = new Map<Value, number>()
  /** The output of each layer; absent where it failed. */
  private readonly made: (Value | undefined)[] = []
  private readonly nodes: Node[] = []
  private readonly drafts = new Map<string, LayerDraft>()
  private readonly offsets = { parameters: 0, states: 0 }
  private readonly constants: Constant[] = []

  constructor(program: Program, options: BuildOptions) {
    this.program = program
    this.options = options
  }

  build(): BuiltGraph {
    for (const input of this.program.inputs) this.input(input)
    this.program.layers.forEach((call, i) => {
      this.made[i] = this.layer(call)
    })
    const outputs = this.outputs()
    if (this.diagnostics.some((d) => d.severity === 'error')) return { diagnostics: this.diagnostics }
    const inputs = [...this.inputs.values()]
    const bare: Graph = { name: this.program.name, inputs, parameters: [], nodes: this.nodes, outputs }
    const graph = { ...bare, parameters: this.parameters(bare), ...(this.constants.length > 0 && { constants: this.constants }) }
    this.diagnostics.push(...gradientProblems(graph, this.options.operators))
    this.warnOfUnread(graph)
    return { ...(this.diagnostics.every((d) => d.severity === 'warning') && { graph }), diagnostics: this.diagnostics }
  }

  private error(code: string, message: string, labels: Diagnostic['labels'], hint?: string): undefined {
    this.diagnostics.push({ severity: 'error', code, message, labels, ...(hint !== undefined && { hint }) })
    return undefined
  }

  private input(declared: InputDeclaration): void {
    const shape: Dim[] = [...(declared.batched ? ['n' as const] : []), ...declared.shape]
    const made = value(declared.name, shape, declared.span, {
      type: declared.type === 'class' ? 'i32' : 'f32',
      storage: { role: 'input', slot: declared.name, offset: 0 },
    })
    this.inputs.set(declared.name, made)
    if (declared.classes !== undefined) this.classes.set(made, declared.classes)
  }

  private valueOf(ref: ValueRef): Value | undefined {
    return ref.kind === 'input' ? this.inputs.get(ref.name) : this.made[ref.index]
  }

  private layer(call: LayerCall): Value | undefined {
    const operator = this.options.operators.get(call.op)
    if (!operator?.shape) return this.error('graph/unknown-layer', `there is no layer ${call.op}`, [{ span: call.span, text: 'here' }])
    const inputs = call.inputs.map((ref) => this.valueOf(ref))
    if (!inputs.every((input) => input !== undefined)) return undefined
    const answer = operator.shape({
      name: call.name,
      op: call.op,
      inputs,
      inputSpans: call.inputSpans,
      attributes: call.attributes,
      attributeSpans: call.attributeSpans,
      span: call.span,
      classesOf: (of) => this.classes.get(of),
    })
    if (!isAnswer(answer)) {
      this.diagnostics.push(...answer.map((d) => withOrigin(d, call)))
      return undefined
    }
    const drafts = this.layerParameters(call, answer.parameters ?? [])
    if (!drafts) return undefined
    const made = value(call.name, answer.shape, call.span)
    this.drafts.set(call.name, { call, roles: drafts, made })
    this.nodes.push({
      name: call.name,
      op: call.op,
      layer: call.name,
      inputs,
      outputs: [made],
      span: call.span,
      parameters: {
        ...Object.fromEntries([...drafts].map(([role, draft]) => [role, draft.value])),
        ...this.layerConstants(call, answer.constants ?? []),
      },
      attributes: hasStyle(operator) ? { ...call.attributes, style: this.styleOf(call) } : call.attributes,
    })
    return made
  }

  private styleOf(call: LayerCall): Style {
    const own = call.attributes['style']
    return this.options.style ?? (own === 'merged' || own === 'split' ? own : this.program.style ?? 'merged')
  }

  /** The parameters of a layer by role: its own, or those of the layer that `weights:` names. */
  private layerParameters(call: LayerCall, specs: readonly ParameterSpec[]): Map<string, ParameterDraft> | undefined {
    const from = call.attributes['weights']
    if (typeof from !== 'string') {
      return new Map(specs.map((spec) => [spec.role, this.draft(call, spec)]))
    }
    const span = call.attributeSpans['weights'] ?? call.span
    const owner = this.drafts.get(from)
    if (!owner) return this.sharingError(call, from, span)
    const shared = new Map<string, ParameterDraft>()
    for (const spec of specs) {
      const theirs = owner.roles.get(spec.role)
      if (!theirs) {
        return this.error('graph/weights-role', `${call.name} needs a ${spec.role}, and ${from} has none to share`, [
          { span, text: 'shared here' },
          { span: owner.call.span, text: `${from} made here` },
        ], spec.role === 'bias' ? 'write bias: false on this layer, or give the other one a bias' : undefined)
      }
      if (!sameShape(theirs.value.shape, spec.shape)) {
        return this.error(
          'graph/weights-shape',
          `${call.name} needs a ${spec.role} ${showShape(spec.shape)}, and that of ${from} is ${showShape(theirs.value.shape)}`,
          [
            { span, text: 'shared here' },
            { span: owner.call.span, text: `${showShape(theirs.value.shape)} made here` },
          ],
          'layers that share parameters have the same sizes and read as many channels',
        )
      }
      shared.set(spec.role, theirs)
    }
    return shared
  }

  /** Tensors of numbers that stand in the file, each a buffer of its own. */
  private layerConstants(call: LayerCall, specs: readonly ConstantSpec[]): Record<string, Value> {
    return Object.fromEntries(specs.map(({ role, shape, values }) => {
      const name = `${call.name}.${role}`
      const made = value(name, shape, call.span, { storage: { role: 'constants', slot: name, offset: 0 } })
      this.constants.push({ value: made, values: [{ times: 1, values }] })
      return [role, made]
    }))
  }

  private sharingError(call: LayerCall, from: string, span: Span): undefined {
    const at = this.program.layers.findIndex((layer) => layer.name === from)
    const other = this.program.layers[at]
    const meant = other ? undefined : suggest(from, this.drafts.keys())
    if (!other)
      return this.error(
        'graph/weights-unknown',
        `there is no layer ${from} to share weights with`,
        [{ span, text: 'here' }],
        meant === undefined ? undefined : `did you mean ${meant}?`,
      )
    // If the other layer failed, its own errors say enough.
    if (at < this.made.length) return undefined
    return this.error(
      'graph/weights-later',
      other === call ? `${from} cannot share weights with itself` : `${from} comes after ${call.name}, so it has no weights yet`,
      [
        { span, text: 'shared here' },
        ...(other === call ? [] : [{ span: other.span, text: `${from} made here` }]),
      ],
      other === call ? undefined : `write weights: ${call.name} on ${from} instead`,
    )
  }

  private draft(call: LayerCall, spec: ParameterSpec): ParameterDraft {
    const role = spec.trainable === false ? 'states' as const : 'parameters' as const
    const offset = this.offsets[role]
    this.offsets[role] = nextOffset(offset, elementsPerSample(spec.shape))
    return { spec, value: value(`${call.name}.${spec.role}`, spec.shape, call.span, { storage: { role, offset } }) }
  }

  private parameters(graph: Graph): ParameterEntry[] {
    const find = behind(readers(graph), this.options.operators)
    const entries = new Map<Value, ParameterEntry>()
    for (const { call, roles, made } of this.drafts.values()) {
      for (const { spec, value: own } of roles.values()) {
        if (entries.has(own)) continue
        const beforeRectifier = find(made)
        entries.set(own, {
          value: own,
          name: own.name,
          layer: call.name,
          trainable: spec.trainable !== false,
          initializer: initializerOf(spec.filler, beforeRectifier),
          rateMultiplier: spec.rateMultiplier ?? 1,
          decayMultiplier: spec.decayMultiplier ?? 1,
        })
      }
    }
    return [...entries.values()]
  }

  private outputs(): NamedOutput[] {
    const { outputs, losses, metrics } = this.program
    if (outputs.length + losses.length === 0) {
      this.error('graph/no-result', `net ${this.program.name} computes nothing: it has neither an output nor a loss`, [{
        span: this.program.span,
        text: 'here',
      }], 'end it with e.g. output prob = softmax(logits)')
    }
    const taken = new Map<string, Span>(this.program.inputs.map((input) => [input.name, input.span]))
    const named = (list: readonly NamedValue[], role: 'output' | 'loss' | 'metric'): NamedOutput[] =>
      list.flatMap(({ name, value: ref, span }) => {
        const before = taken.get(name)
        if (before) {
          this.error('graph/name-taken', `${name} names two things that go in or out of the net`, [{ span, text: 'here' }, {
            span: before,
            text: 'and here',
          }], 'give one of them another name')
        }
        taken.set(name, span)
        const made = this.valueOf(ref)
        if (!made) return []
        if (role !== 'output') this.scalarResult(name, role, made, span)
        const weight = role === 'loss' && ref.kind === 'layer' ? this.program.layers[ref.index]!.attributes['weight'] : undefined
        return [{ name, value: made, role, ...(typeof weight === 'number' && { weight }) }]
      })
    return [...named(outputs, 'output'), ...named(losses, 'loss'), ...named(metrics, 'metric')]
  }

  private scalarResult(name: string, role: 'loss' | 'metric', made: Value, span: Span): void {
    if (made.type === 'f32' && !isBatched(made.shape) && elementsPerSample(made.shape) === 1) return
    this.error(
      `graph/${role}-not-scalar`,
      `${role} ${name} must be one number, not ${made.type === 'i32' ? 'labels' : showShape(made.shape)}`,
      [
        { span, text: 'here' },
        { span: made.madeAt, text: `${showShape(made.shape)} made here` },
      ],
      role === 'loss' ? 'a loss is e.g. softmax_loss(logits, label) or sum(x)' : 'a metric is e.g. accuracy(logits, label) or sum(x)',
    )
  }

  private warnOfUnread(graph: Graph): void {
    const [read, results] = [readers(graph), outputValues(graph)]
    for (const node of graph.nodes) {
      if (node.outputs.some((out) => results.has(out) || read.has(out))) continue
      this.diagnostics.push({
        severity: 'warning',
        code: 'graph/unread',
        message: `nothing reads what ${node.name} makes`,
        labels: [{ span: node.span, text: 'here' }],
        hint: 'give it out with output, or leave it out',
      })
    }
  }
}

interface ParameterDraft {
  readonly spec: ParameterSpec
  readonly value: Value
}

interface LayerDraft {
  readonly call: LayerCall
  readonly made: Value
  readonly roles: ReadonlyMap<string, ParameterDraft>
}

const isAnswer = (answer: ShapeAnswer | readonly Diagnostic[]): answer is ShapeAnswer => 'shape' in answer

/** An error inside a block also shows which call of the block it happened in. */
const withOrigin = (d: Diagnostic, call: LayerCall): Diagnostic => ({
  ...d,
  labels: [...d.labels, ...call.expandedFrom.map((span) => ({ span, text: 'in this call' }))],
})

/** Whether a layer of this operator may be lowered in either style. */
const hasStyle = ({ signature }: Operator): boolean => signature?.parameters.some(({ name }) => name === 'style') ?? false

/**
 * Tells whether the first activation behind a value is a rectifier, so that half of the values are lost and msra is the filler
 * that keeps their variance (He et al. 2015, section 2.2).
 */
function behind(readersOf: ReadonlyMap<Value, readonly Node[]>, operators: ReadonlyMap<string, Operator>): (made: Value) => boolean {
  const known = new Map<Value, boolean>()
  return (made) => {
    const open = [made]
    for (let of = open.at(-1); of; of = open.at(-1)) {
      const through: Value[] = []
      let rectified = false
      for (const reader of readersOf.get(of) ?? []) {
        const { rectifier, initSeesThrough } = traitsOf(operators, reader)
        rectified ||= rectifier === true
        if (initSeesThrough && reader.inputs[0] === of) through.push(reader.outputs[0]!)
      }
      const unknown = rectified ? undefined : through.find((value) => !known.has(value))
      if (unknown) open.push(unknown)
      else {
        known.set(of, rectified || through.some((value) => known.get(value)))
        open.pop()
      }
    }
    return known.get(made)!
  }
}
