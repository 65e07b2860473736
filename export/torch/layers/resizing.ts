import { interpolationOf } from '../../../compiler/ops/resize-bands.ts'
import { directionsOf } from '../../../compiler/ops/resize.ts'
import { pairOf } from '../../../compiler/ops/sliding-window.ts'
import { called, type Layer, numberOf, type Row } from '../layer.ts'
import { code, literal, option, type PythonValue } from '../python-code.ts'
import { square } from './convolution.ts'

/** Pixels are repeated by whole factors: interpolation of torch would compute where each lies in float32. */
const upsample: Row = (layer) => {
  const [down, along] = pairOf(layer.attributes, 'factor', [1, 1])
  if (layer.attributes['mode'] !== 'bilinear')
    return { value: code`${0}.repeat_interleave(${literal(down, 'rows')}, 2).repeat_interleave(${literal(along, 'columns')}, 3)` }
  const size = [layer.shape[2] as number, layer.shape[3] as number] as const
  return { value: code`F.interpolate(${0}, ${literal(square(size), 'size')}, mode="bilinear", align_corners=False)` }
}

const listOf = ({ attributes }: Layer, name: string, otherwise: readonly number[]): readonly number[] =>
  (attributes[name] as readonly number[] | undefined) ?? otherwise

/** F.pad takes left, right, top, bottom, front, behind. */
const pad: Row = (layer) => {
  const size = listOf(layer, 'size', [0])
  const [top, bottom, left, right] = (size.length === 4 ? size : [size[0]!, size[0]!, size.at(-1)!, size.at(-1)!]) as [
    number,
    number,
    number,
    number,
  ]
  const list = listOf(layer, 'channels', [0, 0])
  const channels = [list[0]!, list.at(-1)!] as const
  const mode = String(layer.attributes['mode'] ?? 'constant')
  if (mode !== 'constant')
    return {
      value: code`pad_by_map(${0}, ${literal(channels, 'channels')}, ${literal([top, bottom], 'rows')}, ${
        literal([left, right], 'columns')
      }, ${literal(mode, 'mode')})`,
    }
  const frame = [left, right, top, bottom, ...(channels.some((count) => count > 0) ? channels : [])]
  return { value: code`F.pad(${0}, ${literal(frame, 'frame')}${option('value', numberOf(layer, 'value', 0), 0)})` }
}

/** What F.interpolate computes alike is left to it. */
const resize: Row = (layer) => {
  const { mode, coordinates, rounding, cubicCoefficient, excludeOutside } = interpolationOf(layer.attributes)
  const directions = directionsOf(layer.attributes, layer.shapes[0]!)
  const isPlain = directions.every(({ scale }) => scale === undefined) && (coordinates === 'half_pixel' || coordinates === 'align_corners')
  if (isPlain && (mode === 'linear' || (mode === 'cubic' && cubicCoefficient === -0.75 && !excludeOutside)))
    return {
      value: code`F.interpolate(${0}, ${literal(square([directions[0].to, directions[1].to]), 'size')}, mode=${
        literal(mode === 'linear' ? 'bilinear' : 'bicubic', 'mode')
      }, align_corners=${literal(coordinates === 'align_corners', 'align_corners')})`,
    }
  const [rows, columns] = directions.map(({ from, to, scale }): PythonValue => [from, to, ...(scale === undefined ? [] : [scale])])
  return called(
    layer,
    code`Resize(${literal(rows, 'rows')}, ${literal(columns, 'columns')}${option('mode', mode, 'nearest')}${
      option('coordinates', coordinates, 'half_pixel')
    }${option('rounding', rounding, 'round_prefer_floor')}${option('cubic_coefficient', cubicCoefficient, -0.75)}${
      option('exclude_outside', excludeOutside, false)
    })`,
  )
}

/** PyTorch has the channel first, then the place in the block; the other order exchanges both. */
const depthToSpace: Row = (layer) => {
  const block = literal(numberOf(layer, 'block', 1), 'block')
  if (layer.attributes['order'] === 'crd') return { value: code`F.pixel_shuffle(${0}, ${block})` }
  return { value: code`depth_to_space(${0}, ${block})` }
}

const spaceToDepth: Row = (layer) => {
  const block = literal(numberOf(layer, 'block', 1), 'block')
  if (layer.attributes['order'] === 'crd') return { value: code`F.pixel_unshuffle(${0}, ${block})` }
  return { value: code`space_to_depth(${0}, ${block})` }
}

export const resizingRows: ReadonlyMap<string, Row> = new Map([
  ['upsample', upsample],
  ['resize', resize],
  ['pad', pad],
  ['depth_to_space', depthToSpace],
  ['space_to_depth', spaceToDepth],
])
