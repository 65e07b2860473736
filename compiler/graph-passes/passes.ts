import type { Storage } from '../../bundle/format.ts'
import type { Graph, Node } from '../graph/graph.ts'
import { applySolver } from './apply-solver.ts'
import { differentiate } from './differentiate.ts'
import { dropCancelledBias } from './drop-cancelled-bias.ts'
import { eliminateDead } from './eliminate-dead.ts'
import { eliminateIdentities } from './eliminate-identities.ts'
import { expandBatchNormPass } from './expand-batch-norm.ts'
import { expandSampleNorm } from './expand-sample-norm.ts'
import { foldBatchNorm } from './fold-batch-norm.ts'
import { foldNormalize } from './fold-normalize.ts'
import { givenDivisors } from './given-divisors.ts'
import { hoistAverage } from './hoist-average.ts'
import { joinMoments } from './join-moments.ts'
import { mergeScale } from './merge-scale.ts'
import type { GraphPass } from './pass.ts'
import { prepareBatchNorm } from './prepare-batch-norm.ts'
import { selectLosses } from './select-losses.ts'
import { selectOutputs } from './select-outputs.ts'
import { simplifyTransposes } from './simplify-transposes.ts'
import { splitScale } from './split-scale.ts'
import { storeHalves } from './store-halves.ts'
import { totalResults } from './total-results.ts'

/**
 * The passes between `build-graph` and lowering, in their order; each program takes those that name it.
 *
 *   all                    merge-scale and split-scale first: every later pass sees one spelling for each style
 *   infer                  outputs alone are selected, and what is dead goes, before folding: a metric that reads a
 *                          convolution's raw output does not stop it from being folded where nobody asks for the metric
 *   all                    transpositions in a row are one, or none, before anything is differentiated: so their gradients are too;
 *                          averages go in front of convolutions of 1 x 1 for the same reason, and before folding, which then finds batch_norm behind them
 *   infer, eval            dropout goes before folding, so that conv -> dropout -> batch_norm folds; constants are folded into a
 *                          layer's weight before its batch_norm is; what fold-batch-norm left, prepare-batch-norm takes
 *   .../batch, training    batch_norm is expanded to moments -> normalize, and only then can a cancelled bias be seen; it
 *                          is dropped before differentiate, which then has no bias to ask a gradient for; join-moments
 *                          comes behind it, which looks for moments of what a layer makes
 *   training               expand-sample-norm too: the gradient reads the statistics that the forward pass took
 *   train, accumulate      losses are selected after that, so that all training programs give gradients to the same
 *                          parameters; then what is dead goes, and the solver comes last: it writes what all others read
 *   eval, train, ...       total-results and given-divisors come behind it, since they are of what is given out then, and of the backward pass
 *   f16 storage            infer and eval alone; last, when it is settled which weights are folded
 *   prepare                is made of what `infer` and `eval` left in `graph.prepare`: see `prepareGraph`
 */
export const graphPasses: readonly GraphPass[] = [
  mergeScale,
  splitScale,
  selectOutputs,
  eliminateIdentities,
  simplifyTransposes,
  eliminateDead,
  hoistAverage,
  foldNormalize,
  foldBatchNorm,
  prepareBatchNorm,
  expandBatchNormPass,
  expandSampleNorm,
  dropCancelledBias,
  joinMoments,
  differentiate,
  selectLosses,
  totalResults,
  givenDivisors,
  eliminateDead,
  applySolver,
]

/** The passes for a way of storing values. */
export const passesFor = (storage: Storage): readonly GraphPass[] => (storage === 'f16' ? [...graphPasses, storeHalves] : graphPasses)

/**
 * The program that makes what others read prepared. Their nodes of one name compute one thing and write to one place, however
 * many of them folded the same layer.
 */
export function prepareGraph(base: Graph, programs: readonly Graph[]): Graph {
  const nodes = new Map<string, Node>()
  for (const graph of programs) for (const node of graph.prepare ?? []) if (!nodes.has(node.name)) nodes.set(node.name, node)
  return { name: base.name, inputs: [], parameters: base.parameters, nodes: [...nodes.values()], outputs: [] }
}
