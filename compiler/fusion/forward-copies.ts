import { substitute } from '../ir/affine.ts'
import { type Equation, reads } from '../ir/equation.ts'
import { onceByNodes } from '../ir/once-by-node.ts'
import type { Tensor } from '../ir/tensor.ts'
import { copiedSlice } from '../ir/copied-slice.ts'
import { type FusionContext, isUnfused, isViewed, type KernelPass } from './kernel-pass.ts'
import type { KernelNode, KernelProgram } from './program.ts'
import { carrierOf } from './side-reductions.ts'

/**
 * Copy forwarding: what is only copied into a slice of another tensor (a concatenation) is stored there at once. It runs behind the side
 * reductions, so that a tensor whose statistics are taken has a carrier by then.
 */
export const forwardCopies: KernelPass = {
  name: 'forward-copies',
  run(program, context) {
    for (const node of program.all()) tryForward(node, program, context)
  },
}

function tryForward(node: KernelNode, program: KernelProgram, context: FusionContext): void {
  const slice = copiedSlice(node.equation)
  if (!slice || isUnfused(node.equation, context)) return
  const { source, target, from } = slice
  if (context.kept.has(source) || isViewed(source, context) || program.readers(source).some((other) => other !== node)) return
  const carrier = carrierOf(source, program)
  if (typeof carrier === 'string' || carrier.channels.groupAxis) return
  const producer = carrier.node
  if (isUnfused(producer.equation, context)) return
  const { equation } = producer
  if (equation.sides.some((side) => side.source !== source || side.kind !== 'moments') || reads(equation).includes(target)) return
  program.set(producer, forwardedOf(String(from), equation, node.equation, source))
  program.remark(producer, `stores at once where ${node.equation.name} would have copied it`)
  program.remove(node)
}

/** The equation that stores where another (`copier`) would have copied what it stores, from a channel on. */
const forwardedOf = onceByNodes((from, equation: Equation, copier: Equation, source: Tensor): Equation => {
  const copy = copier.stores[0]!
  const map = new Map(copier.axes.map((a, d) => [a, equation.axes[d]!] as const))
  const target = copy.at.map((index) => substitute(index, map))
  return {
    ...equation,
    layers: [...new Set([...equation.layers, ...copier.layers])],
    stores: equation.stores.map((s) => (s.tensor === source ? { ...s, tensor: copy.tensor, at: target } : s)),
    sides: equation.sides.map((side) => ({ ...side, source: copy.tensor, channelOffset: Number(from) })),
  }
})
