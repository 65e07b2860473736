/**
 * What is wrong with a label that no class has, `label 3 is not in 0..2`, and what to look for, where all that are here may be one too large. They
 * may be those of one batch, which need not hold a 0.
 * `place`: which of the labels it is, if that is not said elsewhere.
 */
export function strayLabel(label: number | string, classes: number, all: Iterable<number>, place = ''): string {
  const text = `label ${label}${place} is not in 0..${classes - 1}`
  for (const other of all) if (other < 1 || other > classes) return text
  return `${text}: labels count from 0, and none here is 0; if yours count from 1, subtract 1`
}
