import { replaceNode } from './rewrite.ts'
import { type Expression, type Load, type Reduction, walk } from './expression.ts'
import { inlineProducer, storedAt } from './inline.ts'
import { type Axis, axesOf, isAxis, minus, rangeOf, times } from './affine.ts'
import { equation, type Equation, type FusedProducer } from './equation.ts'
import { strideOf } from './analysis.ts'

/** The equation with its fused producer as a plain prologue, as if nobody else read the map: cost models weigh this one. */
export function computedOnLoad(e: Equation): Equation {
  if (!e.fusedProducer) return e
  const { fusedProducer: onLoad, ...plain } = e
  const { stores } = inlineProducer(equation('', [], onLoad.axes, [onLoad.store]), plain)
  return { ...plain, stores }
}

/** The load of the fused producer's map in a factor. */
export const loadOf = (factor: Expression, { store: { tensor } }: FusedProducer): Load | undefined =>
  walk(factor).find((node): node is Load => node.kind === 'load' && node.tensor === tensor)

/** The factor with the fused producer's value in place of the load, and that value alone. */
export function madeIn(
  factor: Expression,
  load: Load,
  { store }: FusedProducer,
): { readonly factor: Expression; readonly made: Expression } {
  const made = storedAt(store, load.at)
  return { factor: replaceNode(factor, load, made), made }
}

/** The output axis along which windows move over a dimension of a map, and by how much. */
export interface Moving {
  readonly axis: Axis
  readonly step: number
}

/**
 * How windows move along each dimension of the fused producer's map; `whole`: every one takes in all of it, as of channels that
 * are summed up. Undefined unless each element lies among the first `step` of exactly one window, from the place that it stands for
 * on: that one owns it, and whoever else loads it does not store it.
 */
export function windowsOver(e: Equation, main: Reduction, { at, tensor: { shape } }: Load): readonly (Moving | 'whole')[] | undefined {
  const found = at.map((index, d): Moving | 'whole' | undefined => {
    if (!index.terms.every(({ atom }) => atom.kind === 'axis')) return undefined
    const axes = axesOf(index)
    const [output, ...others] = axes.filter((a) => e.axes.includes(a))
    if (!output) return axes.length === 1 && axes[0]!.extent === shape[d] && isAxis(index, axes[0]!) ? 'whole' : undefined
    const step = strideOf(index, output)!
    const window = minus(index, times(output, step))
    const { min, max } = rangeOf(window)
    const dense = window.terms.every(({ coefficient }) => Math.abs(coefficient) === 1) && axesOf(window).every((a) => main.axes.includes(a))
    const covered = output.extent === 'n' ? shape[d] === 'n' : step * (output.extent as number) >= (shape[d] as number)
    return others.length === 0 && dense && covered && min <= 0 && max >= step - 1 ? { axis: output, step } : undefined
  })
  return found.every((f) => f !== undefined) ? found : undefined
}

/** Whether a workgroup loads whole windows at a time, so that the fused producer is computed once for all their steps. */
export function loadsWindowsWhole(main: Reduction, { at }: Load, stage: ReadonlyMap<Axis, number>): boolean {
  return at.every((index) =>
    axesOf(index).length === 1 || axesOf(index).every((a) => !main.axes.includes(a) || (stage.get(a) ?? 1) === a.extent)
  )
}
