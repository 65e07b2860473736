import { NON_FINITE_RESULT, type Style, type TensorData } from '../../bundle/format.ts'
import { anything, oneOf, type Rule, text } from '../../bundle/options.ts'
import { elementCount } from '../../bundle/sizes.ts'
import type { Graph, Node, ParameterEntry, Value } from '../../compiler/graph/graph.ts'
import { equation, store } from '../../compiler/ir/equation.ts'
import { withoutStages } from '../../compiler/ir/in-stages.ts'
import { type Tensor, tensor } from '../../compiler/ir/tensor.ts'
import { layerKey } from '../../compiler/ops/dropout.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { traitsOf } from '../../compiler/ops/traits.ts'
import { checkExport, tensors } from '../check-export.ts'
import { ExportError, type ExportProblem } from '../export-error.ts'
import type { ExportSource } from '../inference-net.ts'
import { checkOpset, irVersionOf } from '../onnx/opsets.ts'
import { OPSETS } from '../onnx/opsets.ts'
import type { OnnxGraph, OnnxValue } from '../onnx/model.ts'
import { writeModel } from '../onnx/write-model.ts'
import type { Streamed } from '../streamed.ts'
import { type EquationContext, writeEquation } from './equations.ts'
import { Folding } from './folding.ts'
import { ROWS } from './layers.ts'
import { startGraph } from './start.ts'
import { StepNodes } from './step-nodes.ts'
import { type TrainingNet, trainingNet } from './training-net.ts'
import { betasOf, correction, memoryOf, type SolverMemory, writeUpdate } from './update.ts'
import { Unwritable } from './written.ts'

export interface OnnxStepOptions {
  /** Parameters by name, in place of those of the bundle. */
  readonly parameters?: ReadonlyMap<string, TensorData>
  /** The spelling of batch normalization that is trained. Default: merged. */
  readonly style?: Style
  /** The operator set: 13 to 23. Default 17. */
  readonly opset?: number
  /** The version of fusenet, for the model's `producer_version`. */
  readonly version?: string
  /** The name of the file that takes the values of `start`, beside it: for nets whose weights are more than a model may hold. */
  readonly beside?: string
}

const RULES: Readonly<Record<keyof OnnxStepOptions, Rule>> = {
  parameters: tensors,
  style: oneOf('merged', 'split'),
  opset: anything,
  version: text,
  beside: text,
}

/** What a driver feeds at each step, beside data and labels and beside the state. */
export interface StepFeeds {
  /** The learning rate. */
  readonly rate: string
  /** Numbers in [0, 1) by the layers that drop values, with their shapes. */
  readonly random: readonly { readonly name: string; readonly layer: string }[]
  /** The labels that are not ignored in all batches of an update, over the number of batches, where it takes several. */
  readonly divisors: readonly { readonly name: string; readonly input: string; readonly ignore: number }[]
}

/** A step of training as a model, and a model without inputs that gives what it starts with. */
export interface ExportedOnnxStep {
  readonly opset: number
  readonly graph: OnnxGraph
  readonly model: Streamed
  readonly start: { readonly graph: OnnxGraph; readonly model: Streamed; readonly data?: Streamed }
  /** The names of what is fed back: the output is `next/NAME`. Those without a slash are weights. */
  readonly state: readonly string[]
  readonly feeds: StepFeeds
}

/** The prefix of outputs that are fed back. */
const NEXT = 'next/'
/** A model of protobuf has less than 2 GiB; room for what is not weights. */
const MOST_BYTES = 2 ** 31 - 2 ** 26

/**
 * One step of training as a plain graph: forward, losses and metrics, backward, update. Throws ExportError with everything that cannot be
 * exported, InputError for what is no bundle and for options that mean nothing.
 */
