import type { Shape } from '../../../bundle/format.ts'
import { float, type Layer, type NodeAttributes, numberOf, reshapeTo, type Row } from '../layer.ts'

const listOf = (layer: Layer, name: string, otherwise: readonly number[]): readonly number[] =>
  (layer.attributes[name] as readonly number[] | undefined) ?? otherwise

/** Larger by whole factors: repeated pixels, or a straight line between their middles. */
const upsample: Row = (layer) => {
  const factors = listOf(layer, 'factor', [1, 1])
  const way: NodeAttributes = layer.attributes['mode'] === 'bilinear' ? { mode: 'linear', coordinate_transformation_mode: 'half_pixel' }
    : { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' }
  layer.done('Resize', [layer.input(), '', layer.numbers('scales', [1, 1, ...factors])], way)
}

/**
 * A frame around a map, and channels around channels. onnxruntime takes a frame of zeros into a MaxPool behind it, also past a product with 1
 * or a sum with 0; there it is padding, which no maximum counts (findings/onnxruntime-pad-joins-max-pool.sh). It leaves a frame of -0 alone,
 * which is as large. In front of convolutions it is right, and quicker.
 */
const pad: Row = (layer) => {
  const size = listOf(layer, 'size', [0])
  const [top, bottom, left, right] = size.length === 4 ? size : [size[0]!, size[0]!, size.at(-1)!, size.at(-1)!]
  const channels = listOf(layer, 'channels', [0, 0])
  const pads = layer.integers('pads', [0, channels[0]!, top!, left!, 0, channels.at(-1)!, bottom!, right!])
  const mode = layer.attributes['mode'] ?? 'constant'
  const given = (layer.attributes['value'] as number | undefined) ?? 0
  const value = given === 0 && layer.readers.some(({ op }) => op !== 'conv') ? -0 : given
  const isOther = mode !== 'constant'
  layer.done(
    'Pad',
    [layer.input(), pads, ...(isOther || Object.is(value, 0) ? [] : [layer.numbers('value', [value])])],
    isOther ? { mode: String(mode) } : {},
  )
}

/** The opset from which some axes can be resized by size, without the others' sizes. */
const AXES_OF_RESIZE = 18
/** The opset that has `half_pixel_symmetric`. */
const SYMMETRIC = 19

/** A map of another size. */
const resize: Row = (layer) => {
  const mode = String(layer.attributes['mode'] ?? 'nearest')
  const attributes: NodeAttributes = {
    mode,
    coordinate_transformation_mode: coordinatesOf(layer),
    ...(mode === 'nearest' && { nearest_mode: String(layer.attributes['rounding'] ?? 'round_prefer_floor') }),
    ...(mode === 'cubic' && {
      cubic_coeff_a: float(numberOf(layer, 'cubic_coefficient', -0.75)),
      exclude_outside: layer.attributes['exclude_outside'] === true ? 1 : 0,
    }),
  }
  const [size, scale] = ['size', 'scale'].map((name) => layer.attributes[name] as readonly number[] | undefined)
  if (scale) return layer.done('Resize', [layer.input(), '', layer.numbers('scales', [1, 1, scale[0]!, scale.at(-1)!])], attributes)
  if (layer.opset >= AXES_OF_RESIZE)
    return layer.done('Resize', [layer.input(), '', '', layer.integers('size', size!)], { ...attributes, axes: [2, 3] })
  layer.done('Resize', [layer.input(), '', '', wholeSize(layer, size!)], attributes)
}

/** The size of all axes: that of the batch is known when the model runs. */
function wholeSize(layer: Layer, size: readonly number[]): string {
  const front = layer.add('front', 'Slice', [
    layer.add('input_shape', 'Shape', [layer.input()]),
    layer.integers('from', [0]),
    layer.integers('to', [2]),
  ])
  return layer.add('sizes', 'Concat', [front, layer.integers('size', size)], { axis: 0 })
}

/** `half_pixel_symmetric` is `half_pixel` where nothing is cut off by the scale. */
function coordinatesOf(layer: Layer): string {
  const coordinates = String(layer.attributes['coordinates'] ?? 'half_pixel')
  if (coordinates !== 'half_pixel_symmetric') return coordinates
  const scale = layer.attributes['scale'] as readonly number[] | undefined
  const isWhole = !scale ||
    [2, 3].every((d) => Math.fround(scale.at(d === 2 ? 0 : -1)! * (layer.shapes[0]![d] as number)) === (layer.shape[d] as number))
  if (isWhole) return 'half_pixel'
  if (layer.opset < SYMMETRIC)
    layer.fail(`half_pixel_symmetric came to ONNX with opset ${SYMMETRIC}, and this is ${layer.opset}`, `write --opset ${SYMMETRIC}`)
  return coordinates
}

/** Channels to pixels. `crd`: a channel's pixels lie together, as in PyTorch's PixelShuffle. */
const depthToSpace: Row = (layer) =>
  layer.done('DepthToSpace', [layer.input()], {
    blocksize: numberOf(layer, 'block', 2),
    mode: layer.attributes['order'] === 'crd' ? 'CRD' : 'DCR',
  })

/** ONNX has the place in the block first; the other order exchanges both. */
const spaceToDepth: Row = (layer) => {
  const block = numberOf(layer, 'block', 2)
  if (layer.attributes['order'] !== 'crd') return layer.done('SpaceToDepth', [layer.input()], { blocksize: block })
  const [batch, all, height, width] = layer.shape as readonly [Shape[number], number, number, number]
  const parts = reshapeTo([batch, block * block, all / (block * block), height, width])
  const blocks = layer.add('blocks', 'SpaceToDepth', [layer.input()], { blocksize: block })
  const apart = layer.add('apart', 'Reshape', [blocks, layer.integers('parts', parts)])
  const turned = layer.add('turned', 'Transpose', [apart], { perm: [0, 2, 1, 3, 4] })
  layer.done('Reshape', [turned, layer.integers('shape', reshapeTo(layer.shape))])
}

export const resizingRows: ReadonlyMap<string, Row> = new Map([
  ['upsample', upsample],
  ['resize', resize],
  ['pad', pad],
  ['depth_to_space', depthToSpace],
  ['space_to_depth', spaceToDepth],
])
