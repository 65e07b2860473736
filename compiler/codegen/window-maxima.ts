import { freeAxes } from '../ir/analysis.ts'
import { linearIndex } from '../ir/affine.ts'
import { type Load, LOWEST, walk } from '../ir/expression.ts'
import { type Accumulation, AccumulatorEmitter } from './accumulators.ts'
import type { Operand } from './kernel-function.ts'
import * as operands from './operands.ts'
import { float } from './operands.ts'
import type { Point } from './point.ts'
import { range } from './range.ts'
import { take, type ReductionStep } from './reduction-loops.ts'

/** A row of a window, and the points of its columns. */
interface WindowRow {
  readonly group: number
  readonly row: number
  readonly points: readonly Point[]
}

/** The largest value of a row in each lane, and the column of it. */
interface RowMaximum {
  readonly largest: Operand
  readonly column: Operand
}

/** Maxima of windows that slide over a map, and their positions: what windows share of a row is compared once. */
export abstract class WindowMaximaEmitter extends AccumulatorEmitter {
  /**
   * Finds the maxima of all windows of a tile and their positions, row of the map by row. False, with nothing written, where windows are not of this kind, or
   * only one is asked for.
   */
  protected accumulateWindows({ e, groups, accumulators, positions }: Accumulation, steps: readonly ReductionStep[]): boolean {
    const [down, along] = e.axes
    if (!this.minds('NaN') || positions.length < 2 || !down || !along || e.axes.length !== 2) return false
    const [height, width] = [down.extent as number, along.extent as number]
    const isWhole = steps.length === height * width && steps.every(({ count }) => count === undefined)
    const map = walk(e.body).find((node): node is Load => node.kind === 'load' && freeAxes(node).has(down))
    if (!isWhole || !map || groups.some(([point]) => !point!.lanes)) return false
    const form = linearIndex(map.tensor, map.at)
    const rows = new Map<string, { readonly place: number; readonly windows: WindowRow[] }>()
    for (const [group, [point]] of groups.entries()) {
      let last = -Infinity
      for (const row of range(height)) {
        const points = range(width).map((column) => take(point!, steps[row * width + column]!))
        const first = this.lanesOfIndex(form, points[0]!)?.first
        // The first of equal values is found where a window meets its rows in order.
        if (!first || first.constant <= last) return false
        last = first.constant
        const key = `${first.termsKey} ${last}`
        const found = rows.get(key) ?? { place: last, windows: [] }
        rows.set(key, found)
        found.windows.push({ group, row, points })
      }
    }
    const lowest = this.builder.declareVariable('lowest', float(LOWEST, 4), 4)
    for (const { windows } of [...rows.values()].sort((a, b) => a.place - b.place)) {
      this.builder.step(() => {
        const known = new Map<string, RowMaximum>()
        for (const { group, row, points } of windows) {
          const values = points.map((point) => this.value(e.body, point))
          const key = values.map((value) => this.builder.key(value)).join()
          const found = known.get(key) ?? this.maximumOfRow(lowest, values)
          known.set(key, found)
          this.addRow(accumulators[group]!, positions[group]!, found, row, width)
        }
      })
    }
    return true
  }

  private maximumOfRow(lowest: Operand, values: readonly Operand[]): RowMaximum {
    const { builder } = this
    let [largest, column] = [lowest, float(0)]
    for (const [i, value] of values.entries()) {
      const larger = builder.evaluateHere('max', [largest, value])
      const here = [isSame(larger, largest), float(0), float(i)]
      if (i === 1) column = builder.evaluateHere('select', here)
      else if (i > 1) column = builder.evaluateHere('max', [column, operands.operation('select', here, 'f32', 4)])
      largest = larger
    }
    return { largest, column }
  }

  private addRow(most: Operand, at: Operand, { largest, column }: RowMaximum, row: number, width: number): void {
    const { builder } = this
    if (row === 0) {
      builder.set(most, largest)
      builder.set(at, column)
      return
    }
    const larger = builder.evaluateHere('max', [most, largest])
    const here = builder.arithmetic('add', column, float(row * width))
    builder.set(at, operands.operation('select', [isSame(larger, most), at, here], 'f32', 4))
    builder.set(most, larger)
  }
}

/** Whether a maximum is what it was: an equal value leaves the first one, and NaN has all bits set. */
const isSame = (larger: Operand, before: Operand): Operand => operands.operation('ieq', [larger, before], 'bool', 4)
