import type { Bundle, TensorData } from '../bundle/format.ts'

/** What wrappers of PyTorch put in front of every name: DistributedDataParallel and DataParallel, torch.compile. */
const WRAPPERS = ['module.', '_orig_mod.']

/** What normalizations of PyTorch count, and fusenet's do not. */
const COUNTER = /(^|\.)num_batches_tracked$/

/**
 * Tensors of a state_dict under the names of the net: without what wrappers put in front of all of them, and without counters of batches
 * that the net has not.
 */
export function withoutWrappers(found: Map<string, TensorData>, { manifest: { parameters } }: Bundle): Map<string, TensorData> {
  const known = new Set(parameters.map(({ name }) => name))
  let named = [...found].filter(([name]) => known.has(name) || !COUNTER.test(name))
  for (let wrapper = wrapperOf(named, known); wrapper !== undefined; wrapper = wrapperOf(named, known)) {
    const { length } = wrapper
    named = named.map(([name, tensor]) => [name.slice(length), tensor])
  }
  return new Map(named)
}

/** The wrapper that all names begin with, where no parameter of the net does. */
const wrapperOf = (named: readonly (readonly [string, TensorData])[], known: ReadonlySet<string>): string | undefined =>
  WRAPPERS.find((wrapper) =>
    named.length > 0 && named.every(([name]) => name.startsWith(wrapper)) && ![...known].some((name) => name.startsWith(wrapper))
  )
