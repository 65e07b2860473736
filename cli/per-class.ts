import type { ClassEvaluation, ClassScore } from '../runtime/per-class.ts'
import { type Screen, showPercent } from './screen.ts'

/** Classes whose confusions fit a terminal as a square; of more the most frequent ones are told. */
const MOST_SQUARE = 16
const MOST_TOLD = 20

/** A row a class, their mean, and which class was taken for which. */
export function showClasses({ label, output, classes, confusion, ignored, unscored }: ClassEvaluation, screen: Screen): void {
  const called = ({ name, label: k }: ClassScore): string => name ?? String(k)
  const percent = (value: number | undefined): string => (value === undefined ? '-' : showPercent(value))
  const mean = (of: 'precision' | 'recall' | 'f1'): string => {
    const values = classes.flatMap((each) => each[of] ?? [])
    return percent(values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : undefined)
  }
  const labels = classes.reduce((sum, { support }) => sum + support, 0)
  screen.print(`\n${screen.colors.bold(`${label}, as ${output} scores it`)}`)
  screen.table(['class', 'precision', 'recall', 'F1', 'labels', 'predicted'], [
    ...classes.map((each) => [called(each), percent(each.precision), percent(each.recall), percent(each.f1), each.support, each.predicted]),
    ['mean', mean('precision'), mean('recall'), mean('f1'), labels, labels - unscored],
  ], [1, 2, 3, 4, 5])
  if (ignored > 0) screen.print(`${ignored} labels are ignored`)
  if (unscored > 0) screen.print(`${unscored} have scores that are not numbers, and count as wrong`)
  if (classes.length <= MOST_SQUARE) {
    screen.print(`\n${screen.colors.bold('taken for')}`)
    screen.table(
      ['', ...classes.map(called)],
      confusion.map((row, k) => [called(classes[k]!), ...row.map((n) => n || '.')]),
      classes.map((_, k) => k + 1),
    )
    return
  }
  const wrong = confusion.flatMap((row, i) => row.flatMap((n, j) => (i !== j && n > 0 ? [{ i, j, n }] : []))).sort((a, b) =>
    b.n - a.n || a.i - b.i || a.j - b.j
  )
  if (wrong.length === 0) return
  screen.print(`\n${screen.colors.bold('most often wrong')}`)
  screen.table(
    ['class', 'taken for', 'times', 'of'],
    wrong.slice(0, MOST_TOLD).map(({ i, j, n }) => [called(classes[i]!), called(classes[j]!), n, classes[i]!.support]),
    [2, 3],
  )
}
