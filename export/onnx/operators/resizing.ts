import type { Layer, NodeAttributes, Row } from '../layer.ts'

const listOf = (layer: Layer, name: string, otherwise: readonly number[]): readonly number[] =>
  (layer.attributes[name] as readonly number[] | undefined) ?? otherwise

/** Larger by whole factors: repeated pixels, or a straight line between their middles. */
const upsample: Row = (layer) => {
  const factors = listOf(layer, 'factor', [1, 1])
  const way: NodeAttributes = layer.attributes['mode'] === 'bilinear' ? { mode: 'linear', coordinate_transformation_mode: 'half_pixel' }
    : { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' }
  layer.done('Resize', [layer.input(), '', layer.numbers('scales', [1, 1, ...factors])], way)
}

/** A frame around a map, and channels around channels. */
const pad: Row = (layer) => {
  const size = listOf(layer, 'size', [0])
  const [top, bottom, left, right] = size.length === 4 ? size : [size[0]!, size[0]!, size.at(-1)!, size.at(-1)!]
  const channels = listOf(layer, 'channels', [0, 0])
  const pads = layer.integers('pads', [0, channels[0]!, top!, left!, 0, channels.at(-1)!, bottom!, right!])
  const mode = layer.attributes['mode'] ?? 'constant'
  const value = (layer.attributes['value'] as number | undefined) ?? 0
  const isOther = mode !== 'constant'
  layer.done('Pad', [layer.input(), pads, ...(isOther || value === 0 ? [] : [layer.numbers('value', [value])])], isOther ? { mode: String(mode) } : {})
}

export const resizingRows: ReadonlyMap<string, Row> = new Map([['upsample', upsample], ['pad', pad]])
