import type { Manifest } from '../../bundle/format.ts'
import { anything, type Rule, text, whole } from '../../bundle/options.ts'
import { traitsOf } from '../../compiler/ops/traits.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { ExportError } from '../export-error.ts'
import { checkExport, INFERENCE_RULES } from '../check-export.ts'
import { type ExportSource, inferenceNet, type InferenceOptions } from '../inference-net.ts'
import { GraphBuilder } from './graph-builder.ts'
import type { OnnxGraph } from './model.ts'
import { checkOpset, irVersionOf, OPSETS } from './opsets.ts'
import { ROWS } from './operators/table.ts'
import { bytesOf, type Streamed } from '../streamed.ts'
import { writeModel } from './write-model.ts'

/** A message of protobuf has less than 2 GiB. */
const MOST_BYTES = 2 ** 31 - 1
/** Room for what is not weights. */
const ROOM = 2 ** 26

export interface OnnxOptions extends InferenceOptions {
  /** The operator set: 13 to 23. Default 17. */
  readonly opset?: number
  /** The version of fusenet, for the model's `producer_version`. */
  readonly version?: string
  /** The name of the file that takes the weights, beside the model: for nets whose weights are more than a model may hold. */
  readonly beside?: string
  /** Weights of more bytes than this go to `beside`. Default: what protobuf holds, 2 GiB. */
  readonly most?: number
}

const RULES: Readonly<Record<keyof OnnxOptions, Rule>> = { ...INFERENCE_RULES, opset: anything, version: text, beside: text, most: whole }

/** A net as a model of ONNX, to be written piece by piece. */
export interface ExportedOnnx {
  readonly opset: number
  readonly graph: OnnxGraph
  readonly model: Streamed
  /** The file beside it, of the name that `beside` gave, where the weights need one. */
  readonly data?: Streamed
  /** What is not as the text has it. */
  readonly notes: readonly string[]
}

/**
 * The net of a bundle as a model that infers: outputs alone, with a batch that is open. Throws ExportError with everything that cannot be
 * exported, InputError for what is no bundle and for options that mean nothing.
 */
export function exportOnnx(source: ExportSource, options: OnnxOptions = {}): ExportedOnnx {
  checkExport('exportOnnx', source, options, RULES)
  const { opset = OPSETS.usual, version = '', beside, most = MOST_BYTES - ROOM } = options
  checkOpset(opset)
  const net = inferenceNet(source, options)
  const builder = new GraphBuilder(net, opset)
  for (const node of net.graph.nodes) {
    const row = ROWS.get(node.op)
    if (node.op === 'parameter') builder.alias(node, 'weight')
    else if (row) row(builder.layer(node))
    else builder.problems.push({ where: node.layer, what: `${node.op} has no equal in ONNX`, mend: mendOf(node.op) })
  }
  if (net.graph.outputs.length === 0)
    builder.problems.push({
      where: net.graph.name,
      what: 'it has no output: losses and metrics are not exported',
      mend: 'write `output NAME = VALUE`',
    })
  if (builder.problems.length > 0) throw new ExportError(builder.problems)
  const graph = builder.finish()
  const bytes = graph.initializers.reduce((sum, tensor) => sum + bytesOf(tensor), 0)
  if (bytes > most && beside === undefined)
    throw new ExportError([{
      where: 'weights',
      what: `${bytes} bytes are more than a model of protobuf holds`,
      mend: 'name a file that takes them: beside',
    }])
  const written = writeModel({
    irVersion: irVersionOf(opset),
    opset,
    producer: 'fusenet',
    producerVersion: version,
    graph,
    metadata: metadataOf(net.manifest, graph),
  }, bytes > most ? beside : undefined)
  return { opset, graph, ...written, notes: builder.notes }
}

const mendOf = (op: string): string =>
  traitsOf(operators, { op }).comparesLabels ? 'losses and metrics stay behind: make another value the output'
    : 'make a value in front of it the output'

/** The names of classes, for who reads an output of scores: `classes`, a JSON object by outputs. */
function metadataOf({ inputs, outputs, name }: Manifest, graph: OnnxGraph): Map<string, string> {
  const classes = outputs.flatMap(({ name, scores }) => {
    const label = inputs.find((input) => input.name === scores)
    const names = label?.classNames ?? label?.classes
    return names === undefined || !graph.outputs.some((output) => output.name === name) ? [] : [[name, names] as const]
  })
  return new Map([['net', name], ...(classes.length > 0 ? [['classes', JSON.stringify(Object.fromEntries(classes))] as const] : [])])
}
