import { extname } from 'node:path'
import { augment } from '../runtime/data/augment.ts'
import { arrays } from '../runtime/data/dataset.ts'
import type { Bundle, InputEntry, Shape, TensorData } from '../runtime/format.ts'
import type { Numbers } from '../runtime/device.ts'
import { InputError } from '../runtime/errors.ts'
import { readSafetensors, writeSafetensors } from '../runtime/safetensors.ts'
import { elementCount } from '../runtime/sizes.ts'
import { BYTE_SCALE } from '../runtime/data/bytes.ts'
import { pictureShape } from '../runtime/data/node-datasets.ts'
import { decodePicture } from '../runtime/data/node/sharp.ts'
import { isPicture } from '../runtime/data/node/walk.ts'
import { decodedShape } from './data/pictures.ts'
import { UsageError } from './exit.ts'
import { replaceFile } from '../runtime/node-files.ts'
import { encodeNpy, parseNpy } from '../runtime/npy.ts'
import { readBytes } from './files.ts'
import { didYouMean } from './suggest.ts'

/** Inputs as the command line names them, ready for the net, and how many samples they hold. */
export interface GivenInputs {
  readonly values: Record<string, Numbers>
  readonly samples: number
}

/**
 * `--input x.safetensors` (all inputs by name), `--input image=x.npy`, `--input x.npy` where one input is wanted, pictures
 * (several for one input make a batch). `needed`: what the program reads. Tells everything that does not fit at once.
 */
export async function readInputs(
  given: readonly string[] | undefined,
  bundle: Bundle,
  needed: readonly InputEntry[],
): Promise<GivenInputs> {
  const names = bundle.manifest.inputs.map((input) => input.name)
  const wantedText = needed.map((input) => `${input.name} [${input.shape.join(', ')}]`).join(', ')
  if (!given || given.length === 0) throw new UsageError(`inputs are missing: name them by --input (the net takes ${wantedText})`)
  const found = new Map<string, TensorData>()
  const pictures = new Map<string, string[]>()
  for (const text of given) {
    const { name, file } = splitName(text, names)
    const target = (): InputEntry => {
      const wanted = name ?? (needed.length === 1 ? needed[0]!.name : undefined)
      if (wanted === undefined) throw new UsageError(`--input ${text}: which input is it? Write --input NAME=${file} (the net takes ${wantedText})`)
      const entry = bundle.manifest.inputs.find((input) => input.name === wanted)
      if (!entry) throw new InputError(`there is no input ${wanted}${didYouMean(wanted, names)} (the net takes ${wantedText})`)
      return entry
    }
    if (file.endsWith('.npy')) found.set(target().name, parseNpy(await readBytes(file), file))
    else if (isPicture(file)) pictures.set(target().name, [...(pictures.get(target().name) ?? []), file])
    else if (file.endsWith('.safetensors')) {
      const { tensors } = readSafetensors(await readBytes(file), file)
      if (name !== undefined) {
        const only = tensors.get(name) ?? (tensors.size === 1 ? [...tensors.values()][0] : undefined)
        if (!only) throw new InputError(`${file} holds no ${name}: it has ${[...tensors.keys()].join(', ') || 'nothing'}`)
        found.set(target().name, only)
      } else {
        for (const [key, tensor] of tensors) {
          if (!names.includes(key)) throw new InputError(`${file} holds ${key}, the net has no such input${didYouMean(key, names)} (it takes ${wantedText})`)
          found.set(key, tensor)
        }
      }
    } else throw new InputError(`${file}: inputs are read from .safetensors, .npy or pictures, not from ${extname(file) || 'files without an extension'}`)
  }
  for (const [name, files] of pictures) found.set(name, await readPictures(bundle.manifest.inputs.find((input) => input.name === name)!, files, bundle))
  return fit(found, needed)
}

/** `image=x.npy`; a file may hold `=` itself, so only names of inputs, or what looks like one, count. */
function splitName(text: string, names: readonly string[]): { name?: string; file: string } {
  const match = /^([A-Za-z_]\w*)=(.+)$/.exec(text)
  return match && (names.includes(match[1]!) || !match[1]!.includes('.')) ? { name: match[1]!, file: match[2]! } : { file: text }
}

/** Pictures of any size as one batch, seen as the net sees them when it is evaluated: scaled and cropped. */
async function readPictures(input: InputEntry, files: readonly string[], bundle: Bundle): Promise<TensorData> {
  const changes = bundle.manifest.train?.augment ?? []
  const shape = decodedShape(pictureShape(input), changes)
  const size = elementCount(shape)
  const bytes = new Uint8Array(files.length * size)
  for (const [i, file] of files.entries()) await decodePicture(file, shape, bytes.subarray(i * size, (i + 1) * size))
  const dataset = augment(arrays({ image: { shape, type: 'f32', data: bytes, scale: BYTE_SCALE } }), changes)
  const made = dataset.fields['image']!.shape
  const data = new Float32Array(files.length * elementCount(made))
  await dataset.read(files.map((_, i) => i), { image: data })
  return { shape: [files.length, ...made], type: 'f32', data }
}

