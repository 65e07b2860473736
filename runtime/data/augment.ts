import { InputError } from '../../bundle/errors.ts'
import type { CallEntry, InputEntry } from '../../bundle/format.ts'
import { isNamed, say } from '../../bundle/plain.ts'
import { hashName, threefry } from '../random.ts'
import { elementCount, showShape } from '../../bundle/sizes.ts'
import { type Change, changesOf } from './changes.ts'
import { checkDataset, type Dataset, type Draw, type Field } from './dataset.ts'
import { fieldsFor } from './fields.ts'

/** A field whose maps move. */
interface Moved {
  readonly chain: readonly Change[]
  /** Maps a sample. */
  readonly planes: number
  readonly height: number
  readonly width: number
  /** The number that fills places of a window that reach beyond the map. */
  readonly fill: number
}

/** A field of the dataset that feeds an input, with the changes that augmentation makes to its samples. */
interface Part {
  readonly name: string
  readonly field: Field
  readonly input?: InputEntry
  /** The shape of a sample: that of the input where the field is flat. */
  readonly shape: readonly number[]
}

/**
 * Changes pictures as the `augment` line of a file says, and with them, by the same random choice, whatever lies over them: label
 * maps (`class[..][h, w]`) and numbers a pixel of the same height and width. Numbers around a picture are zero, labels around
 * a label map are those that losses ignore. Random choices are keyed by (seed, epoch, index) and made in training only; in evaluation
 * `mirror` does nothing and `crop` takes the middle. `inputs`: what is read, of a net; absent: every field, as it is.
 * Throws InputError where there is no picture, and for maps that cannot follow it.
 */
export function augment(dataset: Dataset, calls: readonly CallEntry[], inputs?: readonly InputEntry[]): Dataset {
  checkDataset(dataset)
  if (!Array.isArray(calls) || !calls.every((entry) => typeof entry?.call === 'string' && isNamed(entry.args)))
    throw new InputError(`augment takes a list of calls, [{ call: 'mirror', args: {} }], not ${say(calls)}`)
  if (!calls.length) return dataset
  const parts = inputs ? partsOf(dataset, calls, inputs)
    : Object.entries(dataset.fields).map(([name, field]) => ({ name, field, shape: field.shape }))
  const moved = movedParts(parts, calls)
  const fields: Record<string, Field> = { ...dataset.fields }
  for (const [name, { chain }] of moved) fields[name] = { ...fields[name]!, shape: changedShape(fields[name]!.shape, chain) }
  const keys = calls.map((call, i) => hashName(`augment ${i} ${call.call}`))
  const rests = [...moved.values()].every(({ chain }) => chain.every((change) => change.restsInEvaluation))
  let raw: Record<string, Float32Array | Int32Array> = {}
  return {
    ...dataset,
    length: dataset.length,
    fields,
    async read(indices, into, draw) {
      if (rests && !draw) return dataset.read(indices, into)
      const sources: Record<string, Float32Array | Int32Array> = { ...into }
      for (const name of moved.keys()) {
        if (!into[name]) continue
        const { shape, type } = dataset.fields[name]!
        const wanted = elementCount(shape) * indices.length
        // Taken for the time of this call, so that calls which overlap do not share it.
        const held = raw[name]
        sources[name] = held?.length === wanted ? held : type === 'i32' ? new Int32Array(wanted) : new Float32Array(wanted)
      }
      raw = {}
      await dataset.read(indices, sources, draw)
      for (const [name, how] of moved) {
        if (!into[name]) continue
        changeAll(sources[name]!, into[name], how, indices, keys, draw)
        raw[name] = sources[name]!
      }
    },
  }
}

const mapOf = (
  shape: readonly number[],
): readonly [number, number] | undefined => (shape.length >= 2 ? [shape.at(-2)!, shape.at(-1)!] : undefined)
/** The shape of a field behind its changes. A flat field is as long as before. */
const changedShape = (
  shape: readonly number[],
  chain: readonly Change[],
): readonly number[] => (shape.length >= 2 ? [...shape.slice(0, -2), chain.at(-1)!.height, chain.at(-1)!.width] : shape)

