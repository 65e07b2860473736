import type { BufferEntry, InputEntry, Plan, Shape, Size, TensorEntry } from './format.ts'
import { tensorElements } from './layout.ts'

/** An amount at a batch of n. */
export const sizeAt = (size: Size, n: number): number => size.fixed + size.perSample * n

/** Numbers of a `constants` buffer, written out: all that are given, from its beginning. What lies behind them is 0. */
export function contents({ data = [] }: BufferEntry): Float32Array<ArrayBuffer> {
  const all = new Float32Array(data.reduce((sum, { times, values }) => sum + times * values.length, 0))
  let at = 0
  for (const { times, values } of data) {
    const end = at + times * values.length
    if (values.length === 1) all.fill(values[0]!, at, end)
    else for (; at < end; at += values.length) all.set(values, at)
    at = end
  }
  return all
}

/** Elements of a shape at a batch of n; with n = 1, those of one sample. */
export const elementCount = (shape: Shape, n = 1): number => shape.reduce<number>((product, dim) => product * (dim === 'n' ? n : dim), 1)

/** First element behind a tensor in its buffer. */
export const tensorEnd = (tensor: TensorEntry, n: number): number => tensor.offset + tensorElements(tensor, n)

/**
 * The tensor that an input is written to: one that fills the buffer `input.NAME`, whatever its shape (a net may read an
 * input flattened only). -1: no kernel reads it.
 */
export function inputTensor(plan: Plan, input: InputEntry): number {
  const [two, three] = [2, 3].map((n) => elementCount(input.shape, n))
  return inputBuffers(plan).get(`input.${input.name}`)
    ?.find((i) =>
      plan.tensors[i]!.offset === 0 && elementCount(plan.tensors[i]!.shape, 2) === two && elementCount(plan.tensors[i]!.shape, 3) === three
    ) ?? -1
}

const found = new WeakMap<Plan, ReadonlyMap<string, readonly number[]>>()

/** Tensors in each buffer of role `input`, by its name: asked for with every call, of nets with very many tensors. */
function inputBuffers(plan: Plan): ReadonlyMap<string, readonly number[]> {
  const known = found.get(plan)
  if (known) return known
  const tensors = new Map<string, number[]>()
  plan.tensors.forEach((t, i) => {
    const { name, role } = plan.buffers[t.buffer] ?? {}
    if (role !== 'input' || name === undefined) return
    const list = tensors.get(name)
    if (list) list.push(i)
    else tensors.set(name, [i])
  })
  found.set(plan, tensors)
  return tensors
}

/** `[n, 20, 12, 12]` */
export const showShape = (shape: Shape): string => `[${shape.join(', ')}]`