function fit(found: ReadonlyMap<string, TensorData>, needed: readonly InputEntry[]): GivenInputs {
  const wrong: string[] = []
  const values: Record<string, Numbers> = {}
  const counts = new Map<string, number>()
  for (const input of needed) {
    const tensor = found.get(input.name)
    if (!tensor) {
      wrong.push(`input ${input.name} [${input.shape.join(', ')}] is missing`)
      continue
    }
    const samples = samplesOf(tensor.shape, input.shape)
    if (samples === undefined) wrong.push(`input ${input.name} is [${tensor.shape.join(', ')}], the net takes [${input.shape.join(', ')}]`)
    else if (input.shape[0] === 'n') counts.set(input.name, samples)
    const numbers = asKind(tensor, input)
    if (typeof numbers === 'string') wrong.push(numbers)
    else values[input.name] = numbers
  }
  const distinct = new Set(counts.values())
  if (distinct.size > 1) wrong.push(`inputs hold different numbers of samples: ${[...counts].map(([name, count]) => `${name} ${count}`).join(', ')}`)
  if (distinct.has(0)) wrong.push('the inputs hold no samples')
  if (wrong.length > 0) throw new InputError(wrong.join('\n'))
  return { values, samples: [...distinct][0] ?? 1 }
}

/** How many samples a tensor of this shape holds; one sample may leave out the batch. Undefined: it does not fit. */
function samplesOf(shape: readonly number[], wanted: Shape): number | undefined {
  const sample = wanted[0] === 'n' ? wanted.slice(1) : wanted
  const same = (a: readonly number[]): boolean => a.length === sample.length && a.every((dim, i) => dim === sample[i])
  if (wanted[0] === 'n' && shape.length === wanted.length && same(shape.slice(1))) return shape[0]
  return same(shape) ? 1 : undefined
}

function asKind({ data, type }: TensorData, input: InputEntry): Numbers | string {
  if (input.type === 'f32') return data instanceof Float64Array || data instanceof Float32Array ? data : Float32Array.from(data as Int32Array, Number)
  if (data instanceof Int32Array) return data
  const whole = Array.from(data as ArrayLike<number | bigint>, Number)
  const wrong = whole.find((value) => !Number.isInteger(value))
  return wrong === undefined ? Int32Array.from(whole) : `input ${input.name} holds integers, the file has ${wrong} (${type})`
}

/** Numbers of a result as they go into a file. */
export const tensorOf = (data: Numbers, shape: Shape, samples: number): TensorData => ({
  shape: shape.map((dim) => (dim === 'n' ? samples : dim)),
  type: data instanceof Float64Array ? 'f64' : data instanceof Int32Array ? 'i32' : 'f32',
  data,
})

/** `-o y.safetensors` takes all, `-o y.npy` the only one, `-o prob=y.npy` the one of that name. */
export async function writeTensors(outputs: readonly string[], tensors: ReadonlyMap<string, TensorData>): Promise<void> {
  const names = [...tensors.keys()]
  const writes: (() => Promise<void>)[] = []
  for (const text of outputs) {
    const match = /^([\w./]+)=(.+)$/.exec(text)
    const file = match ? match[2]! : text
    if (match && !tensors.has(match[1]!)) throw new InputError(`there is no result ${match[1]}${didYouMean(match[1]!, names)} (there are ${names.join(', ')})`)
    const chosen = match ? new Map([[match[1]!, tensors.get(match[1]!)!]]) : tensors
    if (file.endsWith('.safetensors')) writes.push(() => replaceFile(file, writeSafetensors(chosen)))
    else if (file.endsWith('.npy')) {
      if (chosen.size !== 1) throw new UsageError(`${file} holds one result, there are ${names.join(', ')}: write -o NAME=${file}, or -o to a .safetensors`)
      writes.push(() => replaceFile(file, encodeNpy([...chosen.values()][0]!)))
    } else throw new UsageError(`${file}: results are written to .safetensors or .npy`)
  }
  for (const write of writes) await write()
}

/** Refuses before any work is done. */
export function checkOutputs(outputs: readonly string[] | undefined): void {
  for (const text of outputs ?? []) {
    if (!/\.(safetensors|npy)$/.test(text)) throw new UsageError(`${text}: results are written to .safetensors or .npy`)
  }
}

