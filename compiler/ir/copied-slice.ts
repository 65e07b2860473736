import { type Axis, type Index, isAxis } from './affine.ts'
import type { Equation } from './equation.ts'
import type { Tensor } from './tensor.ts'

/** The slice of another map that an equation copies a whole map into, and does nothing else: whole channels, from one on. */
export function copiedSlice(
  { axes, stores: [copy, ...others], sides }: Equation,
): { readonly source: Tensor; readonly target: Tensor; readonly from: number } | undefined {
  if (!copy || others.length > 0 || copy.value.kind !== 'load' || sides.length > 0) return undefined
  const { tensor: source, at } = copy.value
  const isWhole = source.shape.length === axes.length && at.every((index, d) => isAxis(index, axes[d]!)) &&
    axes.every((a, d) => a.extent === source.shape[d])
  // Statistics, and loops that run through a map, take whole maps: what is a part of a larger map along another dimension stays by itself.
  const fits = isWhole && copy.tensor.shape.length === axes.length &&
    copy.tensor.shape.every((extent, d) => d === 1 || extent === source.shape[d])
  const from = fits ? firstChannel(copy.at, axes) : undefined
  return from === undefined ? undefined : { source, target: copy.tensor, from }
}

/** The channel that a copy starts at, where all other dimensions stay as they are. */
function firstChannel(at: readonly Index[], axes: readonly Axis[]): number | undefined {
  const channel = at[1]
  if (!channel || at.length !== axes.length || !at.every((index, d) => d === 1 || isAxis(index, axes[d]!))) return undefined
  const [term, ...more] = channel.terms
  const shifted = term && more.length === 0 && term.coefficient === 1 && term.atom.kind === 'axis' && term.atom.axis === axes[1]
  return shifted ? channel.constant : undefined
}
