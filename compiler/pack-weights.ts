import { type Equation, reads, writes } from './ir/equation.ts'
import { onceByNode, onceByNodes } from './ir/once-by-node.ts'
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
    equations.push(withTensors(e, tensorOf))
    const made = new Set(writes(e).map(bufferOf))
    for (const [buffer, next] of waiting) {
      if (!next.flatMap(reads).some((t) => t.storage?.role === 'prepared' && made.has(bufferOf(t)))) continue
      waiting.delete(buffer)
      equations.push(...next.map((each) => withTensors(each, tensorOf)))
    }
  }
  for (const list of waiting.values()) equations.push(...list.map((each) => withTensors(each, tensorOf)))
  const kept = [...lowered.kept, ...packing.flat().flatMap(writes)].map(tensorOf).filter((t) => t.storage)
  return { ...lowered, equations, kept: new Set(kept) }
}

/** The equation with other tensors: itself where they are the same, and the same one for the same tensors, so that an edit elsewhere in a net fuses nothing of it anew. */
function withTensors(e: Equation, tensorOf: (t: Tensor) => Tensor): Equation {
  const from = tensorsOf(e)
  const to = from.map(tensorOf)
  return to.every((t, i) => t === from[i]) ? e : changedOf('', e, ...to)
}

const tensorsOf = (e: Equation): readonly Tensor[] => [...new Set([...reads(e), ...writes(e)])]

const changedOf = onceByNodes((_, e: Equation, ...to: readonly Tensor[]): Equation => {
  const stands = new Map(tensorsOf(e).map((t, i) => [t, to[i]!]))
  return mapTensors(e, (t) => stands.get(t)!)
})

const withoutStorage = onceByNode(({ storage: _, ...t }: Tensor): Tensor => ({ ...t, id: nextTensorId() }))
