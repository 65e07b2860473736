import type { Axis } from '../../../ir/affine.ts'
import { divisors } from '../../../ir/divisors.ts'
import { CPU } from '../cost-model.ts'
import type { AxisNames, WinogradGradientSchedule } from '../schedule.ts'

/** Output and input channels of a task of a filter's gradient. */
export interface ChannelBlocks {
  readonly out: number
  readonly channel: number
}

/** The axes of a filter's gradient that tasks count: groups whole, channels in blocks. */
interface ChannelAxes {
  readonly leading: readonly Axis[]
  readonly out: Axis
  readonly channel: Axis
}

/**
 * The blocks of channels that are allowed and whose products cost the least transformations: an output channel's gradient is transformed for each block of
 * input channels, an input channel for each block of output channels. `overInputs`: input channels lie in lanes; else all of them are in a block. Undefined
 * where no blocks are allowed.
 */
export function chooseBlocks(
  { out: outAxis, channel: channelAxis }: ChannelAxes,
  overInputs: boolean,
  allows: (blocks: ChannelBlocks) => boolean,
): ChannelBlocks | undefined {
  const inputs = channelAxis.extent as number
  const sizes = (channels: number, step: number): number[] =>
    divisors(channels).filter((d) => d % step === 0 && d >= Math.min(channels, CPU.winograd.leastBlock)).reverse()
  const outs = sizes(outAxis.extent as number, CPU.lanes)
  const channels = overInputs ? [inputs, ...sizes(inputs, 2 * CPU.lanes).filter((d) => d < inputs)] : [inputs]
  const cost = ({ out, channel }: ChannelBlocks): number => 1 / out + 1 / channel
  return channels.flatMap((channel) => outs.map((out): ChannelBlocks => ({ out, channel }))).filter(allows)
    .reduce<ChannelBlocks | undefined>((best, blocks) => (!best || cost(blocks) < cost(best) ? blocks : best), undefined)
}

/** The tasks of blocks of channels. */
export function inBlocks(
  axes: ChannelAxes,
  { out, channel }: ChannelBlocks,
  names: AxisNames,
): Pick<WinogradGradientSchedule, 'tasks' | 'taskBlock'> {
  const cut = ([[axes.out, out], [axes.channel, channel]] as const).filter(([a, size]) => size < (a.extent as number))
  return {
    tasks: [...axes.leading, ...cut.map(([a]) => a)].map((a) => names.of(a)),
    ...(cut.length > 0 && { taskBlock: names.sizes(cut) }),
  }
}
