import { type Layer, numberOf, power, type Row } from '../layer.ts'

const listOf = (layer: Layer, name: string, otherwise: readonly number[]): readonly number[] =>
  (layer.attributes[name] as readonly number[] | undefined) ?? otherwise

/** Repeated pixels: a Deconvolution of each channel by itself with ones. */
const upsample: Row = (layer) => {
  if (layer.attributes['mode'] === 'bilinear')
    return layer.fail('Caffe has no bilinear enlargement that is right at the edges', 'write mode: nearest or a deconv, or --to onnx')
  const [down, along] = [listOf(layer, 'factor', [1, 1])[0]!, listOf(layer, 'factor', [1, 1]).at(-1)!]
  const channels = layer.shape[1] as number
  const sizes = { kernel_h: down, kernel_w: along, stride_h: down, stride_w: along }
  layer.done('Deconvolution', [layer.input()], {
    convolution_param: { num_output: channels, bias_term: false, ...sizes, group: channels },
  }, { blobs: [layer.numbers(new Float32Array(channels * down * along).fill(1), [channels, 1, down, along])], constant: true })
}

/** Channels are joined with numbers of the map's size; a frame of zeros is the padding of a Convolution that leaves all else as it is. */
const pad: Row = (layer) => {
  const size = listOf(layer, 'size', [0])
  const [top, bottom, left, right] = (size.length === 4 ? size : [size[0]!, size[0]!, size.at(-1)!, size.at(-1)!]) as [
    number,
    number,
    number,
    number,
  ]
  const channels = listOf(layer, 'channels', [0, 0])
  const mode = layer.attributes['mode'] ?? 'constant'
  if (mode !== 'constant') return layer.fail(`Caffe has no frame of mode ${String(mode)}`, 'write mode: constant, or --to onnx')
  const value = numberOf(layer, 'value', 0)
  const { shapes: [shape] } = layer
  const isFramed = top + bottom + left + right > 0
  const isWider = channels.some((count) => count > 0)
  let x = layer.input()
  if (isFramed) {
    const c = shape![1] as number
    const [h, w] = [Math.max(top, bottom), Math.max(left, right)]
    if (value !== 0) x = layer.add('from_value', 'Power', [x], power({ shift: -value }))
    x = layer.add('frame', 'Convolution', [x], {
      convolution_param: { num_output: c, bias_term: false, kernel_size: 1, pad_h: h, pad_w: w, group: c },
    }, { blobs: [layer.numbers(new Float32Array(c).fill(1), [c, 1, 1, 1])], constant: true })
    const cuts = ([[2, h, top, bottom], [3, w, left, right]] as const).filter(([, around, front, end]) =>
      front !== around || end !== around
    )
    const isEnd = !isWider && value === 0
    for (const [i, [axis, around, front, end]] of cuts.entries()) {
      const wide = (shape![axis] as number) + 2 * around
      x = layer.cut(`axis${axis}`, x, axis, wide, [around - front, wide - around + end], isEnd && i === cuts.length - 1)
    }
    if (isEnd && cuts.length > 0) return
    if (value !== 0 && !isWider) return layer.done('Power', [x], power({ shift: value }))
    if (value !== 0) x = layer.add('at_value', 'Power', [x], power({ shift: value }))
  }
  if (isWider) widen(layer, x, value, [channels[0]!, channels.at(-1)!])
  else layer.same(x)
}

function widen(layer: Layer, x: string, value: number, [front, end]: readonly [number, number]): void {
  const channels = layer.shapes[0]![1] as number
  const whole = layer.add('numbers', 'Power', [x], power({ scale: 0, shift: value }))
  const part = (side: string, count: number): string[] => {
    const parts = new Array<string>(Math.floor(count / channels)).fill(whole)
    const rest = count % channels
    return rest === 0 ? parts : [...parts, layer.cut(side, whole, 1, channels, [0, rest])]
  }
  layer.done('Concat', [...part('front', front), x, ...part('behind', end)], { concat_param: { axis: 1 } })
}

/** A block's place to channels, or back: a convolution whose windows are the blocks, with a one for each place. */
const blocks = (isDepth: boolean): Row => (layer) => {
  const block = numberOf(layer, 'block', 2)
  const places = block * block
  const thin = (isDepth ? layer.shape[1] : layer.shapes[0]![1]) as number
  const isGrouped = layer.attributes['order'] === 'crd'
  // Channels of the deep side: crd has those of one channel together, dcr those of one place.
  const weight = new Float32Array(places * thin * (isGrouped ? 1 : thin) * places)
  for (let c = 0; c < thin; c++) {
    for (let place = 0; place < places; place++) {
      const deep = isGrouped ? c * places + place : place * thin + c
      weight[(isGrouped ? deep : deep * thin + c) * places + place] = 1
    }
  }
  layer.done(isDepth ? 'Deconvolution' : 'Convolution', [layer.input()], {
    convolution_param: {
      num_output: layer.shape[1] as number,
      bias_term: false,
      kernel_size: block,
      stride: block,
      ...(isGrouped && { group: thin }),
    },
  }, { blobs: [layer.numbers(weight, [places * thin, isGrouped ? 1 : thin, block, block])], constant: true })
}

export const resizingRows: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['upsample', upsample],
  ['pad', pad],
  ['depth_to_space', blocks(true)],
  ['space_to_depth', blocks(false)],
])
