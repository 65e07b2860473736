import type { MatchedWeight, WeightsMatch } from '../runtime/match-weights.ts'
import { showShape } from '../bundle/sizes.ts'
import type { Screen } from './screen.ts'

/** Rows of what was taken, which is told layer by layer; all else is told. */
const MOST_TAKEN = 12

/**
 * Prints to standard error which weights of another net were taken, which parameters are fresh and why, and which weights are left over.
 */
export function showMatch({ taken, fresh, left }: WeightsMatch, file: string, screen: Screen): void {
  screen.note(
    `weights of ${file}: ${taken.length} of ${
      taken.length + fresh.length
    } parameters taken, ${fresh.length} fresh, ${left.length} left over`,
  )
  const row = (state: string) => ({ name, shape, why = '' }: MatchedWeight): string[] => [state, name, showShape(shape), why]
  const plain = taken.filter(({ why }) => why === undefined)
  const rows = [
    ...taken.filter(({ why }) => why !== undefined).map(row('converted')),
    ...plain.slice(0, MOST_TAKEN).map(row('taken')),
    ...(plain.length > MOST_TAKEN ? [['taken', `... and ${plain.length - MOST_TAKEN} more`, '', '']] : []),
    ...fresh.map(row('fresh')),
    ...left.map(row('left over')),
  ]
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((cells) => cells[column]!.length)))
  for (const cells of rows) screen.note(`  ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()}`)
}

/** The same report as JSON. */
export const matchReport = ({ taken, fresh, left }: WeightsMatch): Record<string, unknown> => ({
  taken: taken.map(({ name }) => name),
  ...(taken.some(({ why }) => why !== undefined) && { converted: taken.filter(({ why }) => why !== undefined) }),
  fresh,
  left,
})
