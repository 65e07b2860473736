import { elementCount } from '../../../bundle/sizes.ts'
import { type Constant, dimensionsConstant, lazyConstant } from '../value.ts'

/** A constant whose element i is element `place(i)` of `c`. */
export function rearranged(c: Constant, shape: readonly number[], place: (i: number) => number): Constant {
  const count = elementCount(shape)
  if (c.dimensions) return dimensionsConstant(Array.from({ length: count }, (_, i) => c.dimensions![place(i)]!), shape, c.type)
  return lazyConstant(c, shape, () => {
    const values = c.values()
    const result = new (values.constructor as Float32ArrayConstructor)(count)
    for (let i = 0; i < count; i++) result[i] = values[place(i)]!
    return result
  })
}

/** The same elements under another shape. */
export function reshaped(c: Constant, shape: readonly number[]): Constant {
  return { ...c, shape }
}

/** How far apart the elements of each axis lie. */
export function stepsOf(shape: readonly number[]): number[] {
  const steps = new Array<number>(shape.length)
  let step = 1
  for (let d = shape.length - 1; d >= 0; d--) {
    steps[d] = step
    step *= shape[d]!
  }
  return steps
}

/** The place of an element of `shape`, in a tensor that lies `steps` apart from `base` on. */
export function placed(shape: readonly number[], steps: readonly number[], base = 0): (i: number) => number {
  return (i) => {
    let at = base
    for (let d = shape.length - 1; d >= 0; d--) {
      at += (i % shape[d]!) * steps[d]!
      i = Math.floor(i / shape[d]!)
    }
    return at
  }
}

/** The place of an element of `shape` in a tensor of `from`, whose axes of one are repeated; axes that it has not are in front. */
export function repeating(from: readonly number[], shape: readonly number[]): (i: number) => number {
  const own = stepsOf(from)
  return placed(
    shape,
    shape.map((_, d) => {
      const at = d - shape.length + from.length
      return at < 0 || from[at] === 1 ? 0 : own[at]!
    }),
  )
}
