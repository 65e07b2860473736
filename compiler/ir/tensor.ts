import type { ElementType } from '../../bundle/format.ts'

/** A dimension: a number, or `n`, the batch, chosen when a bundle is opened. Only axis 0 may be `n`. */
export type Dim = number | 'n'
export type Shape = readonly Dim[]

/** What loops read and write: the ground under graph values. Row-major (NCHW, OIHW). */
export interface Tensor {
  /** Unique within one compilation. */
  readonly id: number
  readonly name: string
  readonly shape: Shape
  /** How elements are stored; loops see numbers. Labels are i32; f16 is rounded as it is stored and widened as it is loaded. */
  readonly type: ElementType
}

let created = 0

/** A fresh tensor. Ids only tell tensors apart; nothing that is printed depends on them. */
export function tensor(name: string, shape: Shape, type: ElementType = 'f32'): Tensor {
  return { id: nextTensorId(), name, shape, type }
}

export function nextTensorId(): number {
  return created++
}

/** `[n, 20, 12, 12]` */
export const showShape = (shape: Shape): string => `[${shape.join(', ')}]`

/** Elements of one sample (of the whole where there is no batch). */
export const elementsPerSample = (shape: Shape): number => shape.reduce<number>((product, dim) => product * (dim === 'n' ? 1 : dim), 1)

export const elementBytes = (t: Tensor): number => (t.type === 'f16' ? 2 : 4)

export const isBatched = (shape: Shape): boolean => shape[0] === 'n'

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((dim, i) => dim === b[i])

/** Row-major strides in elements. Independent of the batch, since only axis 0 may be `n`. */
export function strides(shape: Shape): number[] {
  const result = new Array<number>(shape.length).fill(1)
  for (let i = shape.length - 2; i >= 0; i--) result[i] = result[i + 1]! * (shape[i + 1] as number)
  return result
}
