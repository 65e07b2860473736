import { bigLoads, hasReduction, loadSites, timesLoaded } from '../ir/analysis.ts'
import { pointCost } from '../ir/cost.ts'
import { type Equation, reads, writes } from '../ir/equation.ts'
import { coversItsTensor, joinedName } from '../ir/inline.ts'
import { onceByNodes } from '../ir/once-by-node.ts'
import type { Tensor } from '../ir/tensor.ts'
import { type FusionContext, isUnfused, isViewed, type KernelPass } from './kernel-pass.ts'
import { weigh } from './weigh.ts'
import { bindingCount, type KernelNode, type KernelProgram } from './program.ts'

/** What overlapping windows compute again, and store once. */
const MOST_COST_ON_LOAD = 24

/**
 * A value with several readers must be stored. Instead of running its own kernel, the first convolution that reads it computes it while
 * loading its input, and stores it (Halide: `compute_at` with `store_root`).
 */
export const materializeOnLoad: KernelPass = {
  name: 'materialize-on-load',
  run(program, context) {
    const { rejectFusedProducer } = context
    if (!rejectFusedProducer) return
    for (const node of program.all()) {
      const missed = tryMaterialize(node, program, context, rejectFusedProducer)
      if (missed) program.remark(node, missed)
    }
  },
}

function tryMaterialize(
  node: KernelNode,
  program: KernelProgram,
  context: FusionContext,
  reject: (e: Equation) => string | undefined,
): string | undefined {
  const { equation } = node
  if (!coversItsTensor(equation) || equation.sides.length > 0 || equation.moments || equation.sums || equation.fusedProducer)
    return undefined
  const store = equation.stores[0]!
  const { tensor } = store
  if (tensor.shape.length < 3 || hasReduction(store.value) || isUnfused(equation, context) || isViewed(tensor, context)) return undefined
  const reader = program.readers(tensor).find((other) => other !== node)
  const sites = reader ? loadSites(reader.equation, tensor) : []
  if (!reader || timesLoaded(reader.equation, tensor) !== 1 || !sites[0]!.contraction || isUnfused(reader.equation, context))
    return undefined
  if (reader.order < node.order || reader.equation.fusedProducer || program.writers(tensor).length > 1) return undefined
  const changed = changedBetween(reads(equation), node, reader, program)
  if (changed) return `${changed.name} changes before ${reader.equation.name} loads ${tensor.name}`
  if (bigLoads(store.value).size > context.maxPrologueInputs || pointCost(store.value) > MOST_COST_ON_LOAD)
    return `${equation.name} is too dear to compute as ${reader.equation.name} loads it`
  const joined = joinedOf('', equation, reader.equation)
  const bound = bindingCount(joined)
  if (bound > context.maxBindings)
    return `${joined.name} would bind ${bound} buffers, ${context.maxBindings} are granted everywhere`
  const refusal = reject(joined)
  if (refusal) return refusal
  const packed = context.preparedFor?.(reader.equation)
  if (packed !== undefined && context.preparedFor?.(joined) !== packed)
    return `${reader.equation.name} is faster by itself: with what it would compute first, ${packed} could not be prepared for it`
  const { refusal: dearer, note } = weigh(equation.name, [joined], [reader.equation], [equation], context)
  if (dearer) return dearer
  program.set(reader, joined)
  program.remark(reader, `${equation.name} is computed and stored as it is loaded${note}`, ...node.why)
  program.remove(node)
  return undefined
}

const joinedOf = onceByNodes((_, producer: Equation, reader: Equation): Equation => ({
  ...reader,
  name: joinedName(producer.name, reader.name),
  layers: [...new Set([...producer.layers, ...reader.layers])],
  fusedProducer: { axes: producer.axes, store: producer.stores[0]! },
}))

/** The first of some tensors that is written behind a kernel and not behind the other. */
function changedBetween(tensors: readonly Tensor[], node: KernelNode, to: KernelNode, program: KernelProgram): Tensor | undefined {
  const writers = tensors.flatMap((t) => program.writers(t).filter((other) => node.order < other.order && other.order <= to.order))
  const [first] = writers.sort((a, b) => a.order - b.order)
  return first && writes(first.equation).find((t) => tensors.includes(t))
}
