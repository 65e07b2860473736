import type { ModelInput } from '../model-net.ts'
import { numberText, quoted } from './argument-text.ts'

/** The type of an input. Throws ImportError for a size or a name that cannot be written. */
export function typeText({ shape, classes }: Pick<ModelInput, 'shape' | 'classes'>): string {
  const sizes = (dims: readonly number[]): string => `[${dims.map((dim) => numberText(dim, 'a size')).join(', ')}]`
  if (classes === undefined) return `f32${sizes(shape)}`
  const labels = typeof classes === 'number' ? String(classes)
    : classes.map((name) => (/^[A-Za-z_]\w*$/.test(name) ? name : quoted(name, 'the name of a class'))).join(', ')
  return `class[${labels}]${shape.length > 0 ? sizes(shape) : ''}`
}
