import type { ElementType, Shape } from '../../bundle/format.ts'
import { elementCount } from '../../bundle/sizes.ts'

export type { Dim, Shape } from '../../bundle/format.ts'
export { showShape } from '../../bundle/sizes.ts'

/** What loops read and write: the ground under graph values. Row-major (NCHW, OIHW). */
export interface Tensor {
  /** Unique within one compilation. */
  readonly id: number
  readonly name: string
  readonly shape: Shape
  /** How elements are stored; loops see numbers. Labels are i32; f16 is rounded as it is stored and widened as it is loaded. */
  readonly type: ElementType
  /** Where it lives, if it outlives the program. Absent: scratch memory, placed by the memory plan. */
  readonly storage?: StorageSlot
}

/**
 * Values that outlive a program are packed: every parameter lies in the buffer `parameters`, its gradient at the same
 * offset of `gradients`, its solver history at the same offset of `history.<slot>`: a solver is one loop over all.
 */
export interface StorageSlot {
  readonly role: 'input' | 'parameters' | 'gradients' | 'history' | 'states' | 'constants' | 'prepared'
  /** Which history (`h`, `m`, `v`), or the input's or prepared value's own name. */
  readonly slot?: string
  /** The start in elements; packed values start at multiples of 64 (256 bytes, what every WebGPU lets a binding start at). */
  readonly offset: number
}

/** The name of the buffer that a tensor lies in. Undefined for scratch, which the memory plan places. */
export const bufferOf = ({ storage }: Tensor): string | undefined =>
  storage && (storage.slot ? `${storage.role}.${storage.slot}` : storage.role)

let created = 0

/** A fresh tensor. Ids only tell tensors apart; nothing that is printed depends on them. */
export function tensor(name: string, shape: Shape, type: ElementType = 'f32'): Tensor {
  return { id: nextTensorId(), name, shape, type }
}

export function nextTensorId(): number {
  return created++
}

/** Elements of one sample (of the whole where there is no batch). */
export const elementsPerSample = (shape: Shape): number => elementCount(shape)

export const elementBytes = (t: Tensor): number => (t.type === 'f16' ? 2 : 4)

export const isBatched = (shape: Shape): boolean => shape[0] === 'n'

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((dim, i) => dim === b[i])

/** Row-major strides in elements. Independent of the batch, since only axis 0 may be `n`. */
export function strides(shape: Shape): number[] {
  const result = new Array<number>(shape.length).fill(1)
  for (let i = shape.length - 2; i >= 0; i--) result[i] = result[i + 1]! * (shape[i + 1] as number)
  return result
}

/** Whether writing one tensor changes the other: both are stored, and their places overlap. */
export function overlap(a: Tensor, b: Tensor): boolean {
  if (a === b) return true
  if (!a.storage || !b.storage || bufferOf(a) !== bufferOf(b)) return false
  return a.storage.offset < b.storage.offset + elementsPerSample(b.shape) &&
    b.storage.offset < a.storage.offset + elementsPerSample(a.shape)
}