/** The fields that feed the inputs of a net, told by the shapes that they will have. */
function partsOf(dataset: Dataset, calls: readonly CallEntry[], inputs: readonly InputEntry[]): Part[] {
  let problem: unknown
  const changed = Object.fromEntries(
    Object.entries(dataset.fields).map(([name, field]) => {
      const map = mapOf(field.shape)
      try {
        return [name, map ? { ...field, shape: changedShape(field.shape, changesOf(calls, ...map)) } : field]
      } catch (error) {
        // The error of a picture is what is told, should no field fit.
        if (field.type === 'f32' && field.shape.length >= 3) problem ??= error
        return [name, field]
      }
    }),
  )
  let found: ReadonlyMap<string, string>
  try {
    found = fieldsFor(inputs, { ...dataset, fields: changed })
  } catch (error) {
    if (problem) throw problem
    throw error instanceof InputError ? new InputError(`${error.message}, as augment ${
      calls.map(({ call }) => call).join(', ')
    } leaves them`) : error
  }
  const parts = new Map<string, Part>()
  for (const input of inputs) {
    const name = found.get(input.name)!
    const field = dataset.fields[name]!
    if (!parts.has(name))
      parts.set(name, {
        name,
        field,
        input,
        shape: field.shape.length <= 1 && input.shape.length > 2 ? input.shape.slice(1) as number[] : field.shape,
      })
  }
  return [...parts.values()]
}

/** Pictures, and what lies over them. */
function movedParts(parts: readonly Part[], calls: readonly CallEntry[]): Map<string, Moved> {
  const numbers = parts.filter(({ field }) => field.type === 'f32')
  const pictures = numbers.some(({ shape }) => shape.length >= 3) ? numbers.filter(({ shape }) => shape.length >= 3)
    : numbers.filter(({ shape }) => shape.length === 2)
  const [picture, ...others] = pictures
  const named = calls.map(({ call }) => call).join(', ')
  if (!picture)
    throw new InputError(`augment ${named}: there are no pictures [channels, height, width] to change (${parts.map(describe).join(', ')})`)
  const [height, width] = mapOf(picture.shape)!
  const follows = ({ shape }: Part): boolean => shape.at(-2) === height && shape.at(-1) === width
  const otherwise = 'leave it out of the train block, or train with augment: false and change both yourself'
  const strange = others.find((other) => !follows(other))
  if (strange)
    throw new InputError(
      `augment ${named}: ${describe(picture)} and ${
        describe(strange)
      } differ in size, so it is not clear what moves with what: ${otherwise}`,
    )
  const stays = parts.find((part) => part.shape.length >= 2 && !follows(part))
  if (stays)
    throw new InputError(
      `augment ${named} moves the pixels of ${describe(picture)}, and ${
        describe(stays)
      } cannot follow: it is no map of ${height} x ${width}; ${otherwise}`,
    )
  const chain = changesOf(calls, height, width)
  return new Map(
    parts.filter((part) => part.shape.length >= 2).map((part) => {
      const [last] = chain.slice(-1)
      if (part.field.shape.length < 2 && (last!.height !== height || last!.width !== width))
        throw new InputError(`augment ${named}: ${part.name} is flat, so its height and width are not known: give its shape`)
      return [part.name, {
        chain,
        planes: elementCount(part.shape) / (height * width),
        height,
        width,
        fill: fillOf(part, chain, named, otherwise),
      }]
    }),
  )
}

/** Zeros around a picture; around a label map what all that reads it ignores. */
function fillOf({ name, field, input }: Part, chain: readonly Change[], named: string, otherwise: string): number {
  if (field.type === 'f32' || !chain.some((change) => change.pads)) return 0
  const ignore = input?.ignore ?? [-1]
  if (ignore.length === 1) return ignore[0]!
  throw new InputError(
    `augment ${named}: around the label map ${name} stands what losses and metrics ignore, and ${
      ignore.length === 0 ? 'there is none that all of them ignore' : `these ignore ${ignore.join(' and ')}`
    }: `
      + `${
        ignore.length === 0 ? 'crop without pad, write the same ignore in all of them' : 'write the same ignore in all of them'
      }, or ${otherwise}`,
  )
}

const describe = ({ name, shape }: Part): string => `${name} ${showShape(shape)}`

function changeAll(
  source: Float32Array | Int32Array,
  into: Float32Array | Int32Array,
  { chain, planes, height, width, fill }: Moved,
  indices: ArrayLike<number>,
  keys: readonly number[],
  draw: Draw | undefined,
): void {
  const size = planes * height * width
  const make = source instanceof Int32Array ? Int32Array : Float32Array
  const steps = chain.map((change) => new make(planes * change.height * change.width))
  const last = steps.at(-1)!
  for (let k = 0; k < indices.length; k++) {
    let from: Float32Array | Int32Array = source.subarray(k * size, (k + 1) * size)
    chain.forEach((change, i) => {
      change.apply(from, steps[i]!, planes, fill, draw && threefry(draw.seed, keys[i]!, draw.epoch, indices[k]!))
      from = steps[i]!
    })
    into.set(last, k * last.length)
  }
}
