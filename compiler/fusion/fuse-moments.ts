import type { Equation } from '../ir/equation.ts'
import { sideMoments } from '../ir/moments.ts'
import { onceByNodes } from '../ir/once-by-node.ts'
import { type FusionContext, isUnfused, type KernelPass } from './kernel-pass.ts'
import type { KernelNode, KernelProgram } from './program.ts'
import { carrierOf, channelsOf, carry, sizesFrom, sizesText } from './side-reductions.ts'

/** Takes the statistics of a batch (a side reduction) in the kernel that stores what they are of: no pass reads the tensor again. */
export const fuseMoments: KernelPass = {
  name: 'fuse-moments',
  run(program, context) {
    for (const node of program.all()) {
      if (node.equation.moments?.stage !== 'partial') continue
      const missed = tryFuse(node, program, context)
      if (missed) program.remark(node, missed)
    }
  },
}

function tryFuse(node: KernelNode, program: KernelProgram, context: FusionContext): string | undefined {
  const { name } = node.equation
  const { source, result } = node.equation.moments!
  if (isUnfused(node.equation, context)) return `${name} is of style split`
  const carrier = carrierOf(source, program)
  if (typeof carrier === 'string') return carrier
  const producer = carrier.node
  const blockSizes = context.statisticsBlock(producer.equation)
  if (typeof blockSizes === 'string') return blockSizes
  const { side, merge } = sideOf(sizesText(producer.equation, blockSizes), producer.equation, node.equation)
  const missed = carry(producer, side, node.equation, [source], program, context)
  if (missed) return missed
  for (const other of program.parts(result)) if (other !== node) program.remove(other)
  program.replace(node, merge.map((equation) => ({ equation, why: ['merges the statistics of all tiles'] })))
  return undefined
}

/** The side reduction in the place of a pass over what `producer` stores, and what merges its partials. */
const sideOf = onceByNodes((sizes, producer: Equation, pass: Equation) => {
  const { name, layers } = pass
  const { source, result, affine, eps, samples } = pass.moments!
  const request = { name, layers, source, result, ...(affine && { affine }), eps, ...(samples && { samples }) }
  return sideMoments(request, producer.axes, channelsOf(producer, source), sizesFrom(sizes, producer))
})
