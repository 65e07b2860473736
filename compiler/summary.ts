import type { Attributes } from '../dsl/signature.ts'
import type { Source } from '../dsl/source.ts'
import { textOf } from '../dsl/source.ts'
import type { LayerCall, Program } from '../dsl/program.ts'
import { CompileError } from './compile-error.ts'
import { checkCompile, type CompileOptions } from './compile-options.ts'
import { frontEnd } from './front-end/front-end.ts'
import type { Graph, Node, Value } from './graph/graph.ts'
import { addLinear, atBatch, flopsOf, type Linear } from './ir/cost.ts'
import { operators } from './ops/registry.ts'
import { elementsPerSample, type Shape } from './ir/tensor.ts'

/** One layer of the text, in the order in which it runs. */
export interface LayerSummary {
  /** Its full name: `stage0_1.conv_2`. */
  readonly name: string
  readonly op: string
  /** The call as it is written: `conv(20, 5)`. */
  readonly call: string
  /** Its arguments, defaults filled in. */
  readonly attributes: Attributes
  /** The blocks that it stands in, outermost first: their names here and those of their definitions. */
  readonly blocks: readonly { readonly name: string; readonly block: string }[]
  /** The layers and inputs that it reads. */
  readonly inputs: readonly string[]
  readonly shape: Shape
  /** Learned and kept numbers of its own; what it shares with a layer before counts there. */
  readonly parameters: number
  readonly kept: number
  /** Operations of one inference of all samples: a multiplication and an addition are two. 0 where nothing is done. */
  readonly flops: number
  /** Whether an output depends on it; otherwise a loss or metric does, or nothing. */
  readonly inferred: boolean
}

export interface NetSummary {
  readonly name: string
  readonly batch: number
  readonly inputs: readonly { readonly name: string; readonly shape: Shape; readonly classes?: number }[]
  readonly layers: readonly LayerSummary[]
  readonly outputs: readonly { readonly name: string; readonly role: string; readonly layer: string }[]
  readonly totals: {
    readonly layers: number
    /** Learned numbers, and those that are kept beside them (running statistics). */
    readonly parameters: number
    readonly kept: number
    readonly weightBytes: number
    /** Operations of one inference of all samples, and of losses and metrics on top. */
    readonly flops: number
    readonly flopsOfLosses: number
  }
}

/** The layers of a net with their shapes, parameters and arithmetic. Throws CompileError. */
export function summarize(source: string | Source, options: CompileOptions & { readonly batch?: number } = {}): NetSummary {
  checkCompile('compile', source, options)
  const { program, graph, diagnostics } = frontEnd(source, options)
  if (!program || !graph) throw new CompileError(diagnostics)
  return summaryOf(program, graph, options.batch ?? 1)
}

function summaryOf(program: Program, graph: Graph, batch: number): NetSummary {
  const makers = new Map<Value, Node>(graph.nodes.flatMap((node) => node.outputs.map((output): [Value, Node] => [output, node])))
  const inferred = behind(graph.outputs.filter(({ role }) => role === 'output').map(({ value }) => value), makers)
  const calls = new Map(program.layers.map((call) => [call.name, call]))
  const owned = new Map(graph.parameters.map((p) => [p.value, p]))
  const counted = new Set<Value>()
  const layers = graph.nodes.flatMap((node): LayerSummary[] => {
    const call = calls.get(node.name)
    if (!call) return []
    const own = Object.values(node.parameters).filter((value) => owned.has(value) && !counted.has(value))
    for (const value of own) counted.add(value)
    const numbers = (trainable: boolean): number =>
      own.filter((value) => owned.get(value)!.trainable === trainable).reduce((sum, value) => sum + elementsPerSample(value.shape), 0)
    return [{
      name: node.name,
      op: node.op,
      call: textOf(call.span).replace(/\s+as\s+[\w{}]+$/, '').replace(/\s+/g, ' '),
      attributes: call.attributes,
      blocks: blocksOf(call),
      inputs: node.inputs.map((value) => makers.get(value)?.name ?? value.name),
      shape: node.outputs[0]!.shape,
      parameters: numbers(true),
      kept: numbers(false),
      flops: Math.round(atBatch(arithmeticOf(node), batch)),
      inferred: inferred.has(node),
    }]
  })
  const sum = (some: readonly LayerSummary[], of: (layer: LayerSummary) => number): number =>
    some.reduce((total, layer) => total + of(layer), 0)
  const parameters = sum(layers, (l) => l.parameters)
  const kept = sum(layers, (l) => l.kept)
  const classes = new Map(program.inputs.map((input) => [input.name, input.classes]))
  return {
    name: program.name,
    batch,
    inputs: graph.inputs.map(({ name, shape }) => ({
      name,
      shape,
      ...(classes.get(name) !== undefined && { classes: classes.get(name)! }),
    })),
    layers,
    outputs: graph.outputs.filter(({ role }) => role !== 'gradient' && role !== 'count').map(({ name, role, value }) => ({
      name,
      role,
      layer: makers.get(value)?.name ?? value.name,
    })),
    totals: {
      layers: layers.length,
      parameters,
      kept,
      weightBytes: 4 * (parameters + kept),
      flops: sum(layers.filter((l) => l.inferred), (l) => l.flops),
      flopsOfLosses: sum(layers.filter((l) => !l.inferred), (l) => l.flops),
    },
  }
}

/** All nodes that values rest on. */
function behind(values: readonly Value[], makers: ReadonlyMap<Value, Node>): ReadonlySet<Node> {
  const found = new Set<Node>()
  const open = [...values]
  for (let value = open.pop(); value; value = open.pop()) {
    const node = makers.get(value)
    if (!node || found.has(node)) continue
    found.add(node)
    open.push(...node.inputs)
  }
  return found
}

/** The FLOPs of a layer in inference: none where it is a view of the same numbers, or acts in training alone. */
function arithmeticOf(node: Node): Linear {
  const operator = operators.get(node.op)!
  if (operator.traits?.view || operator.traits?.identityAtTest) return { fixed: 0, perSample: 0 }
  return operator.equations(node).map(flopsOf).reduce(addLinear, { fixed: 0, perSample: 0 })
}

/** `stage2.block0.conv_1` stands in `stage2` and `block0`; what these are instances of is what was called. */
function blocksOf({ name, expandedFrom }: LayerCall): LayerSummary['blocks'] {
  const path = name.split('.').slice(0, -1)
  const calls = [...expandedFrom].reverse().map((span) => /^\w+/.exec(textOf(span))?.[0] ?? '')
  return path.map((part, i) => ({ name: part, block: calls[i] ?? '' }))
}
