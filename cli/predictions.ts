import type { Bundle, TensorData } from '../bundle/format.ts'
import { countOf } from '../bundle/plain.ts'
import { type Screen, showNumber, showPercent } from './screen.ts'

/** The prediction of an output for one sample: a class and its score. */
export interface Choice {
  readonly label: number
  readonly name?: string
  readonly score: number
}

/** The names of the columns of an output [n, C] that scores the classes of a label; undefined where they have none. */
export function classNamesOf(bundle: Bundle, output: string): readonly string[] | undefined {
  const { inputs, outputs } = bundle.manifest
  const label = outputs.find(({ name }) => name === output)?.scores
  return label === undefined ? undefined : inputs.find(({ name }) => name === label)?.classNames
}

/** Whether it is known that an output scores no classes: the net says what it learns, and this is something else. */
function isOfNoClasses(bundle: Bundle, output: string): boolean {
  const { outputs } = bundle.manifest
  return outputs.some(({ role }) => role === 'loss') && outputs.every(({ name, scores }) => name !== output || scores === undefined)
}

/** The best choices of a row, best first; none where a score is no number, as an evaluation counts. */
export function bestOf(row: ArrayLike<number>, names: readonly string[] | undefined, most: number): Choice[] {
  if (Array.from(row).some((score) => Number.isNaN(score))) return []
  return Array.from(row, (score, label) => ({ label, ...(names?.[label] !== undefined && { name: names[label] }), score }))
    .sort((a, b) => b.score - a.score || a.label - b.label).slice(0, most)
}

const MOST_ROWS = 100
const MOST_BESIDE = 3

/** A table of a classifier's answers: the file, the class, how sure; for other outputs their numbers. */
export function showPredictions(
  tensors: ReadonlyMap<string, TensorData>,
  bundle: Bundle,
  files: readonly string[] | undefined,
  screen: Screen,
): void {
  for (const [name, { shape, data }] of tensors) {
    const classNames = classNamesOf(bundle, name)
    const values = data as ArrayLike<number>
    screen.print(`${screen.colors.bold(name)} [${shape.join(', ')}]`)
    if (shape.length === 2 && shape[1]! > 1 && (classNames || files) && !isOfNoClasses(bundle, name)) {
      const rows = Math.min(shape[0]!, MOST_ROWS)
      const width = shape[1]!
      const all = Array.from({ length: rows }, (_, row) => Array.from({ length: width }, (_, i) => values[row * width + i]!))
      const scored = all.filter((row) => !row.some((score) => Number.isNaN(score)))
      const probable = scored.every(isDistribution)
      const show = (score: number): string => (probable ? showPercent(score) : showNumber(score))
      const called = (choice: Choice): string => choice.name ?? String(choice.label)
      screen.table(
        [files ? 'file' : 'sample', 'class', probable ? 'probability' : 'score', 'then'],
        all.map((row, i) => {
          const [first, ...rest] = bestOf(row, classNames, 1 + MOST_BESIDE)
          if (!first) return [files?.[i] ?? i, '-', 'NaN', '']
          return [
            files?.[i] ?? i,
            called(first),
            show(first.score),
            rest.map((choice) => `${called(choice)} ${show(choice.score)}`).join('  '),
          ]
        }),
        [2],
      )
      if (scored.length < rows)
        screen.print(`${countOf(rows - scored.length, 'sample')} of ${rows}: scores that are not numbers, so no class`)
      if (shape[0]! > rows) screen.print(`... ${shape[0]! - rows} more; -o results.csv writes all`)
    } else showNumbers(shape, values, files, !isOfNoClasses(bundle, name), screen)
  }
}

const isDistribution = (row: readonly number[]): boolean =>
  row.every((value) => value >= 0 && value <= 1 + 1e-4) && Math.abs(row.reduce((sum, value) => sum + value, 0) - 1) < 1e-3

/** Shows the largest values of each row with their places if it is `ranked`, else the first ones in their order. */
function showNumbers(
  shape: readonly number[],
  values: ArrayLike<number>,
  files: readonly string[] | undefined,
  ranked: boolean,
  screen: Screen,
): void {
  const all = Array.from(values)
  const width = shape.length === 2 ? shape[1]! : all.length
  const rows = shape.length === 2 ? Math.min(shape[0]!, files ? MOST_ROWS : 20) : 1
  for (let row = 0; row < rows; row++) {
    const from = files?.[row] ?? (ranked && width === 1 ? undefined : row)
    const line = all.slice(row * width, (row + 1) * width)
    const best = ranked && shape.length === 2 && width > 1 ? bestOf(line, undefined, 5) : []
    screen.print(
      best.length > 0
        ? `  ${row}: ${best.map(({ label, score }) => `${label} (${showNumber(score)})`).join('  ')}`
        : `  ${from === undefined || shape.length !== 2 && !files ? '' : `${from}: `}${line.slice(0, 10).map(showNumber).join(' ')}${
          line.length > 10 ? ' ...' : ''
        }`,
    )
  }
  if (shape.length === 2 && shape[0]! > rows) screen.print(`  ... ${shape[0]! - rows} more; -o writes all`)
}

/**
 * Results as CSV: a row a sample, what it comes from first, then a column a number, called as the class that it scores, or NAME_0, NAME_1, ...
 * The names of several results are put in front. Undefined: a result is no table.
 */
export function csvOf(
  tensors: ReadonlyMap<string, TensorData>,
  bundle: Bundle,
  samples: number,
  files: readonly string[] | undefined,
): string | undefined {
  const columns: { readonly name: string; readonly at: (row: number) => number }[] = []
  for (const [name, { shape, data }] of tensors) {
    if (shape.length > 2 || shape[0] !== samples) return undefined
    const width = shape[1] ?? 1
    const classNames = classNamesOf(bundle, name)
    for (let i = 0; i < width; i++) {
      const own = classNames?.[i]
      columns.push({
        name: own !== undefined ? (tensors.size > 1 ? `${name}.${own}` : own) : shape.length === 1 || width === 1 ? name : `${name}_${i}`,
        at: (row) => Number((data as ArrayLike<number>)[row * width + i]!),
      })
    }
  }
  const first = files ? 'file' : 'sample'
  const lines = [[first, ...columns.map(({ name }) => name)].map(cell).join(',')]
  for (let row = 0; row < samples; row++)
    lines.push([cell(files?.[row] ?? String(row)), ...columns.map(({ at }) => String(at(row)))].join(','))
  return `${lines.join('\n')}\n`
}

/** A cell of CSV, quoted by RFC 4180. */
const cell = (text: string): string => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
