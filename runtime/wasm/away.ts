import type { BufferEntry, Plan } from '../../bundle/format.ts'
import { elementCount } from '../../bundle/sizes.ts'

/** Elements of a buffer, from one on to before another. */
export interface Interval {
  readonly from: number
  readonly to: number
}

const PREPARE = 'prepare'
const LASTING: readonly BufferEntry['role'][] = ['parameters', 'states']

/**
 * Finds the buffers of parameters and statistics that stay away from the machine's memory, where `prepare` is almost all that reads them: their values are brought
 * for each of its kernels, and what it makes of them is all that other programs read. Gives for each such buffer the intervals that other programs
 * of a session read by themselves: these lie in memory.
 */
export function buffersAway(plan: Plan, used: ReadonlySet<number>, programs: readonly string[]): ReadonlyMap<number, readonly Interval[]> {
  const away = new Map<number, readonly Interval[]>()
  if (!programs.includes(PREPARE)) return away
  for (const buffer of used) {
    const { role, elements } = plan.buffers[buffer]!
    if (!LASTING.includes(role) || isWritten(plan, buffer, programs)) continue
    const kept = joined(
      programs.filter((name) => name !== PREPARE).flatMap((name) => {
        const { dispatches, results } = plan.programs[name]!
        return [...dispatches.flatMap((d) => d.tensors), ...Object.values(results)]
      }).map((i) => plan.tensors[i]!).filter((t) => t.buffer === buffer)
        .map(({ offset, shape }) => ({ from: offset, to: offset + elementCount(shape) })),
    )
    const inMemory = kept.reduce((sum, { from, to }) => sum + to - from, 0)
    if (2 * inMemory <= elements.fixed && elements.perSample === 0) away.set(buffer, kept)
  }
  return away
}

/** Whether a program of a session changes the buffer: its values are then what memory holds. */
const isWritten = (plan: Plan, buffer: number, programs: readonly string[]): boolean =>
  programs.flatMap((name) => plan.programs[name]!.dispatches).some(({ kernel, tensors }) =>
    tensors.some((t, i) => plan.tensors[t]!.buffer === buffer && plan.kernels[kernel]!.bindings[i]!.access !== 'read')
  )

/** Intervals in order; those that meet are one. */
function joined(intervals: readonly Interval[]): readonly Interval[] {
  const found: Interval[] = []
  for (const next of [...intervals].sort((a, b) => a.from - b.from)) {
    const last = found.at(-1)
    if (last && next.from <= last.to) found[found.length - 1] = { from: last.from, to: Math.max(last.to, next.to) }
    else found.push(next)
  }
  return found
}

/** The values of a buffer that is away. What was never written is zero. */
export class ValuesAway {
  /** Arrays by where they start; a later one lies over those before it. */
  #parts: readonly { readonly from: number; readonly data: Float32Array }[] = []

  /** Sets the elements from `from` on. The array is kept as it is. */
  set(from: number, data: Float32Array): void {
    const isSeen = (p: { readonly from: number; readonly data: Float32Array }): boolean =>
      p.from < from || p.from + p.data.length > from + data.length
    this.#parts = [...this.#parts.filter(isSeen), { from, data }]
  }

  /** Copies elements, from `from` on, to where they are wanted. */
  copy(from: number, into: Float32Array): void {
    into.fill(0)
    for (const { from: start, data } of this.#parts) {
      const [first, end] = [Math.max(from, start), Math.min(from + into.length, start + data.length)]
      if (first < end) into.set(data.subarray(first - start, end - start), first - from)
    }
  }
}
