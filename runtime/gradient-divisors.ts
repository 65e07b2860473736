import type { ReadyInput } from './inputs.ts'
import type { InputEntry, Plan, TrainEntry } from '../bundle/format.ts'

/**
 * Divisors of the gradients of losses that ignore some labels, where an update adds up several batches: the number of labels of all
 * batches that are not ignored, over the number of batches, since the solver takes the mean over batches. By tensor of the plan, with the
 * number to write.
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
