import { add, constant, type Expression, mul, sub } from '../../../ir/expression.ts'
import { onceByNode } from '../../../ir/once-by-node.ts'

/*
 * Products of a small matrix of numbers and a vector of expressions, with as few operations as its rows let share. Which operations those are depends on the
 * matrix alone, so they are found once for all vectors.
 */

export type Matrix = readonly (readonly number[])[]

/** M'. */
export const columnsOf = onceByNode((m: Matrix): Matrix => m[0]!.map((_, j) => m.map((row) => row[j]!)))

/** M x, with shared sums. */
export function transformed(m: Matrix, x: readonly Expression[]): readonly Expression[] {
  const { steps, results } = recipeOf(m)
  const values = [...x]
  for (const { op, a, by, factor } of steps) {
    const value = values[a]!
    values.push(
      op === 'add' ? add(value, values[by]!)
        : op === 'sub' ? sub(value, values[by]!) : op === 'mul' ? mul(value, factor) : sub(factor, value),
    )
  }
  return results.map((at) => values[at]!)
}

/** An operation on a value, by its place in the list of all: elements of the vector, then what steps gave. */
interface Step {
  readonly op: 'add' | 'sub' | 'mul' | 'negate'
  readonly a: number
  /** The place of the other value. */
  readonly by: number
  /** The factor of a product; zero. One node for all vectors. */
  readonly factor: Expression
}

/** What to do for a product with a matrix, and the places of its elements. */
interface Recipe {
  readonly steps: readonly Step[]
  readonly results: readonly number[]
}

const recipeOf = onceByNode((m: Matrix): Recipe => {
  const recorder = new Recorder(m[0]!.length)
  const results = m.length < m[0]!.length ? transformedInPairs(m, recorder) : transformedByRows(m, recorder)
  return { steps: recorder.steps, results }
})

/** Notes steps; values are their places. */
class Recorder {
  readonly steps: Step[] = []
  /** The places of the vector's elements. */
  readonly elements: readonly number[]

  constructor(size: number) {
    this.elements = Array.from({ length: size }, (_, i) => i)
  }

  step(op: Step['op'], a: number, by = 0): number {
    this.steps.push({ op, a, by, factor: constant(op === 'mul' ? by : 0) })
    return this.elements.length + this.steps.length - 1
  }
}

/**
 * M x where columns differ in signs alone, as those of points p and -p do when results are put together: sums and
 * differences of what they are multiplied by serve all rows.
 */
function transformedInPairs(m: Matrix, recorder: Recorder): number[] {
  const columns = columnsOf(m)
  const x = recorder.elements
  const [factors, values]: [number[][], number[]] = [[], []]
  const done = new Set<number>()
  columns.forEach((column, i) => {
    if (done.has(i)) return
    const twin = columns.findIndex((other, o) => o > i && !done.has(o) && isTwin(column, other))
    if (twin < 0) {
      factors.push([...column])
      values.push(x[i]!)
      return
    }
    done.add(twin)
    const other = columns[twin]!
    factors.push(
      column.map((factor, r) => (factor === other[r] ? factor : 0)),
      column.map((factor, r) => (factor === other[r] ? 0 : factor)),
    )
    values.push(recorder.step('add', x[i]!, x[twin]!), recorder.step('sub', x[i]!, x[twin]!))
  })
  return m.map((_, r) => combination(factors.map((f) => f[r]!), values, recorder))
}

/**
 * M x. Rows that differ in signs alone, as those of points p and -p do, share the sums of what has the same sign in both
 * and of what has not; elements with the same factor are summed up before they are multiplied.
 */
function transformedByRows(m: Matrix, recorder: Recorder): number[] {
  const x = recorder.elements
  const results: number[] = []
  m.forEach((row, r) => {
    if (results[r] !== undefined) return
    const twin = m.findIndex((other, o) => o > r && results[o] === undefined && isTwin(row, other))
    if (twin < 0) {
      results[r] = combination(row, x, recorder)
      return
    }
    const same = combination(row.map((factor, i) => (factor === m[twin]![i] ? factor : 0)), x, recorder)
    const other = combination(row.map((factor, i) => (factor === m[twin]![i] ? 0 : factor)), x, recorder)
    results[r] = recorder.step('add', same, other)
    results[twin] = recorder.step('sub', same, other)
  })
  return results
}

/** Whether two rows differ in signs, here and there. */
const isTwin = (a: readonly number[], b: readonly number[]): boolean =>
  a.every((factor, i) => Math.abs(factor) === Math.abs(b[i]!))
  && a.some((factor, i) => factor !== 0 && factor === b[i]) && a.some((factor, i) => factor !== b[i])

function combination(factors: readonly number[], values: readonly number[], recorder: Recorder): number {
  const sums = new Map<number, number>()
  // The first of each factor decides its sign, so that sums start with what is added.
  const signs = new Map<number, number>()
  const order = [...factors.keys()].filter((i) => factors[i] !== 0).sort((i, j) => Math.sign(factors[j]!) - Math.sign(factors[i]!))
  for (const i of order) {
    const size = Math.abs(factors[i]!)
    const sign = Math.sign(factors[i]!)
    const known = sums.get(size)
    if (known === undefined) {
      sums.set(size, values[i]!)
      signs.set(size, sign)
    } else sums.set(size, recorder.step(sign === signs.get(size) ? 'add' : 'sub', known, values[i]!))
  }
  let total: number | undefined
  for (const [size, value] of [...sums].sort(([p], [q]) => signs.get(q)! - signs.get(p)!)) {
    const term = size === 1 ? value : recorder.step('mul', value, size)
    if (total === undefined) total = signs.get(size)! > 0 ? term : recorder.step('negate', term)
    else total = recorder.step(signs.get(size)! > 0 ? 'add' : 'sub', total, term)
  }
  return total!
}
