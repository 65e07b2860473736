import type { Program } from '../dsl/program.ts'
import type { Source } from '../dsl/source.ts'
import { type DataType, FORMAT, FORMAT_VERSION, type Manifest, type Plan, type TrainEntry } from '../bundle/format.ts'
import { divisorsOf } from './front-end/accumulation.ts'
import { normalizationsOf } from './front-end/choose-programs.ts'
import type { Graph, Value } from './graph/graph.ts'
import { sha256Hex } from './hash.ts'
import { operators } from './ops/registry.ts'
import { totalsOf } from './ops/totals.ts'
import { traitsOf } from './ops/traits.ts'
import { scoredLabels } from './scored-labels.ts'

/** The manifest of a bundle: what the net takes, gives and learns, beside its plans. `choices`: of the options, those that a bundle tells. */
export function manifestOf(
  program: Program,
  graph: Graph,
  choices: Pick<Manifest, 'style' | 'memory' | 'precise' | 'freeze' | 'schedules' | 'programs'>,
  sources: readonly Source[],
  plans: Record<string, Plan>,
): Manifest {
  const declared = new Map(program.inputs.map((input) => [input.name, input]))
  const ignored = ignoredLabels(graph)
  const scored = scoredLabels(graph, operators)
  const totals = totalsOf(graph, operators)
  const divisors = divisorsOf(graph, program.train)
  return {
    format: FORMAT,
    version: FORMAT_VERSION,
    name: program.name,
    ...choices,
    source: { files: sources.map(({ file, text }) => ({ name: file, text })), sha256: sha256Hex(sources.map((s) => s.text).join('\0')) },
    inputs: graph.inputs.map((input) => ({
      name: input.name,
      type: input.type as DataType,
      shape: input.shape,
      ...(declared.get(input.name)?.classes !== undefined && { classes: declared.get(input.name)!.classes }),
      ...(declared.get(input.name)?.classNames && { classNames: declared.get(input.name)!.classNames }),
      ...(ignored.has(input.name) && { ignore: ignored.get(input.name)! }),
    })),
    outputs: graph.outputs.filter((o) => o.role !== 'gradient').map((o) => ({
      name: o.name,
      role: o.role as 'output' | 'loss' | 'metric',
      shape: o.value.shape,
      ...(o.weight !== undefined && o.weight !== 1 && { weight: o.weight }),
      ...(o.role === 'metric' && betterOf(graph, o.value)),
      ...(scored.has(o.name) && { scores: scored.get(o.name)! }),
      ...(totals.has(o.name) && { total: totals.get(o.name)! }),
    })),
    parameters: graph.parameters.map((p) => ({
      name: p.name,
      shape: p.value.shape as readonly number[],
      offset: p.value.storage!.offset,
      trainable: p.trainable,
      ...(p.frozen && { frozen: p.frozen }),
      initializer: p.initializer,
      layer: p.layer,
    })),
    normalizations: normalizationsOf(graph, operators),
    ...(program.train && { train: { ...trainEntry(program.train), ...(divisors.length > 0 && { divisors }) } }),
    plans,
  }
}

/** Whether more or less of a metric is better, where the operator that makes it tells. */
function betterOf(graph: Graph, metric: Value): { readonly better?: 'higher' | 'lower' } {
  const node = graph.nodes.find(({ outputs }) => outputs.includes(metric))
  const better = node && traitsOf(operators, node).betterIs
  return better ? { better } : {}
}

/**
 * Labels that all losses and metrics pass over that read them, beside the classes: no others mean anything. One that a loss ignores and a metric
 * does not has no score there to compare; `doubts` warns of such nets.
 */
function ignoredLabels(graph: Graph): Map<string, number[]> {
  const found = new Map<string, number[]>()
  for (const node of graph.nodes) {
    const ignore = node.attributes['ignore']
    const label = node.inputs[1]
    if (label?.type !== 'i32') continue
    const own = typeof ignore === 'number' ? [ignore] : []
    found.set(label.name, found.get(label.name)?.filter((other) => own.includes(other)) ?? own)
  }
  return found
}

function trainEntry(train: NonNullable<Program['train']>): TrainEntry {
  const { span: _, batchSpan: _batch, ...rest } = train
  return rest as TrainEntry
}
