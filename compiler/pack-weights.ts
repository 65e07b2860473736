import { type Equation, reads, writes } from './ir/equation.ts'
import { mapTensors } from './ir/rewrite.ts'
import { bufferOf, nextTensorId, type Tensor } from './ir/tensor.ts'
import type { LoweredGraph } from './lower-graph.ts'

/** What the other programs of a target leave to `prepare`. */
export interface Packing {
  /** Equations that pack weights for their kernels. */
  readonly equations: readonly Equation[]
  /** The buffers that they read. */
  readonly read: ReadonlySet<string>
}

/**
 * The program `prepare`, and weights packed in it for kernels of other programs: each right behind what makes the weight, so that fusion packs a folded
 * weight as it is made. What was prepared to be packed and is read by no other program need not outlive `prepare`.
 */
export function packWeights(lowered: LoweredGraph, { equations: packing, read }: Packing): LoweredGraph {
  const waiting = new Map<string, Equation>()
  // Programs that share a weight want it packed once.
  for (const e of packing) for (const t of writes(e)) if (!waiting.has(bufferOf(t)!)) waiting.set(bufferOf(t)!, e)
  const packed = new Set(waiting.keys())
  const own = new Map<string, Tensor>()
  // Each program may know a prepared value by a tensor of its own: where it is stored tells which one it is.
  const tensorOf = (t: Tensor): Tensor => {
    const buffer = bufferOf(t)
    if (t.storage?.role !== 'prepared' || buffer === undefined) return t
    const known = own.get(buffer) ?? (read.has(buffer) || packed.has(buffer) ? t : withoutStorage(t))
    own.set(buffer, known)
    return known
  }
  const equations: Equation[] = []
  for (const e of lowered.equations) {
    equations.push(mapTensors(e, tensorOf))
    const made = new Set(writes(e).map(bufferOf))
    for (const [buffer, next] of waiting) {
      if (!reads(next).some((t) => t.storage?.role === 'prepared' && made.has(bufferOf(t)))) continue
      waiting.delete(buffer)
      equations.push(mapTensors(next, tensorOf))
    }
  }
  for (const e of waiting.values()) equations.push(mapTensors(e, tensorOf))
  const kept = [...lowered.kept, ...packing.flatMap(writes)].map(tensorOf).filter((t) => t.storage)
  return { ...lowered, equations, kept: new Set(kept) }
}

const withoutStorage = ({ storage: _, ...t }: Tensor): Tensor => ({ ...t, id: nextTensorId() })
