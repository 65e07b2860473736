import type { Diagnostic } from '../../dsl/diagnostic.ts'
import { matchNames } from '../../bundle/name-patterns.ts'
import { type Graph, type Node, type ParameterEntry, value, type Value } from '../graph/graph.ts'
import { substituteValues } from '../graph/rewrite.ts'
import { nextOffset } from '../graph/storage.ts'
import type { Operator } from '../ops/operator.ts'
import { traitsOf } from '../ops/traits.ts'
import { elementsPerSample } from '../ir/tensor.ts'

export interface Frozen {
  /** The graph. Absent where there are problems. */
  readonly graph?: Graph
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * The net with the parameters that patterns mean frozen: they lie in `states`, beside running statistics, so that nothing asks for their gradients,
 * the solver does not see them, and the backward pass ends where nothing below learns. A batch_norm whose running mean and variance are among them
 * normalizes with these in training too, as with `stats: global`, and keeps them. Errors: patterns that mean nothing, a mean frozen
 * without its variance, a net with a loss in which nothing is left to learn. `freeze/...`
 */
export function freezeParameters(graph: Graph, operators: ReadonlyMap<string, Operator>, patterns: readonly string[]): Frozen {
  const { names, problems } = matchNames(patterns, graph.parameters.map((entry) => entry.name))
  const mistake = (code: string, message: string, hint?: string): Diagnostic => ({
    severity: 'error',
    code: `freeze/${code}`,
    message,
    labels: [],
    ...(hint !== undefined && { hint }),
  })
  const diagnostics = problems.map((message) => mistake('no-parameter', `freeze: ${message}`))
  const values = new Set(graph.parameters.filter((entry) => names.has(entry.name)).map((entry) => entry.value))
  const halves = graph.nodes.filter(({ parameters: { running_mean: mean, running_var: variance } }) =>
    mean && variance && values.has(mean) !== values.has(variance)
  )
  for (const { name } of halves)
    diagnostics.push(
      mistake(
        'half',
        `freeze: of ${name} the running ${
          names.has(`${name}.running_mean`) ? 'mean is frozen and the variance' : 'variance is frozen and the mean'
        } is not`,
        `freeze both, ${name}.running_*, or all of ${name}`,
      ),
    )
  const learns = graph.parameters.some((entry) => entry.trainable && !names.has(entry.name))
  if (diagnostics.length === 0 && !learns && graph.outputs.some(({ role }) => role === 'loss') && names.size > 0) {
    diagnostics.push(mistake('all', 'freeze: nothing would be left to learn', "'!NAME' behind the others leaves a layer out"))
  }
  return diagnostics.length > 0 ? { diagnostics } : { graph: frozen(graph, operators, names, values), diagnostics }
}

function frozen(
  graph: Graph,
  operators: ReadonlyMap<string, Operator>,
  names: ReadonlySet<string>,
  values: ReadonlySet<Value>,
): Graph {
  const moved = new Map<Value, Value>()
  const offsets = { parameters: 0, states: 0 }
  // Both buffers are packed anew, so that the solver's loop is as long as what learns.
  const parameters = graph.parameters.map((entry): ParameterEntry => {
    const isFrozen = names.has(entry.name)
    const trainable = entry.trainable && !isFrozen
    const role = trainable ? 'parameters' as const : 'states' as const
    const { name, shape, madeAt } = entry.value
    const now = value(name, shape, madeAt, { storage: { role, offset: offsets[role] } })
    offsets[role] = nextOffset(offsets[role], elementsPerSample(shape))
    moved.set(entry.value, now)
    return { ...entry, value: now, trainable, ...(isFrozen && { frozen: true }) }
  })
  const keepsStatistics = ({ parameters: { running_mean: mean } }: Node): boolean => mean !== undefined && values.has(mean)
  const nodes = graph.nodes.map((node) => {
    const { statistics } = traitsOf(operators, node)
    return statistics && keepsStatistics(node) ? { ...node, attributes: statistics.frozen(node.attributes) } : node
  })
  return { ...substituteValues({ ...graph, nodes }, moved), parameters }
}
