import { type Axis, type Index, isAxis, substitute } from '../ir/affine.ts'
import { type Equation, reads } from '../ir/equation.ts'
import { onceByNodes } from '../ir/once-by-node.ts'
import type { Tensor } from '../ir/tensor.ts'
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
  const [copy, ...others] = node.equation.stores
  if (!copy || others.length > 0 || copy.value.kind !== 'load' || node.equation.sides.length > 0) return
  const { tensor: source, at } = copy.value
  const { axes } = node.equation
  const isWhole = source.shape.length === axes.length && at.every((index, d) => isAxis(index, axes[d]!)) &&
    axes.every((a, d) => a.extent === source.shape[d])
  if (!isWhole || context.kept.has(source) || isViewed(source, context) || isUnfused(node.equation, context)) return
  if (program.readers(source).some((other) => other !== node)) return
  const carrier = carrierOf(source, program)
  const from = firstChannel(copy.at, axes)
  if (typeof carrier === 'string' || carrier.channels.groupAxis || from === undefined) return
  const producer = carrier.node
  if (isUnfused(producer.equation, context)) return
  const { equation } = producer
  if (equation.sides.some((side) => side.source !== source || side.kind !== 'moments') || reads(equation).includes(copy.tensor)) return
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

/** The channel that a copy starts at, where all other dimensions stay as they are. */
function firstChannel(at: readonly Index[], axes: readonly Axis[]): number | undefined {
  const channel = at[1]
  if (!channel || at.length !== axes.length || !at.every((index, d) => d === 1 || isAxis(index, axes[d]!))) return undefined
  const [term, ...more] = channel.terms
  const shifted = term && more.length === 0 && term.coefficient === 1 && term.atom.kind === 'axis' && term.atom.axis === axes[1]
  return shifted ? channel.constant : undefined
}
