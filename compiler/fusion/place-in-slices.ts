import { type Index, plus } from '../ir/affine.ts'
import type { Equation } from '../ir/equation.ts'
import { loadAt } from '../ir/expression-node.ts'
import { onceByNodes } from '../ir/once-by-node.ts'
import { bottomUp } from '../ir/rewrite.ts'
import type { Tensor } from '../ir/tensor.ts'
import { copiedSlice } from '../ir/copied-slice.ts'
import { type FusionContext, isUnfused, isViewed, type KernelPass } from './kernel-pass.ts'
import type { KernelNode, KernelProgram } from './program.ts'

/**
 * A map that is copied into a slice of another one (a concatenation) and read elsewhere too lives in that slice from the start: kernels that make it
 * store there, kernels that read it read there. What DenseNet concatenates again and again is one map that grows (Pleiss et al. 2017 share such memory).
 * It goes backward: where what is joined is joined again, each kernel changes once.
 */
export const placeInSlices: KernelPass = {
  name: 'place-in-slices',
  run(program, context) {
    for (const node of [...program.all()].reverse()) tryPlace(node, program, context)
  },
}

function tryPlace(node: KernelNode, program: KernelProgram, context: FusionContext): void {
  const slice = copiedSlice(node.equation)
  if (!slice || isUnfused(node.equation, context)) return
  const { source, target, from } = slice
  if (source === target || source.storage || source.type !== target.type || source.shape.length < 3) return
  if (context.kept.has(source) || isViewed(source, context)) return
  const writers = program.writers(source)
  const users = [...new Set([...writers, ...program.readers(source)])].filter((user) => user !== node)
  if (writers.length === 0 || writers.some((writer) => writer.order > node.order)) return
  if (users.some(({ equation }) => !mayMove(equation, source) || isUnfused(equation, context))) return
  for (const user of users) program.set(user, placedOf(String(from), source, target, user.equation))
  for (const writer of writers) program.remark(writer, `stores at once where ${node.equation.name} would have copied it`)
  program.remove(node)
}

/** Whether a kernel may have one of its maps elsewhere. A fused producer is computed map by map, sums are taken of whole maps. */
const mayMove = (e: Equation, map: Tensor): boolean =>
  e.fusedProducer?.store.tensor !== map && e.sides.every((side) => side.source !== map || side.kind === 'moments')

/** The equation with the channels of a map from another one's channel `from` on. */
const placedOf = onceByNodes((from, source: Tensor, target: Tensor, e: Equation): Equation => {
  const place = (at: readonly Index[]): Index[] => at.map((index, d) => (d === 1 ? plus(index, Number(from)) : index))
  const values = bottomUp((node) => (node.kind === 'load' && node.tensor === source ? loadAt(target, place(node.at)) : node))
  const { fusedProducer } = e
  return {
    ...e,
    stores: e.stores.map((s) => ({
      ...s,
      ...(s.tensor === source && { tensor: target, at: place(s.at) }),
      value: values(s.value),
    })),
    sides: e.sides.map((side) =>
      side.kind === 'sums' ? { ...side, terms: side.terms.map(values) }
        : side.source === source ? { ...side, source: target, channelOffset: (side.channelOffset ?? 0) + Number(from) }
        : side
    ),
    // No later pass moves what takes statistics.
    moments: undefined,
    sums: undefined,
    fusedProducer: fusedProducer && { ...fusedProducer, store: { ...fusedProducer.store, value: values(fusedProducer.store.value) } },
  }
})