export function exportOnnxStep(source: ExportSource, options: OnnxStepOptions = {}): ExportedOnnxStep {
  checkExport('exportOnnxStep', source, options, RULES)
  const { opset = OPSETS.usual, parameters = source.weights, version = '' } = options
  checkOpset(opset)
  const net = trainingNet(source, options.style)
  const step = new Step(net, opset)
  const written = step.write()
  const start = startGraph(net.graph, step.memory, parameters, step.stateNames)
  const head = { irVersion: irVersionOf(opset), opset, producer: 'fusenet', producerVersion: version }
  const { train } = source.manifest
  const metadata = new Map([
    ['net', net.manifest.name],
    ['fusenet', 'step'],
    ['state', JSON.stringify(step.stateNames)],
    ['feeds', JSON.stringify(written.feeds)],
    ...(train
      ? [
        [
          'train',
          JSON.stringify({ solver: train.solver, schedule: train.schedule, batch: train.batch, accumulate: train.accumulate }),
        ] as const,
      ] : []),
  ])
  const bytes = start.initializers.reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0)
  if (bytes > MOST_BYTES && options.beside === undefined)
    throw new ExportError([{
      where: 'weights',
      what: `${bytes} bytes are more than a model of protobuf holds`,
      mend: 'name a file that takes them: beside',
    }])
  return {
    opset,
    graph: written.graph,
    model: writeModel({ ...head, graph: written.graph, metadata }).model,
    start: {
      graph: start,
      ...writeModel(
        { ...head, graph: start, metadata: new Map([['net', net.manifest.name]]) },
        bytes > MOST_BYTES ? options.beside : undefined,
      ),
    },
    state: step.stateNames,
    feeds: written.feeds,
  }
}

/** Writes the graph of a step. */
class Step {
  readonly memory: SolverMemory
  private readonly net: TrainingNet
  private readonly graph: Graph
  private readonly nodes: StepNodes
  private readonly inputs: OnnxValue[] = []
  private readonly names = new Map<Tensor, string>()
  private readonly asNumbers = new Map<Tensor, string>()
  private readonly counts: string[] = []
  private readonly random = new Map<number, { name: string; layer: string }>()
  private readonly states = new Map<string, Tensor>()
  private readonly divisors: { name: string; input: string; ignore: number }[] = []
  private readonly constants = new Map<Tensor, Float64Array>()
  private readonly problems: ExportProblem[] = []
  private readonly rate: string

  constructor(net: TrainingNet, opset: number) {
    this.net = net
    this.graph = net.graph
    this.nodes = new StepNodes(opset)
    this.memory = memoryOf(net.graph.parameters, net.train)
    const read = new Set(this.graph.nodes.flatMap(({ inputs, parameters }) => [...inputs, ...Object.values(parameters)]))
    for (const input of this.graph.inputs) if (read.has(input)) this.input(input.name, input)
    this.rate = this.scalarInput('rate')
    for (const { value, values } of this.graph.constants ?? []) {
      const given = /^divisor\.(.+)\.(-?\d+)$/.exec(value.name)
      if (!given)
        this.constants.set(
          value,
          Float64Array.from(values.flatMap(({ times, values }) => Array.from({ length: times }, () => values).flat())),
        )
      else this.divisors.push({ name: this.input(value.name, value), input: given[1]!, ignore: Number(given[2]) })
    }
    for (const { name, value } of this.graph.parameters) this.states.set(this.input(name, value), value)
    for (const { name, tensor } of this.memory.all) this.states.set(this.input(name, tensor), tensor)
  }

  get stateNames(): readonly string[] {
    return [...this.states.keys()]
  }

  private input(wanted: string, of: Tensor): string {
    const name = this.nodes.name(wanted)
    this.names.set(of, name)
    this.inputs.push({ name, type: of.type === 'i32' ? 'i32' : 'f32', shape: openShape(of.shape) })
    return name
  }

  private scalarInput(wanted: string): string {
    return this.input(wanted, tensor(wanted, []))
  }

  write(): { readonly graph: OnnxGraph; readonly feeds: StepFeeds } {
    const context = this.equationContext()
    const outputs = this.graph.outputs
    for (const node of this.graph.nodes) this.writeNode(node, context)
    const gradients = new Map(
      this.graph.nodes.flatMap(({ outputs }) => outputs).flatMap((out) =>
        out.storage?.role === 'gradients' ? [[out.storage.offset, out] as const] : []
      ),
    )
    if (this.problems.length === 0)
      writeUpdate(
        this.graph.parameters,
        ({ value }: ParameterEntry): Value | undefined => gradients.get(value.storage!.offset),
        this.net.train,
        this.memory,
        context,
      )
    if (this.problems.length > 0) throw new ExportError(this.problems)
    this.nodes.at = 'count'
    const count = this.counts.length === 0 ? this.nodes.number(0)
      : this.counts.length === 1 ? this.counts[0]! : this.nodes.add('Sum', this.counts)
    const results: (readonly [OnnxValue, string])[] = [
      ...outputs.map(({ name, value }) =>
        [{ name: this.nodes.name(name), type: 'f32', shape: [] }, this.names.get(value)!] as [OnnxValue, string]
      ),
      [{ name: this.nodes.name(NON_FINITE_RESULT), type: 'f32', shape: [] }, count],
      ...[...this.states].map(([name, of]) =>
        [
          { name: this.nodes.name(`${NEXT}${name}`), type: 'f32', shape: openShape(of.shape) },
          this.names.get(of)!,
        ] as [OnnxValue, string]
      ),
    ]
    return {
      graph: {
        name: this.graph.name,
        nodes: this.nodes.finish(results.map(([{ name }, value]) => [name, value]), this.inputs),
        initializers: [],
        inputs: this.inputs,
        outputs: results.map(([value]) => value),
        values: [],
      },
      feeds: { rate: this.rate, random: [...this.random.values()], divisors: this.divisors },
    }
  }

