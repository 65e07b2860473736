import type { BufferEntry, Shape, Size, TensorEntry } from './format.ts'

export const sizeAt = (size: Size, n: number): number => size.fixed + size.perSample * n

/** Elements of a buffer at batch n: a shared slot holds the largest of its tensors. */
export const bufferElements = (buffer: BufferEntry, n: number): number =>
  Math.max(...[buffer.elements, ...(buffer.largestOf ?? [])].map((size) => sizeAt(size, n)))

export const elementCount = (shape: Shape, n = 1): number =>
  shape.reduce<number>((product, dim) => product * (dim === 'n' ? n : dim), 1)

/** First element behind a tensor in its buffer. */
export const tensorEnd = (tensor: TensorEntry, n: number): number => tensor.offset + elementCount(tensor.shape, n)

export const showShape = (shape: Shape): string => `[${shape.join(', ')}]`
