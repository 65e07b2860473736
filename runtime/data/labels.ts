/**
 * What is wrong with a label that no class has, `label 3 is not in 0..2`, and why, where all labels are one too large.
 * `place`: which of the labels it is, if that is not said elsewhere.
 */
export function strayLabel(label: number | string, classes: number, all: Iterable<number>, place = ''): string {
  const text = `label ${label}${place} is not in 0..${classes - 1}`
  for (const other of all) if (other < 1 || other > classes) return text
  return `${text}: these count from 1, and labels count from 0`
}
