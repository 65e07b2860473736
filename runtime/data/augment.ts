import { InputError } from '../errors.ts'
import type { CallEntry } from '../format.ts'
import { hashName, threefry } from '../random.ts'
import { elementCount } from '../sizes.ts'
import type { Arrays, Dataset, Draw, Field } from './dataset.ts'

/** One sample's image to another; `words` are random, absent in evaluation. */
interface Change {
  readonly shape: readonly [number, number, number]
  apply(from: Float32Array, to: Float32Array, words: readonly [number, number] | undefined): void
}
type Shape3 = readonly [number, number, number]

/**
 * Changes the images of a dataset (its f32 fields of shape [C, H, W]) as the `augment` line of a file says. Random
 * choices are keyed by (seed, epoch, index) and made in training only; in evaluation `mirror` does nothing and `crop`
 * takes the middle.
 */
export function augment(dataset: Dataset, calls: readonly CallEntry[]): Dataset {
  if (!calls.length) return dataset
  const fields: Record<string, Field> = { ...dataset.fields }
  const chains = new Map<string, readonly Change[]>()
  for (const [name, field] of Object.entries(dataset.fields)) {
    if (field.type !== 'f32' || field.shape.length !== 3) continue
    let shape = field.shape as Shape3
    chains.set(name, calls.map((call) => {
      const change = changeOf(call, shape)
      shape = change.shape
      return change
    }))
    fields[name] = { ...field, shape }
  }
  if (!chains.size) throw new InputError('there are no images [C, H, W] to augment in this dataset')
  const keys = calls.map((call, i) => hashName(`augment ${i} ${call.call}`))
  let raw: Record<string, Float32Array> = {}
  return {
    length: dataset.length,
    fields,
    async read(indices, into, draw) {
      const sources: Record<string, Float32Array | Int32Array> = { ...into }
      for (const name of chains.keys()) {
        if (!into[name]) continue
        const wanted = elementCount(dataset.fields[name]!.shape) * indices.length
        // Taken for the time of this call, so that calls which overlap do not share it.
        const held = raw[name]
        sources[name] = held?.length === wanted ? held : new Float32Array(wanted)
      }
      raw = {}
      await dataset.read(indices, sources, draw)
      for (const [name, chain] of chains) {
        if (!into[name]) continue
        changeAll(sources[name] as Float32Array, into as Record<string, Float32Array>, name, chain, elementCount(dataset.fields[name]!.shape), indices, keys, draw)
        raw[name] = sources[name] as Float32Array
      }
    },
  }
}

function changeAll(source: Float32Array, into: Arrays, name: string, chain: readonly Change[], size: number, indices: ArrayLike<number>, keys: readonly number[], draw: Draw | undefined): void {
  const steps = chain.map((change) => new Float32Array(elementCount(change.shape)))
  const last = steps.at(-1)!
  for (let k = 0; k < indices.length; k++) {
    let from = source.subarray(k * size, (k + 1) * size)
    chain.forEach((change, i) => {
      change.apply(from, steps[i]!, draw && threefry(draw.seed, keys[i]!, draw.epoch, indices[k]!))
      from = steps[i]!
    })
    into[name]!.set(last, k * last.length)
  }
}

function changeOf({ call, args }: CallEntry, shape: Shape3): Change {
  switch (call) {
    case 'mirror': return mirror(shape)
    case 'crop': return crop(shape, args)
    default: throw new InputError(`there is no augmentation ${call}: mirror, crop`)
  }
}

/** Left and right exchanged, every second time. */
function mirror(shape: Shape3): Change {
  const width = shape[2]
  return {
    shape,
    apply(from, to, words) {
      if (!words || words[0] >>> 31) return to.set(from)
      for (let i = 0; i < from.length; i++) to[i] = from[i - (i % width) + width - 1 - (i % width)]!
    },
  }
}

/** `crop(28, pad: 4)`: a window of that size somewhere in the image with zeros around it. */
function crop([channels, height, width]: Shape3, args: Readonly<Record<string, unknown>>): Change {
  const size = args['size'] ?? args['window'] ?? Object.values(args)[0]
  const [h, w] = (Array.isArray(size) ? size : [size, size]) as [number, number]
  const padding = args['pad'] ?? 0
  const [padY, padX] = (Array.isArray(padding) ? padding : [padding, padding]) as [number, number]
  const roomY = height + 2 * padY - h
  const roomX = width + 2 * padX - w
  if (!(h > 0 && w > 0 && roomY >= 0 && roomX >= 0)) throw new InputError(`crop of ${h} x ${w} does not fit into ${height} x ${width} with pad ${padY}`)
  return {
    shape: [channels, h, w],
    apply(from, to, words) {
      const top = (words ? Math.floor((words[0] / 2 ** 32) * (roomY + 1)) : roomY >> 1) - padY
      const left = (words ? Math.floor((words[1] / 2 ** 32) * (roomX + 1)) : roomX >> 1) - padX
      for (let c = 0, at = 0; c < channels; c++) {
        for (let y = top; y < top + h; y++) {
          for (let x = left; x < left + w; x++, at++) {
            to[at] = y >= 0 && y < height && x >= 0 && x < width ? from[(c * height + y) * width + x]! : 0
          }
        }
      }
    },
  }
}
