/** What the zoo says, as tables. */

const COLUMNS = ['merged', 'split', 'no-bn', 'before', 'narrow', 'torch', 'torch-compile', 'ort-node']
const TITLES = { train: 'one training step', infer: 'inference' }

/** merged over each other subject, by minima; absent where one was not measured or gave another result. */
export function ratiosOf({ ms, wrong = [] }) {
  const merged = ms?.merged?.minimum
  return Object.fromEntries(
    COLUMNS.slice(1).filter((name) => merged && ms[name] && !wrong.includes(name)).map((name) => [name, merged / ms[name].minimum]),
  )
}

/** Adds to each row of a net how many times faster than the first one's merged is: `speedUp`, absent of the first and where one failed. */
export const addSpeedUps = ([first, ...others]) => [
  first,
  ...others.map((row) => (first.ms?.merged && row.ms?.merged ? { ...row, speedUp: first.ms.merged.minimum / row.ms.merged.minimum } : row)),
]

export const geometricMean = (numbers) => Math.exp(numbers.reduce((sum, x) => sum + Math.log(x), 0) / numbers.length)

/** The means of the ratios of rows with one program and number of threads, and of their `speedUp`: `{ split: 0.9, ... }`. */
export function meansOf(rows) {
  const ratios = rows.map((row) => ({ ...ratiosOf(row), speedUp: row.speedUp }))
  return Object.fromEntries(
    [...COLUMNS.slice(1), 'speedUp'].map((name) => [name, ratios.map((r) => r[name]).filter(Boolean)]).filter(([, list]) => list.length > 0)
      .map(([name, list]) => [name, geometricMean(list)]),
  )
}

/** A line of the table: what of `columns` was measured, then merged over each. */
export function drawRow(row, columns) {
  const { net, batch, threads, ms, wrong = [], error } = row
  const head = `${net} (${batch ?? ''})`.padEnd(20) + String(threads ?? '').padStart(2)
  if (error) return `${head}  FAILED: ${error.split('\n')[0]}`
  const ratios = ratiosOf(row)
  const times = columns.map((name) => (ms[name] ? milliseconds(ms[name].minimum) : '').padStart(13))
  const parts = columns.slice(1).map((name) => (ratios[name]?.toFixed(2) ?? (wrong.includes(name) ? 'WRONG' : '')).padStart(13))
  return head + times.join('') + '   ' + parts.join('') + (row.speedUp ? timesFaster(row.speedUp) : '')
}

const timesFaster = (ratio) => `x ${ratio.toFixed(2)}`.padStart(13)

/** `threads`: the numbers of them that the table has rows for. */
export const drawHead = (program, columns, threads = []) =>
  `${TITLES[program]}: minima in ms, then merged over each${
    threads.length > 1 ? `, then how much faster than by ${threads[0]} thread${threads[0] === 1 ? '' : 's'}` : ''
  }\n${'net (batch)'.padEnd(20)}${' t'}${columns.map((name) => name.padStart(13)).join('')}   ${
    columns.slice(1).map((name) => `/ ${name}`.padStart(13)).join('')
  }`

/** `threads`: of all rows, where the table has others beside. */
export const drawMeans = (rows, columns, threads) => {
  const means = meansOf(rows)
  const most = (name) => Math.max(...rows.map((row) => ratiosOf(row)[name] ?? 0))
  const line = (title, value) =>
    (threads === undefined ? title.padEnd(22) : title.padEnd(20) + String(threads).padStart(2)) + ' '.repeat(13 * columns.length + 3) +
    columns.slice(1).map((name) => (means[name] ? value(name).toFixed(2) : '').padStart(13)).join('')
  return [line('geometric mean', (name) => means[name]) + (means.speedUp ? timesFaster(means.speedUp) : ''), line('largest', most)].join(
    '\n',
  )
}

const milliseconds = (ms) => ms.toFixed(ms < 10 ? 2 : 1)
