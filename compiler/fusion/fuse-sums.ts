import { isAxis } from '../ir/affine.ts'
import { blocksAround, channelCount, type Equation, reads, type SideSums } from '../ir/equation.ts'
import { type Load, walk } from '../ir/expression.ts'
import { onceByNodes } from '../ir/once-by-node.ts'
import { rewriteTotals } from '../ir/side-sums.ts'
import { isBatched, tensor, type Tensor } from '../ir/tensor.ts'
import { type FusionContext, isUnfused, type KernelPass, storageOf } from './kernel-pass.ts'
import type { KernelNode, KernelProgram } from './program.ts'
import { carrierOf, channelsOf, carry, sizesFrom, sizesText } from './side-reductions.ts'

/** Takes sums over the batch (a side reduction: the gradient of a normalization) in the kernel that stores, last of all, something that they are of. */
export const fuseSums: KernelPass = {
  name: 'fuse-sums',
  run(program, context) {
    for (const node of program.all()) {
      if (node.equation.sums?.stage !== 'partial') continue
      const missed = tryFuse(node, program, context)
      if (missed) program.remark(node, missed)
    }
  },
}

function tryFuse(node: KernelNode, program: KernelProgram, context: FusionContext): string | undefined {
  const { name } = node.equation
  const { at, terms, into } = node.equation.sums!
  if (isUnfused(node.equation, context)) return `${name} is of style split`
  // A slice of the source from 0 on has the places of its points, too, but not all of them; nor has a frame around it.
  const isHere = ({ at: place, tensor: { shape } }: Load): boolean =>
    place.length === at.length && place.every((index, d) => isAxis(index, at[d]!) && shape[d] === at[d]!.extent)
  const loads = terms.flatMap((term) => walk(term)).filter((e) => e.kind === 'load')
  const made = [...new Set(loads.map((e) => e.tensor))].map((t) => ({ tensor: t, at: madeAt(t, program, context) }))
  const maps = made.filter((m) => m.at >= 0 && m.tensor.shape.length === at.length && isBatched(m.tensor.shape))
  if (maps.length === 0) return `${name} sums up nothing that a kernel stores`
  const last = maps.reduce((latest, m) => (m.at > latest.at ? m : latest))
  const later = made.find((m) => m.at > last.at)
  if (later) return `${name} needs ${later.tensor.name}, which is made after ${last.tensor.name}`
  const source = last.tensor
  if (!loads.filter((e) => e.tensor === source).every(isHere)) return `${name} does not read ${source.name} point by point`
  const carrier = carrierOf(source, program)
  if (typeof carrier === 'string') return carrier
  // Measured on a CPU, where alone kernels may carry side reductions of groups: a pass of its own takes half of what a task of few channels does.
  if (carrier.channels.groupAxis) return `${carrier.node.equation.name} stores ${source.name} group by group`
  const producer = carrier.node
  const blockSizes = context.statisticsBlock(producer.equation)
  if (typeof blockSizes === 'string') return blockSizes
  const side = sideOf(sizesText(producer.equation, blockSizes), producer.equation, node.equation, source)
  const missed = carry(producer, side, node.equation, reads(node.equation), program, context)
  if (missed) return missed
  for (const other of program.parts(into)) program.remove(other)
  for (const other of program.readers(into)) program.set(other, totalsOf('', other.equation, into, side))
  return undefined
}

/** The side reduction of `source` in the place of a pass over what `producer` stores. */
const sideOf = onceByNodes((sizes, producer: Equation, pass: Equation, source: Tensor): SideSums => {
  const { at, terms, into } = pass.sums!
  const { axes } = producer
  const channels = channelsOf(producer, source)
  const { blocks, counts } = blocksAround(channels, axes, sizesFrom(sizes, producer))
  const partials = tensor(into.name, [...counts, channelCount(channels), terms.length])
  return { kind: 'sums', source, ...channels, blocks, at, terms, partials }
})

const totalsOf = onceByNodes((_, e: Equation, into: Tensor, side: SideSums) => rewriteTotals(e, into, side))

/** The place in the program of the kernel that stores a tensor, or what it is a view of; -1 where it is there before. */
const madeAt = (t: Tensor, program: KernelProgram, context: FusionContext): number => program.writers(storageOf(t, context))[0]?.order ?? -1
