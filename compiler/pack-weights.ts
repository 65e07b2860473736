import { type Equation, reads, writes } from './ir/equation.ts'
import { mapTensors } from './ir/rewrite.ts'
import { bufferOf, nextTensorId, type Tensor } from './ir/tensor.ts'
import type { LoweredGraph } from './lower-graph.ts'

/** What the other programs of a target leave to `prepare`. */
export interface Packing {
  /** Equations that pack weights for their kernels: a list for each, the last of which writes the packed weight. */
  readonly equations: readonly (readonly Equation[])[]
  /** The buffers that they read. */
  readonly read: ReadonlySet<string>
}

/**
 * The program `prepare`, and weights packed in it for kernels of other programs: each right behind what makes the weight, so that fusion packs a folded
 * weight as it is made. What was prepared to be packed and is read by no other program need not outlive `prepare`.
 */
export function packWeights(lowered: LoweredGraph, { equations: packing, read }: Packing): LoweredGraph {
  const waiting = new Map<string, readonly Equation[]>()
  // Programs that share a weight want it packed once.
  for (const list of packing) {
    const buffer = bufferOf(writes(list.at(-1)!)[0]!)!
    if (!waiting.has(buffer)) waiting.set(buffer, list)
  }
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
      if (!next.flatMap(reads).some((t) => t.storage?.role === 'prepared' && made.has(bufferOf(t)))) continue
      waiting.delete(buffer)
      equations.push(...next.map((each) => mapTensors(each, tensorOf)))
    }
  }
  for (const list of waiting.values()) equations.push(...list.map((each) => mapTensors(each, tensorOf)))
  const kept = [...lowered.kept, ...packing.flat().flatMap(writes)].map(tensorOf).filter((t) => t.storage)
  return { ...lowered, equations, kept: new Set(kept) }
}

const withoutStorage = ({ storage: _, ...t }: Tensor): Tensor => ({ ...t, id: nextTensorId() })
