import { dropCancelledBias } from '../../compiler/graph-passes/drop-cancelled-bias.ts'
import { expandBatchNormPass } from '../../compiler/graph-passes/expand-batch-norm.ts'
import { mergeScale } from '../../compiler/graph-passes/merge-scale.ts'
import type { GraphPass } from '../../compiler/graph-passes/pass.ts'
import { splitScale } from '../../compiler/graph-passes/split-scale.ts'
import type { Graph } from '../../compiler/graph/graph.ts'
import { operators } from '../../compiler/ops/registry.ts'

/**
 * Biases in front of a batch normalization, which takes them away with the mean. Their gradient is 0: fusenet has it so, and where PyTorch
 * adds up rounding errors in its place a solver that divides by the size of gradients would make steps of them. Names of parameters; of
 * split style none, where fusenet adds up the same errors.
 */
export function cancelledBiases(graph: Graph): ReadonlySet<string> {
  const run = (before: Graph, pass: GraphPass): Graph => pass.run(before, { program: 'train', operators }).graph
  const expanded = [mergeScale, splitScale, expandBatchNormPass].reduce(run, graph)
  const still = biasesRead(run(expanded, dropCancelledBias))
  const cancelled = [...biasesRead(expanded)].filter((value) => !still.has(value))
  return new Set(graph.parameters.filter(({ value }) => cancelled.includes(value)).map(({ name }) => name))
}

/** `shift`, which is added to a mean that is kept, is not among them. */
const biasesRead = (graph: Graph) => new Set(graph.nodes.flatMap(({ parameters }) => (parameters['bias'] ? [parameters['bias']] : [])))
