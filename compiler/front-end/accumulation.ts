import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { TrainSettings } from '../../dsl/program.ts'
import type { DivisorEntry } from '../../bundle/format.ts'
import type { Graph } from '../graph/graph.ts'
import { countedLosses, divisorBuffer } from '../ops/loss/normalization.ts'

const DIVISORS = 'constants.'

/** The label inputs whose labels a host counts before an update of several batches. */
export function divisorsOf(graph: Graph, train: TrainSettings | undefined): DivisorEntry[] {
  if (!train || train.accumulate === 1) return []
  const found = new Map<string, DivisorEntry>()
  for (const { node, labels, ignore } of countedLosses(graph.nodes)) {
    const slot = divisorBuffer({ inputs: [labels], attributes: node.attributes })
    if (slot !== undefined) found.set(slot, { input: labels.name, ignore, buffer: `${DIVISORS}${slot}` })
  }
  return [...found.values()]
}

/**
 * The losses that cannot be added up over several batches: a mean over targets that are not ignored, where the net computes these, so that nobody
 * knows beforehand how many there are. `train/accumulate-computed`
 */
export function accumulationProblems(graph: Graph, train: TrainSettings | undefined): Diagnostic[] {
  if (!train || train.accumulate === 1) return []
  return countedLosses(graph.nodes).filter(({ node, labels }) =>
    divisorBuffer({ inputs: [labels], attributes: node.attributes }) === undefined
  ).map(({ node, labels }) => ({
    severity: 'error',
    code: 'train/accumulate-computed',
    message:
      `${node.name} is a mean over the targets that are not ignored, and the net computes them: with accumulate ${train.accumulate} it is not known beforehand how many all batches have`,
    labels: [{ span: node.span, text: 'here' }, { span: labels.madeAt, text: 'computed here' }],
    hint: 'read targets from an input, or write normalization: batch_size',
  }))
}
