import type { Equation } from './equation.ts'
import { nextTensorId, type Shape, type Tensor } from './tensor.ts'

/** A kernel that reads a weight as it is packed, and the equations that pack it: the last one writes it. */
export interface PrepackedKernel {
  readonly equation: Equation
  readonly preparation: readonly Equation[]
}

/** Whether nothing that runs beside a kernel writes a tensor: `prepare` may then pack it. */
export type IsConstant = (t: Tensor) => boolean

/**
 * The tensor that holds a weight in another form. Two kernels that want the same form of one weight share it: it is known by its slot.
 * `form` tells forms apart, in a word.
 */
export const packedTensor = (weight: Tensor, form: string, shape: Shape): Tensor => {
  const name = `${weight.name}.${form}`
  return { id: nextTensorId(), name, shape, type: 'f32', storage: { role: 'prepared', slot: name, offset: 0 } }
}
