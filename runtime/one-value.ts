import { InputError } from '../bundle/errors.ts'
import { type Manifest, type NormalizationEntry, taskOf, TRAINING_PROGRAMS } from '../bundle/format.ts'
import { sizeAt } from '../bundle/sizes.ts'

/**
 * Statistics of one value mean nothing: its mean is the value and its variance 0, so that what is normalized is 0 whatever came in,
 * and nothing in front of it learns. This happens to a `batch_norm` behind `fc`, or on maps of one pixel, at batch 1.
 */

/** Whether a program normalizes a layer with the statistics of its batch. */
function usesBatch({ stats }: NormalizationEntry, program: string): boolean {
  if (program === 'prepare') return false
  if (program.endsWith('/batch') || stats === 'batch') return true
  return !program.endsWith('/global') && TRAINING_PROGRAMS.includes(program as typeof TRAINING_PROGRAMS[number]) && stats !== 'global'
}

/** Layers whose statistics would rest on one value a channel where a program runs at a batch. */
export const oneValueLayers = ({ normalizations = [] }: Manifest, program: string, batch: number): readonly NormalizationEntry[] =>
  normalizations.filter((layer) => sizeAt(layer.values, batch) <= 1 && usesBatch(layer, program))

/** Refuses that. Throws InputError with the layers and what to do instead. */
export function checkValues(manifest: Manifest, programs: readonly string[], batch: number): void {
  for (const program of programs) {
    const layers = oneValueLayers(manifest, program, batch)
    if (layers.length > 0) throw new InputError(oneValueProblem(layers, program, batch))
  }
}

function oneValueProblem(layers: readonly NormalizationEntry[], program: string, batch: number): string {
  const names = layers.slice(0, 4).map(({ layer }) => layer).join(', ') + (layers.length > 4 ? ` and ${layers.length - 4} more` : '')
  const trains = TRAINING_PROGRAMS.some((name) => taskOf(name) === taskOf(program))
  const grows = layers.some(({ values }) => values.perSample > 0)
  const keeps = layers.every(({ stats }) => stats !== 'batch')
  const ways = [
    ...(grows ? [`take a larger batch (batch: 32, --batch 32)`] : []),
    keeps ? "use the stored statistics (stats: 'global', --stats global)"
      : 'let the layer keep statistics (leave out its stats: batch) and use those',
    ...(trains ? ['say so if it is meant: allowOneValue: true'] : []),
  ]
  return `${names} ${
    layers.length === 1 ? 'normalizes each channel' : 'normalize each channel'
  } with the statistics of the batch, and at batch ${batch} those rest on one value: `
    + `${trains ? 'nothing in front of it could learn' : 'what comes out would not depend on what goes in'}. ${
      ways.join('; or ').replace(/^./, (c) => c.toUpperCase())
    }`
}
