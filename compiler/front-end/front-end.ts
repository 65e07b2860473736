import type { Diagnostic } from '../../dsl/diagnostic.ts'
import { loadProgram } from '../../dsl/index.ts'
import type { Program } from '../../dsl/program.ts'
import type { Source } from '../../dsl/source.ts'
import type { Style } from '../../bundle/format.ts'
import type { Graph } from '../graph/graph.ts'
import { operators } from '../ops/registry.ts'
import { accumulationProblems } from './accumulation.ts'
import { boundProblems } from './bounds.ts'
import { buildGraph } from './build-graph.ts'
import { doubts } from './doubts.ts'
import { channelsBehind } from './foreign-orders.ts'
import { freezeParameters } from './freeze-parameters.ts'
import { oneValueProblems } from './one-value.ts'
import { vocabulary } from './vocabulary.ts'
import { dropNormalization } from './without-normalization.ts'

/** The options of the compiler that say how a text is read: `CompileOptions` explains them. */
export interface FrontEndOptions {
  readonly file?: string
  readonly style?: Style
  readonly readImport?: (path: string, from: Source) => Source | undefined
  readonly freeze?: readonly string[]
  readonly normalize?: boolean
  readonly batch?: number
  readonly allowOneValue?: boolean
}

/** The meaning of a text, or its mistakes. */
export interface FrontEnd {
  readonly program?: Program
  readonly graph?: Graph
  readonly diagnostics: readonly Diagnostic[]
  /** Every text that was read, the main one first. */
  readonly sources: readonly Source[]
}

/** Reads a text and its imports, builds the graph, and gathers every independent mistake. Where one is an error, there is neither program nor graph. */
export function frontEnd(source: string | Source, options: FrontEndOptions): FrontEnd {
  const main = typeof source === 'string' ? { file: options.file ?? '<text>', text: source } : source
  const sources = [main]
  const readImport = options.readImport && ((path: string, from: Source): Source | undefined => {
    const found = options.readImport!(path, from)
    if (found && !sources.some((s) => s.file === found.file)) sources.push(found)
    return found
  })
  const loaded = loadProgram(main, { vocabulary, ...(readImport && { readImport }) })
  if (!loaded.program) return { diagnostics: loaded.diagnostics, sources }
  const program = options.normalize === false ? dropNormalization(loaded.program) : loaded.program
  const built = buildGraph(program, { operators, ...(options.style && { style: options.style }) })
  const frozen = built.graph && options.freeze?.length ? freezeParameters(built.graph, operators, options.freeze) : undefined
  const graph = frozen?.graph ?? built.graph
  const values = graph && !options.allowOneValue ? oneValueProblems(graph, operators, program.train, options.batch) : []
  const bounds = graph ? boundProblems(program, graph) : []
  const sums = graph ? accumulationProblems(graph, program.train) : []
  const pointedAt = new Set(built.diagnostics.flatMap(({ labels }) => labels.map(({ span }) => span)))
  const doubtful = graph ? doubts(program, graph, operators)
    : channelsBehind(program).filter(({ labels }) => !labels.some(({ span }) => pointedAt.has(span)))
  const diagnostics = [
    ...loaded.diagnostics,
    ...built.diagnostics,
    ...(frozen?.diagnostics ?? []),
    ...values,
    ...bounds,
    ...sums,
    ...doubtful,
  ]
  if (diagnostics.some((d) => d.severity === 'error')) return { diagnostics, sources }
  return { program, ...(graph && { graph }), diagnostics, sources }
}
