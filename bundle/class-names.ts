import type { Shape } from './format.ts'
import { countOf, plain, UNPRINTABLE } from './plain.ts'
import { elementCount } from './sizes.ts'

/** Why these cannot be names of classes; undefined if they can. */
export function namesProblem(names: readonly string[], classes?: number): string | undefined {
  const seen = new Set<string>()
  for (const name of names) {
    if (typeof name !== 'string' || name === '') return 'a class without a name'
    // What is printed on terminals and written into files may not command them.
    if (UNPRINTABLE.test(name)) return `a control character in the name of class "${plain(name, 40)}"`
    if (name.length > 255) return `a class with a name of ${name.length} letters (${name.slice(0, 40)}...)`
    if (seen.has(name)) return `two classes ${name}`
    seen.add(name)
  }
  return classes !== undefined && names.length !== classes ? `${countOf(names.length, 'name')} for ${classes} classes` : undefined
}

/** Why these cannot be names of the columns that numbers of this shape come from; undefined if they can. */
export function columnsProblem(columns: readonly string[], shape: Shape): string | undefined {
  const size = elementCount(shape)
  if (!Array.isArray(columns) || columns.length !== size) return `columns is a list of ${countOf(size, 'name')}`
  return namesProblem(columns)?.replaceAll('classes', 'columns').replaceAll('class', 'column')
}
