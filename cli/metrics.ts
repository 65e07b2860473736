import type { Evaluation } from '../runtime/evaluate-options.ts'
import { showNumber, showPercent } from './screen.ts'

/** Accuracies read as percent, losses as they are. */
export const showMetric = (name: string, value: number): string => (/^(accuracy|top)/i.test(name) ? showPercent(value) : showNumber(value))

export const showMetrics = ({ metrics }: Evaluation): string =>
  Object.entries(metrics).map(([name, value]) => `${name} ${showMetric(name, value)}`).join(', ')

/** Mean and sample deviation of each metric over several runs. */
export function spreadOf(runs: readonly Evaluation[]): Record<string, { mean: number; deviation: number }> {
  return Object.fromEntries(
    Object.keys(runs[0]?.metrics ?? {}).map((name) => {
      const values = runs.map((run) => run.metrics[name]!)
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length
      const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
      return [name, { mean, deviation: Math.sqrt(squares / Math.max(1, values.length - 1)) }]
    }),
  )
}
