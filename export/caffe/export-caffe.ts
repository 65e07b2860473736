import { anything } from '../../bundle/options.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { traitsOf } from '../../compiler/ops/traits.ts'
import { ExportError } from '../export-error.ts'
import { checkExport, INFERENCE_RULES } from '../check-export.ts'
import { type ExportSource, inferenceNet, type InferenceOptions } from '../inference-net.ts'
import { bytesOf, type Streamed } from '../streamed.ts'
import { REASONS, ROWS } from './layers/table.ts'
import type { CaffeNet } from './model.ts'
import { NetBuilder } from './net-builder.ts'
import { writeCaffemodel } from './write-caffemodel.ts'
import { writePrototxt } from './write-prototxt.ts'

/** Protobuf holds less than 2 GiB; Caffe has no file beside it. */
const MOST_BYTES = 2 ** 31 - 2 ** 26

export interface CaffeOptions extends InferenceOptions {
  /** How many samples a batch has, which a net of Caffe says. Default 1. */
  readonly batch?: number
}

/** A net as Caffe has it: the definition as a text, the weights to be written piece by piece. */
export interface ExportedCaffe {
  readonly net: CaffeNet
  readonly inputs: readonly { readonly name: string; readonly shape: readonly number[] }[]
  readonly outputs: readonly string[]
  readonly prototxt: string
  readonly caffemodel: Streamed
}

/**
 * The net of a bundle in the layers of BVLC Caffe 1.0, as it infers, batch normalization in its split spelling. Throws ExportError with
 * everything that cannot be exported.
 */
export function exportCaffe(source: ExportSource, options: CaffeOptions = {}): ExportedCaffe {
  checkExport('exportCaffe', source, options, { ...INFERENCE_RULES, batch: anything })
  const { batch = 1 } = options
  if (!Number.isInteger(batch) || batch < 1) throw new ExportError([{ where: 'batch', what: `${batch} is no number of samples` }])
  const net = inferenceNet(source, options)
  const builder = new NetBuilder(net, batch)
  for (const node of net.graph.nodes) {
    const row = ROWS.get(node.op)
    if (node.op === 'parameter') continue
    if (row) row(builder.layer(node))
    else {
      const [what, mend] = REASONS.get(node.op) ?? [`${node.op} has no equal in Caffe`, mendOf(node.op)]
      builder.layer(node).fail(what, mend)
    }
  }
  if (net.graph.outputs.length === 0) {
    builder.problems.push({
      where: net.graph.name,
      what: 'it has no output: losses and metrics are not exported',
      mend: 'write `output NAME = VALUE`',
    })
  }
  const made = builder.finish()
  if (builder.problems.length > 0) throw new ExportError(builder.problems)
  const bytes = made.layers.flatMap(({ blobs }) => blobs).reduce((sum, blob) => sum + bytesOf(blob), 0)
  if (bytes > MOST_BYTES)
    throw new ExportError([{ where: 'weights', what: `${bytes} bytes are more than a caffemodel holds`, mend: 'write --to onnx' }])
  return {
    net: made,
    inputs: net.inputs.map(({ name, shape }) => ({ name, shape: shape.map((dim) => (dim === 'n' ? batch : dim)) })),
    outputs: net.graph.outputs.map(({ name }) => name),
    prototxt: writePrototxt(made),
    caffemodel: writeCaffemodel(made),
  }
}

const mendOf = (op: string): string =>
  traitsOf(operators, { op }).comparesLabels ? 'losses and metrics stay behind: make another value the output'
    : 'make a value in front of it the output, or write --to onnx'
