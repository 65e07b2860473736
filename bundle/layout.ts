import type { Plan, TensorEntry } from './format.ts'

/* The layout of a plan's tensors in its buffers. A plan says which tensors each one starts after, so that it holds at any batch. */

/** Length of a tensor in its buffer, in elements of 4 bytes: two of f16 share one. */
export const tensorElements = ({ shape, type }: TensorEntry, n: number): number =>
  Math.ceil(shape.reduce<number>((product, dim) => product * (dim === 'n' ? n : dim), type === 'f16' ? 0.5 : 1))

/** The offsets of all tensors, and the sizes of all buffers, at a batch. */
export interface Places {
  /** Start of each tensor in its buffer, in elements. */
  readonly offsets: readonly number[]
  /** Size of each buffer in elements; a scratch buffer reaches as far as the tensors of the programs asked for. */
  readonly sizes: readonly number[]
}

/** Alignment of scratch tensors in elements: WebGPU binds at multiples of 256 bytes (the limit that every device grants). */
export const BINDING_ELEMENTS = 64

/** The layout at batch n. Tensors that are alive at the same time never overlap, whatever n is. `names`: the programs that will run; default all. */
export function placesAt({ buffers, tensors, programs }: Plan, n: number, names: readonly string[] = Object.keys(programs)): Places {
  const used = new Set(
    names.flatMap((name) => [...programs[name]!.dispatches.flatMap((d) => d.tensors), ...Object.values(programs[name]!.results)]),
  )
  const sizes = buffers.map(({ role, elements }) => (role === 'scratch' ? 0 : elements.fixed + elements.perSample * n))
  const ends: number[] = []
  const offsets = tensors.map((t, i) => {
    const start = (t.behind ?? []).reduce((most, other) => Math.max(most, ends[other]!), t.offset)
    const end = start + tensorElements(t, n)
    ends[i] = Math.ceil(end / BINDING_ELEMENTS) * BINDING_ELEMENTS
    if (used.has(i) && buffers[t.buffer]!.role === 'scratch') sizes[t.buffer] = Math.max(sizes[t.buffer]!, ends[i]!)
    return start
  })
  return { offsets, sizes }
}

/** Indices of the buffers that these programs read or write, and of those that the host does. */
export function usedBuffers(plan: Plan, programs: readonly string[]): Set<number> {
  const used = new Set<number>()
  plan.buffers.forEach((b, i) => {
    if (b.role === 'parameters' || b.role === 'states' || b.role === 'input') used.add(i)
  })
  for (const name of programs) {
    const { dispatches, results } = plan.programs[name]!
    for (const index of [...dispatches.flatMap((d) => d.tensors), ...Object.values(results)]) used.add(plan.tensors[index]!.buffer)
  }
  return used
}
