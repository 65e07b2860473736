import { type BlockSizes, type ChannelAxes, channelAxesOf, type Equation, reads, type SideReduction, writes } from '../ir/equation.ts'
import { onceByNodes } from '../ir/once-by-node.ts'
import { elementsPerSample, isBatched, type Tensor } from '../ir/tensor.ts'
import type { FusionContext } from './kernel-pass.ts'
import { weigh } from './weigh.ts'
import { bindingCount, type KernelNode, type KernelProgram } from './program.ts'

/** A kernel that may carry side reductions of what it stores, and which of its axes count channels. */
export interface Carrier {
  readonly node: KernelNode
  readonly channels: ChannelAxes
}

/** The axes of a carrier that count the channels of what it stores. */
export const channelsOf = (carrier: Equation, source: Tensor): ChannelAxes =>
  channelAxesOf(carrier, carrier.stores.find((s) => s.tensor === source)!)!

/** The one kernel that stores a map channel by channel, which may carry side reductions of it; or why there is none. */
export function carrierOf(source: Tensor, program: KernelProgram): Carrier | string {
  const [producer, ...others] = program.writers(source)
  if (!producer || others.length > 0) return `${source.name} is not made by one kernel`
  const { equation } = producer
  const stored = equation.stores.find((s) => s.tensor === source)!
  const channels = channelAxesOf(equation, stored)
  if (source.shape.length < 3 || !channels) return `${equation.name} does not store ${source.name} channel by channel`
  if (equation.axes[0]!.extent !== 'n') return `${source.name} has no batch of images`
  return { node: producer, channels }
}

/** Lets a kernel carry a side reduction if it can bind the buffers, and if that moves fewer bytes than reading `instead` in a pass; or says why not. */
export function carry(
  producer: KernelNode,
  side: SideReduction,
  pass: Equation,
  instead: readonly Tensor[],
  program: KernelProgram,
  context: FusionContext,
): string | undefined {
  const { maxBindings, rejectJoined } = context
  const { layers } = pass
  const { equation } = producer
  const carrying = carryingOf('', equation, side, pass)
  const already = new Set([...reads(equation), ...writes(equation)])
  const more = reads(carrying).filter((t) => !already.has(t))
  const names = layers.join(', ')
  if (elementsOf(more) + 2 * elementsOf([side.partials]) >= elementsOf(instead))
    return `${equation.name} works in parts too small to gather the ${side.kind} of ${names}`
  const bound = bindingCount(carrying)
  if (bound > maxBindings)
    return `${carrying.name} would bind ${bound} buffers with the ${side.kind} of ${names}, ${maxBindings} are granted everywhere`
  const slower = rejectJoined?.(carrying, equation)
  if (slower) return slower
  const { refusal, note } = weigh(`what gathers the ${side.kind} of ${names}`, [carrying], [equation], [pass], context)
  if (refusal) return refusal
  program.set(producer, carrying)
  program.remark(producer, `gathers the ${side.kind === 'moments' ? 'statistics' : 'sums'} of ${names} as it stores${note}`)
  return undefined
}

const carryingOf = onceByNodes((_, equation: Equation, side: SideReduction, pass: Equation): Equation => ({
  ...equation,
  sides: [...equation.sides, side],
  layers: [...new Set([...equation.layers, ...pass.layers])],
}))

/** The blocks of all axes of a producer as text; and again as sizes. */
export const sizesText = ({ axes }: Equation, sizeOf: BlockSizes): string => axes.map(sizeOf).join()
export function sizesFrom(text: string, { axes }: Equation): BlockSizes {
  const sizes = text.split(',').map(Number)
  return (a) => sizes[axes.indexOf(a)]!
}

/** Elements of one sample: what does not grow with the batch does not count. */
const elementsOf = (tensors: readonly Tensor[]): number =>
  tensors.reduce((sum, t) => sum + (isBatched(t.shape) ? elementsPerSample(t.shape) : 0), 0)
