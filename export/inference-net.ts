import type { Bundle, Manifest, Style, TensorData } from '../bundle/format.ts'
import { CompileError } from '../compiler/compile-error.ts'
import { frontEnd } from '../compiler/front-end/front-end.ts'
import { eliminateDead } from '../compiler/graph-passes/eliminate-dead.ts'
import { eliminateIdentities } from '../compiler/graph-passes/eliminate-identities.ts'
import { foldBatchNorm } from '../compiler/graph-passes/fold-batch-norm.ts'
import { mergeScale } from '../compiler/graph-passes/merge-scale.ts'
import type { GraphPass } from '../compiler/graph-passes/pass.ts'
import { selectOutputs } from '../compiler/graph-passes/select-outputs.ts'
import { splitScale } from '../compiler/graph-passes/split-scale.ts'
import type { Graph, Node, Value } from '../compiler/graph/graph.ts'
import { readsOf } from '../compiler/graph/query.ts'
import { operators } from '../compiler/ops/registry.ts'
import { evaluateEquation, type Numbers } from '../compiler/targets/interpreter/evaluate.ts'
import { ExportError, type ExportProblem } from './export-error.ts'

/** A net to export: its text and its parameters, as a bundle has them. */
export type ExportSource = Pick<Bundle, 'manifest' | 'weights'>

export interface InferenceOptions {
  /** Parameters by name, in place of those of the bundle. */
  readonly parameters?: ReadonlyMap<string, TensorData>
  /** The spelling of batch normalization: one layer, or batch_norm and scale. Absent: as the text has it. */
  readonly style?: Style
  /** Whether batch normalizations are folded into the layers in front of them. */
  readonly fold?: boolean
}

/** A tensor of the net: learned, kept, or a number of the text. */
export interface NetTensor {
  /** Its name in files of weights. */
  readonly name: string
  readonly shape: readonly number[]
  readonly values: () => Float32Array
}

/** The net as it infers: what its outputs need, without what does nothing at test time. */
export interface InferenceNet {
  readonly manifest: Manifest
  readonly graph: Graph
  /** Inputs that its outputs need. */
  readonly inputs: readonly Value[]
  readonly tensors: ReadonlyMap<Value, NetTensor>
}

/** Reads the text that a bundle carries. Throws ExportError for parameters that are missing or have another shape. */
export function inferenceNet(source: ExportSource, { parameters = source.weights, style, fold }: InferenceOptions): InferenceNet {
  const { manifest } = source
  const lowered = fold ? 'merged' : style
  const built = graphOf(manifest, lowered)
  const passes = [
    ...(lowered === undefined ? [] : [mergeScale, splitScale]),
    selectOutputs,
    eliminateIdentities,
    eliminateDead,
    ...(fold ? [foldBatchNorm] : []),
  ]
  const context = { program: 'infer', operators, ...(lowered && { style: lowered }) } as const
  const graph = passes.reduce((now: Graph, pass: GraphPass) => pass.run(now, context).graph, built)
  const read = new Set([...graph.nodes.flatMap(readsOf), ...graph.outputs.map(({ value }) => value)])
  return { manifest, graph, inputs: graph.inputs.filter((input) => read.has(input)), tensors: tensorsOf(graph, parameters) }
}

function graphOf({ source }: Manifest, style: Style | undefined): Graph {
  const [main, ...others] = source.files.map(({ name, text }) => ({ file: name, text }))
  if (!main) throw new ExportError([{ where: '', what: 'this bundle carries no text, of which nets are exported' }])
  const { graph, diagnostics } = frontEnd(main, {
    ...(style && { style }),
    allowOneValue: true,
    readImport: (path) => others.find(({ file }) => file.endsWith(path.replace(/^\.\//, ''))),
  })
  if (!graph) throw new CompileError(diagnostics)
  return graph
}

function tensorsOf(graph: Graph, given: ReadonlyMap<string, TensorData> | undefined): Map<Value, NetTensor> {
  const tensors = new Map<Value, NetTensor>()
  const problems: ExportProblem[] = []
  const reads = new Set([...graph.nodes, ...(graph.prepare ?? [])].flatMap(readsOf))
  for (const { name, value } of graph.parameters) {
    if (!reads.has(value)) continue
    const shape = value.shape as readonly number[]
    const found = given?.get(name)
    if (!found) problems.push({ where: name, what: given ? 'the weights do not have it' : 'the bundle has no weights' })
    else if (found.shape.join() !== shape.join())
      problems.push({ where: name, what: `the weights have it as [${found.shape.join(', ')}], the net as [${shape.join(', ')}]` })
    else tensors.set(value, { name, shape, values: () => Float32Array.from(found.data as ArrayLike<number>) })
  }
  if (problems.length > 0) throw new ExportError(problems)
  for (const { value, values } of graph.constants ?? []) {
    const numbers = values.flatMap(({ times, values }) => Array.from({ length: times }, () => values).flat())
    tensors.set(value, { name: value.name, shape: value.shape as readonly number[], values: () => Float32Array.from(numbers) })
  }
  for (const [value, tensor] of prepared(graph, tensors)) tensors.set(value, tensor)
  // Others went into what is prepared.
  const stays = new Set(graph.nodes.flatMap(readsOf))
  return new Map([...tensors].filter(([value]) => stays.has(value)))
}

/** What passes left to be computed once, in float64 and rounded once. Its tensors are called after the layer that reads them. */
function prepared(graph: Graph, known: ReadonlyMap<Value, NetTensor>): Map<Value, NetTensor> {
  const made = new Map<Value, NetTensor>()
  const storage = new Map<Value, Numbers>()
  const nodes = graph.prepare ?? []
  for (const value of new Set(nodes.flatMap(readsOf))) {
    const tensor = known.get(value)
    if (tensor) storage.set(value, tensor.values())
  }
  for (const node of nodes)
    for (const equation of operators.get(node.op)!.equations(node)) evaluateEquation(equation, storage as Map<never, Numbers>, { batch: 1 })
  for (const node of graph.nodes)
    for (const [role, value] of rolesOf(node)) {
      const values = storage.get(value)
      if (!value.storage || value.storage.role !== 'prepared' || !values) continue
      made.set(value, { name: `${node.layer}.${role}`, shape: value.shape as readonly number[], values: () => Float32Array.from(values) })
    }
  return made
}

const rolesOf = (node: Node): readonly (readonly [string, Value])[] => Object.entries(node.parameters)
