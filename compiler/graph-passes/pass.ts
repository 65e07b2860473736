import type { AttributeCall } from '../../dsl/signature.ts'
import type { ProgramName, Style } from '../../bundle/format.ts'
import type { Graph } from '../graph/graph.ts'
import type { Declined } from '../graph/rewrite.ts'
import type { Operator } from '../ops/operator.ts'

/** The settings of the file's train block that concern updates. */
export interface UpdateSettings {
  readonly solver: AttributeCall
  /** Batches whose gradients are added up before one update. */
  readonly accumulate: number
}

/** The knowledge of a pass beyond the graph. The style stands on each batch_norm (`attributes.style`): see build-graph. */
export interface PassContext {
  /** The program that the graph is on its way to. */
  readonly program: ProgramName
  readonly operators: ReadonlyMap<string, Operator>
  /** How the net is lowered as a whole. Absent: merged. */
  readonly style?: Style
  /** The settings of programs that update. */
  readonly train?: UpdateSettings
}

export interface PassResult {
  readonly graph: Graph
  /** The nodes that the pass could have changed and did not, with the reasons: `inspect` prints these. */
  readonly declined: readonly Declined[]
}

/** A named value from graph to graph. Passes are pure, know nothing of each other, and leave order to the pipeline. */
export interface GraphPass {
  readonly name: string
  /** The programs that it works on; in others it is left out. */
  readonly programs: readonly ProgramName[]
  /** A net without it would compute other numbers, or ask for other inputs: nobody may leave it out. Absent: it only makes the net faster. */
  readonly required?: true
  readonly run: (graph: Graph, context: PassContext) => PassResult
}
