import { freeAxes } from '../ir/analysis.ts'
import { linearIndex } from '../ir/affine.ts'
import { type Load, LOWEST, walk } from '../ir/expression.ts'
import { type Accumulation, AccumulatorEmitter, isProduct } from './accumulators.ts'
import { lanesOf, type Operand } from './kernel-function.ts'
import * as operands from './operands.ts'
import { float, isZero } from './operands.ts'
import type { Point } from './point.ts'
import { range } from './range.ts'
import { take, type ReductionStep } from './reduction-loops.ts'

/** A row of a window, and the points of its columns. */
interface WindowRow {
  readonly group: number
  readonly row: number
  readonly points: readonly Point[]
}

/** What a row comes to in each lane, and the column of its largest value; undefined where all of it is zero. */
interface RowResult {
  readonly value: Operand | undefined
  readonly column?: Operand
}

type Combine = 'add' | 'max'

/** Sums, maxima and positions of maxima over windows that slide over a map: what windows share of a row is loaded, and put together, once. */
export abstract class WindowRowsEmitter extends AccumulatorEmitter {
  /**
   * Reduces all windows of a tile, row of the map by row, each window's rows in its own order. False, with nothing written, where windows are not of this
   * kind, or no other shares what one has of a row.
   */
  protected accumulateWindows({ e, groups, accumulators, positions, across }: Accumulation, steps: readonly ReductionStep[]): boolean {
    const [down, along] = e.axes
    if (!this.minds('NaN') || across || isProduct(e) || !down || e.axes.length > 2) return false
    // Sums have one order, whatever the tile is.
    if (accumulators.length < 2 && (e.combine !== 'sum' || !along)) return false
    const [height, width] = [down.extent as number, (along?.extent ?? 1) as number]
    const isWhole = height > 1 && steps.length === height * width && steps.every(({ count }) => count === undefined)
    const map = walk(e.body).find((node): node is Load => node.kind === 'load' && freeAxes(node).has(down))
    if (!isWhole || !map || groups.some((members) => members.length > 1 || !members[0]!.lanes)) return false
    const rows = this.rowsOfMap(map, groups, steps, height, width)
    if (!rows) return false
    const op: Combine = e.combine === 'sum' ? 'add' : 'max'
    const lowest = positions.length > 0 ? this.builder.declareVariable('lowest', float(LOWEST, 4), 4) : undefined
    for (const windows of rows) {
      this.builder.step(() => {
        const known = new Map<string, RowResult>()
        for (const { group, row, points } of windows) {
          const values = points.map((point) => this.value(e.body, point))
          const key = values.map((value) => this.builder.key(value)).join()
          const found = known.get(key) ?? (lowest ? this.positionInRow(lowest, values) : this.resultOfRow(op, values))
          known.set(key, found)
          if (lowest) this.addPosition(accumulators[group]!, positions[group]!, found, row, width)
          else this.addRow(op, accumulators[group]!, found, row)
        }
      })
    }
    return true
  }

  /** The rows of all windows, by the row of the map that they lie in, from the first of each window to its last; undefined where these are not in order. */
  private rowsOfMap(
    map: Load,
    groups: Accumulation['groups'],
    steps: readonly ReductionStep[],
    height: number,
    width: number,
  ): (readonly WindowRow[])[] | undefined {
    const form = linearIndex(map.tensor, map.at)
    const rows = new Map<string, { readonly place: number; readonly windows: WindowRow[] }>()
    let direction = 0
    for (const [group, [point]] of groups.entries()) {
      let last: number | undefined
      for (const row of range(height)) {
        const points = range(width).map((column) => take(point!, steps[row * width + column]!))
        const first = this.lanesOfIndex(form, points[0]!)?.first
        if (!first) return undefined
        // The first of equal values is found, and sums have one order, where a window meets its rows in order.
        const step = Math.sign(first.constant - (last ?? first.constant))
        if (last !== undefined && (step === 0 || step === -direction)) return undefined
        direction ||= step
        last = first.constant
        const key = `${first.termsKey} ${last}`
        const found = rows.get(key) ?? { place: last, windows: [] }
        rows.set(key, found)
        found.windows.push({ group, row, points })
      }
    }
    return [...rows.values()].sort((a, b) => direction * (a.place - b.place)).map(({ windows }) => windows)
  }

  private resultOfRow(op: Combine, values: readonly Operand[]): RowResult {
    const seen = op === 'add' ? values.filter((value) => !isZero(value)) : values
    return { value: seen.length === 0 ? undefined : seen.reduce((a, b) => this.builder.evaluateHere(op, [a, b])) }
  }

  private addRow(op: Combine, accumulator: Operand, { value }: RowResult, row: number): void {
    if (!value) return
    const isFirst = row === 0 && lanesOf(value) === 4
    this.builder.set(accumulator, isFirst ? value : this.builder.evaluateHere(op, [accumulator, value]))
  }

  private positionInRow(lowest: Operand, values: readonly Operand[]): RowResult {
    const { builder } = this
    // Compared with itself, NaN has all bits set.
    const start = values[0]!.kind === 'number' ? lowest : values[0]!
    let [largest, column] = [start, float(0)]
    for (const [i, value] of values.entries()) {
      const larger = builder.evaluateHere('max', [largest, value])
      const here = [isSame(larger, largest), float(0), float(i)]
      if (i === 1) column = builder.evaluateHere('select', here)
      else if (i > 1) column = builder.evaluateHere('max', [column, operands.operation('select', here, 'f32', 4)])
      largest = larger
    }
    return { value: largest, column }
  }

  private addPosition(most: Operand, at: Operand, { value, column }: RowResult, row: number, width: number): void {
    const { builder } = this
    if (row === 0) {
      builder.set(most, value!)
      builder.set(at, column!)
      return
    }
    const larger = builder.evaluateHere('max', [most, value!])
    const here = builder.arithmetic('add', column!, float(row * width))
    builder.set(at, operands.operation('select', [isSame(larger, most), at, here], 'f32', 4))
    builder.set(most, larger)
  }
}

/** Whether a maximum is what it was: an equal value leaves the first one, and NaN has all bits set. */
const isSame = (larger: Operand, before: Operand): Operand => operands.operation('ieq', [larger, before], 'bool', 4)