  private writeNode(node: Node, context: EquationContext): void {
    this.nodes.at = node.name
    const operator = operators.get(node.op)!
    try {
      if (traitsOf(operators, node).view === true) {
        const [x, y] = [node.inputs[0]!, node.outputs[0]!]
        this.names.set(y, this.nodes.reshape(context.nameOf(x), y.shape.map((dim) => (dim === 'n' ? -1 : dim))))
        return
      }
      const made = ROWS.get(node.op)?.(node, context)
      if (made !== undefined) {
        this.names.set(node.outputs[0]!, made)
        return
      }
      if (node.op === 'dropout' || node.op === 'dropout_dx') this.declareRandom(node)
      for (const equation of withoutStages(operator.equations(node))) writeEquation(equation, context)
    } catch (error) {
      if (!(error instanceof Unwritable)) throw error
      const { file, line } = placeOf(node)
      // What reads it has no fault of its own.
      for (const output of node.outputs) this.names.set(output, '')
      this.problems.push({ where: `${file}${line}: ${node.layer}`, what: `${node.op} has no form in ONNX here: ${error.message}` })
    }
  }

  /** The input from which a layer draws: its own numbers, the same for the gradient. */
  private declareRandom(node: Node): void {
    const key = layerKey(node.layer)
    if (this.random.has(key) || node.inputs.length > 1) return
    const name = this.input(`random/${node.layer}`, tensor(node.layer, node.outputs[0]!.shape))
    this.random.set(key, { name, layer: node.layer })
  }

  private equationContext(): EquationContext {
    const { nodes, memory } = this
    const folding = new Folding(this.constants)
    const nameOf = (of: Tensor): string => {
      const constants = this.constants.get(of)
      const name = this.names.get(of) ?? (constants && nodes.numbers([...constants], of.shape as readonly number[]))
      if (name === undefined) throw new Error(`${of.name} is read before it is written`)
      if (of.type !== 'i32') return name
      const known = this.asNumbers.get(of) ?? nodes.add('Cast', [name], { to: 1 })
      this.asNumbers.set(of, known)
      return known
    }
    const batchOf = (): string => {
      const batched = this.inputs.find(({ shape }) => shape[0] === BATCH)
      if (!batched) throw new Unwritable('there is no batch')
      return nodes.add('Slice', [nodes.add('Shape', [batched.name]), nodes.integers([0]), nodes.integers([1])])
    }
    const context: EquationContext = {
      nodes,
      folding,
      nameOf,
      random: (key) => this.random.get(key)!.name,
      scalar: (name) => {
        if (name === 'rate') return this.rate
        if (name === 'batch') return nodes.add('Cast', [nodes.add('Squeeze', [batchOf()])], { to: 1 })
        const made = tensor(name, [])
        writeEquation(
          equation(name, ['solver'], [], [store(made, [], correction(memory.step, betasOf(this.net.train.solver)[name]))]),
          context,
        )
        return this.names.get(made)!
      },
      batchShape: batchOf,
      wrote: (of, name) => {
        this.names.set(of, name)
      },
      counted: (count) => {
        this.counts.push(count)
      },
    }
    return context
  }
}

const BATCH = 'N'
const openShape = (shape: Tensor['shape']): (number | string)[] => shape.map((dim) => (dim === 'n' ? BATCH : dim))

/** Where in the text a layer stands, for messages. */
function placeOf({ span }: Node): { readonly file: string; readonly line: string } {
  const before = span.source.text.slice(0, span.start)
  return { file: span.source.file, line: `:${before.split('\n').length}` }
}
