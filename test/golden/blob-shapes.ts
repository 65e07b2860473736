import { type GoldenCase, type GoldenLayer, tensorsBelow } from './golden-file.ts'
import { isLoss } from './layer-text.ts'

type Shape = readonly number[]

/** What a layer reads and makes. In place, a blob may have another shape behind a layer than in front of it. */
export interface LayerShapes {
  readonly bottoms: readonly Shape[]
  readonly tops: readonly Shape[]
}

export interface BlobShapes {
  /** One a layer, in order. */
  readonly layers: readonly LayerShapes[]
  readonly inputs: ReadonlyMap<string, Shape>
}

/** Shapes of every blob, batch included, from those of the inputs: training cases give no others. */
export function blobShapes(golden: GoldenCase, layers: readonly GoldenLayer[]): BlobShapes {
  const now = new Map<string, Shape>()
  // In front of what a training run is given stands the number of its batches.
  for (const [blob, t] of tensorsBelow(golden, 'in.')) now.set(blob, golden.kind === 'train' ? t.shape.slice(1) : t.shape)
  const inputs = new Map(now)
  const found = layers.map((layer): LayerShapes => {
    const bottoms = layer.bottom.map((blob) => {
      const shape = now.get(blob)
      if (!shape) throw new Error(`${golden.name}: ${layer.name} reads ${blob}, which nothing in front of it makes`)
      return shape
    })
    const tops = topShapes(layer, bottoms)
    layer.top.forEach((blob, i) => now.set(blob, tops[i]!))
    return { bottoms, tops }
  })
  return { layers: found, inputs }
}

export const sizeOf = (shape: Shape): number => shape.reduce((a, b) => a * b, 1)
export const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis)

function topShapes(layer: GoldenLayer, bottoms: readonly Shape[]): readonly Shape[] {
  const a = layer.attrs
  const x = bottoms[0]!
  const [n, c, ...map] = x as [number, number, ...number[]]
  if (isLoss(layer)) return [[]]
  switch (layer.type) {
    case 'Convolution':
      return [[
        n,
        a['num_output'],
        ...map.map((size, i) => Math.floor((size + 2 * a['pad'][i] - (a['dilation'][i] * (a['kernel'][i] - 1) + 1)) / a['stride'][i]) + 1),
      ]]
    case 'Deconvolution':
      return [[
        n,
        a['num_output'],
        ...map.map((size, i) =>
          a['stride'][i] * (size - 1) + a['dilation'][i] * (a['kernel'][i] - 1) + 1 - 2 * a['pad'][i] + (a['output_padding']?.[i] ?? 0)
        ),
      ]]
    case 'InnerProduct':
      return [[n, a['num_output']]]
    case 'Pooling':
      return [[n, c, ...map.map((size, i) => (a['global_pooling'] ? 1 : pooled(a, size, i)))]]
    case 'Concat': {
      const axis = axisOf(a['axis'], x.length)
      return [x.map((size, i) => (i === axis ? bottoms.reduce((sum, shape) => sum + shape[axis]!, 0) : size))]
    }
    case 'Slice': {
      const { axis, points } = slicesOf(layer, x)
      return layer.top.map((_, k) => x.map((size, i) => (i === axis ? points[k + 1]! - points[k]! : size)))
    }
    case 'Flatten': {
      const from = axisOf(a['axis'], x.length)
      const to = axisOf(a['end_axis'] ?? -1, x.length)
      return [[...x.slice(0, from), sizeOf(x.slice(from, to + 1)), ...x.slice(to + 1)]]
    }
    case 'Reshape': {
      const dims = (a['dim'] as number[]).map((dim, i) => (dim === 0 ? x[i]! : dim))
      const known = sizeOf(dims.filter((dim) => dim !== -1))
      return [dims.map((dim) => (dim === -1 ? sizeOf(x) / known : dim))]
    }
    default:
      return [x]
  }
}

function pooled(a: GoldenLayer['attrs'], size: number, i: number): number {
  const [k, s, p] = [a['kernel'][i], a['stride'][i], a['pad'][i]]
  const steps = (size + 2 * p - k) / s
  const out = (a['round_mode'] === 'ceil' ? Math.ceil(steps) : Math.floor(steps)) + 1
  return (out - 1) * s >= size + p ? out - 1 : out
}

/** Where a Slice cuts: from 0 to the whole extent, equal parts where it names no points. */
export function slicesOf(layer: GoldenLayer, x: Shape): { axis: number; points: readonly number[] } {
  const axis = axisOf(layer.attrs['axis'] ?? 1, x.length)
  const given = (layer.attrs['slice_point'] as number[] | null | undefined) ?? []
  const extent = x[axis]!
  const inner = given.length > 0 ? given : layer.top.slice(1).map((_, i) => ((i + 1) * extent) / layer.top.length)
  return { axis, points: [0, ...inner, extent] }
}
