import type { ReadyInput } from './inputs.ts'
import type { InputEntry, Plan, TrainEntry } from '../bundle/format.ts'

/**
 * What the gradients of losses over labels that are not ignored are divided by, where an update adds up several batches: those of all of them, over
 * the number of batches, since the solver takes the mean of these. By tensor of the plan, with the number to write.
 */
export function divisorsOf(
  train: TrainEntry | undefined,
  plan: Plan,
  batches: readonly (readonly (readonly [InputEntry, ReadyInput])[])[],
): [number, Float64Array][] {
  return (train?.divisors ?? []).flatMap(({ input, ignore, buffer }): [number, Float64Array][] => {
    const tensor = plan.tensors.findIndex((t) => plan.buffers[t.buffer]!.name === buffer)
    if (tensor < 0) return []
    let counted = 0
    for (const batch of batches) {
      const labels = batch.find(([{ name }]) => name === input)?.[1].data
      for (let i = 0; labels && i < labels.length; i++) if (labels[i] !== ignore) counted++
    }
    return [[tensor, Float64Array.of(Math.max(counted, 1) / batches.length)]]
  })
}
