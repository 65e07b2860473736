import type { ImportProblem } from '../import-error.ts'
import type { ModelResult } from '../model-net.ts'
import { type BlobRef, type CaffeLayer, DATA_TYPES, type Dataflow } from './dataflow.ts'
import { SINKS } from './layers/converters.ts'
import { lossConverters } from './layers/loss.ts'
import type { NetBuilder } from './net-builder.ts'

/** `loss_weight` of a layer that is no loss: the sum of what it makes is one. */
export function extraLosses(builder: NetBuilder, layer: CaffeLayer): void {
  if (layer.type in lossConverters || layer.type === 'Reduction') return
  layer.message.numbers('loss_weight').forEach((weight, top) => {
    const blob = weight === 0 || !layer.train ? undefined : builder.blob({ layer, top, blob: '' })
    if (!blob) return
    const value = builder.value(`${layer.tops[top]!}/sum`)
    builder.layers.push({ op: 'sum', inputs: [blob.value], arguments: {}, output: value, from: [layer.name] })
    builder.results.push({ kind: 'loss', name: `${layer.tops[top]!}_sum`, value, weight })
  })
}

/** Values by the names of blobs, or of layers. */
export function wantedRefs(names: readonly string[], flow: Dataflow, problems: ImportProblem[]): BlobRef[] {
  return names.flatMap((name) => {
    const layer = flow.layers.find((other) => other.name === name)
    const found = flow.last.get(name) ?? (layer && layer.tops.length > 0 ? { layer, top: 0, blob: name } : undefined)
    if (found) return [{ ...found, blob: name }]
    const near = [...flow.last.keys()].slice(-12).join(', ')
    problems.push({ where: `--outputs ${name}`, what: 'no blob and no layer has that name', mend: `the last are ${near}` })
    return []
  })
}

/** Losses and metrics as they were found, and as outputs what was asked for or what no layer reads. */
export function resultsOf(
  builder: NetBuilder,
  flow: Dataflow,
  layers: readonly CaffeLayer[],
  wanted: readonly BlobRef[] | undefined,
): readonly ModelResult[] {
  const scalars = new Set(builder.results.map(({ value }) => value))
  const outputs = (wanted ?? unread(flow, layers)).flatMap((ref): ModelResult[] => {
    const blob = builder.blob(ref)
    if (!blob || blob.scalar || scalars.has(blob.value)) return []
    return [{ kind: 'output', name: ref.blob, value: blob.value }]
  })
  if (outputs.length === 0 && !wanted) outputs.push(...predictions(builder))
  return [...outputs, ...builder.results]
}

function unread(flow: Dataflow, layers: readonly CaffeLayer[]): BlobRef[] {
  const read = new Map<CaffeLayer, Set<number>>()
  for (const { bottoms } of flow.layers) for (const { layer, top } of bottoms) read.set(layer, (read.get(layer) ?? new Set()).add(top))
  return layers.filter(({ type }) => !DATA_TYPES.has(type) && type !== 'Python' && !SINKS.has(type)).flatMap((layer) =>
    layer.tops.map((blob, top) => ({ layer, top, blob })).filter(({ top }) => !read.get(layer)?.has(top))
  )
}

/** What a net says that has losses alone: the probabilities of its scores, or what is compared with targets. */
function predictions(builder: NetBuilder): ModelResult[] {
  return builder.heads.map(({ value, loss, function: made }): ModelResult => {
    if (made === undefined) return { kind: 'output', name: value, value }
    const name = builder.heads.length === 1 ? 'prob' : `${loss}_prob`
    const output = builder.value(name)
    builder.layers.push({ op: made, inputs: [value], arguments: {}, output, from: [] })
    builder.note('', 'changed', `the net has losses alone: \`output ${name} = ${made}(...)\` of the scores is added`)
    return { kind: 'output', name, value: output }
  })
}
