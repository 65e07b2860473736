import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { TrainSettings } from '../../dsl/program.ts'
import { headOf } from '../../dsl/source.ts'
import { normalizationsOf } from './choose-programs.ts'
import type { Graph } from '../graph/graph.ts'
import type { Operator } from '../ops/operator.ts'

/**
 * A training whose file names a batch at which layers normalize one value a channel: what comes out of them is 0 whatever goes in,
 * so nothing in front of them learns. An error where the batch is written (or `batch` says it in its place), a warning where it
 * is 1 because nobody said: `open` may be given another one. `train/one-value`
 */
export function oneValueProblems(
  graph: Graph,
  operators: ReadonlyMap<string, Operator>,
  train: TrainSettings | undefined,
  batch?: number,
): Diagnostic[] {
  if (!train) return []
  const chosen = batch ?? train.batch
  const layers = normalizationsOf(graph, operators).filter(({ stats, values }) =>
    stats !== 'global' && values.fixed + values.perSample * chosen <= 1
  )
  const [first, ...others] = layers.map(({ layer }) => graph.nodes.find(({ name }) => name === layer)!)
  if (!first) return []
  const grows = layers.some(({ values }) => values.perSample > 0)
  const isWritten = train.batchSpan !== undefined || batch !== undefined
  const names = [first, ...others].slice(0, 4).map(({ name }) => name).join(', ') +
    (others.length > 3 ? ` and ${others.length - 3} more` : '')
  const settings = train.batchSpan ?? headOf(train.span, 'train')
  const said = train.batchSpan || !grows ? 'the batch of the training' : 'no batch is named here, so it is 1'
  return [{
    severity: isWritten || !grows ? 'error' : 'warning',
    code: 'train/one-value',
    message: `${names} ${others.length > 0 ? 'normalize' : 'normalizes'} one value a channel at batch ${chosen}, so nothing in front of ${
      others.length > 0 ? 'them' : 'it'
    } can learn`,
    labels: [
      { span: first.span, text: 'statistics of one value' },
      ...others.slice(0, 3).map(({ span }) => ({ span, text: 'and here' })),
      { span: settings, text: said },
    ],
    hint: grows ? 'train with a larger batch, e.g. train { batch 32 }, or normalize with stored statistics: batch_norm(stats: global)'
      : 'take batch_norm out there, or normalize with stored statistics: batch_norm(stats: global)',
  }]
}
