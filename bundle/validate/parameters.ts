import type { ParameterEntry } from '../format.ts'
import { say } from '../plain.ts'
import { elementCount, showShape } from '../sizes.ts'
import { MOST_ELEMENTS } from './limits.ts'
import type { Report } from './report.ts'

export function distinct(names: readonly string[], path: string, report: Report): void {
  const seen = new Set<string>()
  names.forEach((n, i) => {
    if (seen.has(n)) report(`${path}[${i}].name`, `${say(n)} is there twice`)
    seen.add(n)
  })
}

export function checkParameters(parameters: readonly ParameterEntry[], report: Report): void {
  for (const trainable of [true, false]) {
    const sorted = parameters.map((p, i) => ({ p, i })).filter(({ p }) => p.trainable === trainable).sort((a, b) => a.p.offset - b.p.offset)
    sorted.forEach(({ p, i }, k) => {
      const before = sorted[k - 1]?.p
      if (before && before.offset + elementCount(before.shape) > p.offset)
        report(`parameters[${i}].offset`, `${p.name} overlaps ${before.name}`)
    })
  }
  const all = parameters.reduce((sum, p) => sum + elementCount(p.shape), 0)
  if (all > MOST_ELEMENTS) report('parameters', `hold ${all} numbers, a net has ${MOST_ELEMENTS} at most`)
  parameters.forEach(({ initializer: { kind }, shape: s }, i) => {
    if (kind === 'bilinear' && (s.length !== 4 || s[2] !== s[3]))
      report(`parameters[${i}].initializer`, `bilinear wants [o, i, k, k], the shape is ${showShape(s)}`)
  })
}
