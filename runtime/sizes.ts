import { type BufferEntry, type InputEntry, type Plan, type Shape, type Size, type TensorEntry, tensorElements } from './format.ts'

export const sizeAt = (size: Size, n: number): number => size.fixed + size.perSample * n

/** Numbers of a `constants` buffer, written out. */
export function contents(buffer: BufferEntry): Float64Array {
  const all = new Float64Array(buffer.elements.fixed)
  let at = 0
  for (const { times, values } of buffer.data ?? []) {
    for (let i = 0; i < times; i++, at += values.length) all.set(values, at)
  }
  return all
}

export const elementCount = (shape: Shape, n = 1): number =>
  shape.reduce<number>((product, dim) => product * (dim === 'n' ? n : dim), 1)

/** First element behind a tensor in its buffer. */
export const tensorEnd = (tensor: TensorEntry, n: number): number => tensor.offset + tensorElements(tensor, n)

/**
 * The tensor that an input is written to: one that fills the buffer `input.NAME`, whatever its shape (a net may read an
 * input flattened only). -1: no kernel reads it.
 */
export const inputTensor = (plan: Plan, input: InputEntry): number =>
  plan.tensors.findIndex((t) => plan.buffers[t.buffer]?.name === `input.${input.name}` && t.offset === 0
    && elementCount(t.shape, 2) === elementCount(input.shape, 2) && elementCount(t.shape, 3) === elementCount(input.shape, 3))

export const showShape = (shape: Shape): string => `[${shape.join(', ')}]`
