import { extname } from 'node:path'
import { augment } from '../runtime/data/augment.ts'
import { brokenPictures } from '../runtime/data/node/broken.ts'
import { Table } from '../runtime/data/node/csv.ts'
import { warnOfBytes } from '../runtime/data/node/field-files.ts'
import { howTheyFit } from '../runtime/data/node/picture-fit.ts'
import { pictureDataset } from '../runtime/data/node/pictures.ts'
import { columnsOf } from '../runtime/data/node/table.ts'
import { isPicture, LeftOut, picturesBelow } from '../runtime/data/node/walk.ts'
import { pictureShape } from '../runtime/data/node-datasets.ts'
import type { Numbers } from '../bundle/device.ts'
import { InputError } from '../bundle/errors.ts'
import type { Bundle, InputEntry, Shape, TensorData } from '../bundle/format.ts'
import { parseNpy } from '../runtime/loading/npy.ts'
import { readSafetensors } from '../runtime/loading/safetensors.ts'
import { elementCount } from '../bundle/sizes.ts'
import { decodedShape } from './data/pictures.ts'
import { UsageError } from './exit.ts'
import { kindOf, mustExist, readBytes, readText } from './files.ts'
import { filesOf, folderOf, isPattern } from './glob.ts'
import { didYouMean } from '../bundle/nearest.ts'
import { quoted } from '../bundle/quoted.ts'

/** Inputs as the command line names them, ready for the net. */
export interface GivenInputs {
  readonly samples: number
  /** The file of each sample, if each is a file of its own. */
  readonly names?: readonly string[]
  /** Notes for the user: files that were left out, numbers that look like bytes. */
  readonly notes: readonly string[]
  /** Samples from..from+count-1 of each input; pictures are decoded now. */
  read(from: number, count: number): Promise<Record<string, Numbers>>
}

/** Options for reading the files of `--input` and similar options. */
export interface ReadOptions {
  /** Pictures that cannot be read are left out, and told. */
  readonly skipBroken?: boolean
}

interface Source {
  readonly samples: number
  readonly names?: readonly string[]
  read(from: number, count: number): Promise<Numbers> | Numbers
}

/**
 * `--input x.safetensors` (all inputs by name), `--input image=x.npy`, `--input x.npy` where one input is wanted, `x.csv` (columns by name),
 * pictures, folders and patterns of them (several for one input make a batch). `needed`: what the program reads. Tells everything that
 * does not fit at once.
 */
export async function openInputs(
  given: readonly string[] | undefined,
  bundle: Bundle,
  needed: readonly InputEntry[],
  options: ReadOptions = {},
): Promise<GivenInputs> {
  const { inputs } = bundle.manifest
  const names = inputs.map((input) => input.name)
  const wantedText = needed.map((input) => `${input.name} [${input.shape.join(', ')}]`).join(', ')
  if (!given || given.length === 0) throw new UsageError(`inputs are missing: name them by --input (the net takes ${wantedText})`)
  const found = new Map<string, TensorData>()
  const pictures = new Map<string, string[]>()
  const notes: string[] = []
  const left = new LeftOut()
  for (const text of given) {
    const several = text.split(/,(?=\w+=)/)
    if (several.length > 1 && several.every((part) => names.includes(part.slice(0, part.indexOf('=')))))
      throw new UsageError(
        `--input is one input, several are several options: ${several.map((part) => `--input ${quoted(part)}`).join(' ')}`,
      )
    const { name, file } = splitName(text, names)
    const target = (): InputEntry => {
      const wanted = name ?? (needed.length === 1 ? needed[0]!.name : undefined)
      if (wanted === undefined)
        throw new UsageError(`--input ${text}: which input is it? Write --input NAME=${quoted(file)} (the net takes ${wantedText})`)
      const entry = inputs.find((input) => input.name === wanted)
      if (!entry) throw new InputError(`there is no input ${wanted}${didYouMean(wanted, names)} (the net takes ${wantedText})`)
      return entry
    }
    const once = (input: string, tensor: TensorData): void => {
      if (found.has(input)) throw new InputError(`${input} is given twice: an array holds all samples of an input (${file})`)
      found.set(input, tensor)
    }
    const array = file.endsWith('.npy') || file.endsWith('.safetensors') || file.endsWith('.csv') || file.endsWith('.tsv')
    if (!array) {
      const files = await picturesOf(file, left)
      const input = target().name
      pictures.set(input, [...(pictures.get(input) ?? []), ...files])
    } else if (file.endsWith('.npy')) {
      const entry = target()
      once(entry.name, withNotes(parseNpy(await readBytes(file), file), entry, file, notes))
    } else if (file.endsWith('.safetensors')) {
      const { tensors } = readSafetensors(await readBytes(file), file)
      if (name !== undefined) {
        const only = tensors.get(name) ?? (tensors.size === 1 ? [...tensors.values()][0] : undefined)
        if (!only) throw new InputError(`${file} holds no ${name}: it has ${[...tensors.keys()].join(', ') || 'nothing'}`)
        once(target().name, withNotes(only, target(), file, notes))
      } else {
        for (const [key, tensor] of tensors) {
          const entry = inputs.find((input) => input.name === key)
          if (!entry)
            throw new InputError(`${file} holds ${key}, the net has no such input${didYouMean(key, names)} (it takes ${wantedText})`)
          once(key, withNotes(tensor, entry, `${file}: ${key}`, notes))
        }
      }
    } else {
      const columns = columnsOf(
        new Table(await readText(file), file),
        name === undefined ? needed.filter((input) => !found.has(input.name)) : [target()],
        notes,
      )
      for (const [key, { data }] of Object.entries(columns)) {
        const entry = inputs.find((input) => input.name === key)!
        const shape = entry.shape.map((dim) => (dim === 'n' ? data.length / elementCount(entry.shape) : dim))
        once(
          key,
          withNotes(
            { shape, type: data instanceof Int32Array ? 'i32' : 'f32', data: data as Float32Array },
            entry,
            `${file}: ${key}`,
            notes,
          ),
        )
      }
    }
  }
  if (options.skipBroken && pictures.size === 0) throw new UsageError('--skip-broken leaves out pictures, and no input here is one')
  const sources = new Map<string, Source>()
  for (const [name, files] of pictures) {
    if (found.has(name)) throw new InputError(`${name} is given twice: as pictures and as an array`)
    sources.set(name, await pictureSource(inputs.find((input) => input.name === name)!, files, bundle, options, notes))
  }
  const leftOut = left.note()
  if (leftOut) notes.push(leftOut)
  return { ...fit(found, sources, needed), notes }
}

/** All samples of all inputs at once. */
export async function readInputs(
  given: readonly string[] | undefined,
  bundle: Bundle,
  needed: readonly InputEntry[],
): Promise<{ readonly values: Record<string, Numbers>; readonly samples: number; readonly notes: readonly string[] }> {
  const opened = await openInputs(given, bundle, needed)
  return { values: await opened.read(0, opened.samples), samples: opened.samples, notes: opened.notes }
}

/** `image=x.npy`; a file may hold `=` itself, so only names of inputs, or what looks like one, count. */
function splitName(text: string, names: readonly string[]): { name?: string; file: string } {
  const match = /^([A-Za-z_]\w*)=(.+)$/.exec(text)
  return match && (names.includes(match[1]!) || !match[1]!.includes('.')) ? { name: match[1]!, file: match[2]! } : { file: text }
}

function withNotes(tensor: TensorData, input: InputEntry, what: string, notes: string[]): TensorData {
  if (input.type === 'f32') warnOfBytes(tensor, input, what, notes)
  return tensor
}

/** A picture, all pictures of a folder, or those that a pattern means. */
async function picturesOf(path: string, left: LeftOut): Promise<string[]> {
  const kind = await kindOf(path)
  if (kind === 'folder') {
    const found = await picturesBelow(path, left)
    if (found.length === 0)
      throw new InputError(`${path} holds no pictures (PNG, JPEG, WebP, ...)${left.size > 0 ? `; there are ${left}` : ''}`)
    return found
  }
  if (!kind && isPattern(path)) {
    const files = await filesOf(path)
    const found = files.filter(isPicture)
    for (const file of files) if (!isPicture(file)) left.file(file)
    if (found.length === 0)
      throw new InputError(
        files.length === 0 ? `nothing in ${folderOf(path)} matches ${path}` : `no pictures match ${path} (there are ${left})`,
      )
    return found
  }
  if (!isPicture(path))
    throw new InputError(
      `${path}: inputs are read from .safetensors, .npy, .csv, pictures or folders of them, not from ${
        extname(path) || 'files without an extension'
      }`,
    )
  await mustExist(path)
  return [path]
}

/** Pictures of any size, seen as the net sees them when it is evaluated: scaled, cropped. */
async function pictureSource(
  input: InputEntry,
  files: readonly string[],
  bundle: Bundle,
  options: ReadOptions,
  notes: string[],
): Promise<Source> {
  const changes = bundle.manifest.train?.augment ?? []
  const shape = decodedShape(pictureShape(input), changes)
  const broken = await brokenPictures([...new Set(files)], options.skipBroken)
  const told = [...broken].map(([path, why]) => `  ${path}: ${why.split('\n')[0]}`)
  if (broken.size > 0 && (!options.skipBroken || files.every((file) => broken.has(file)))) {
    throw new InputError(
      `${broken.size} of ${files.length} pictures cannot be read:\n${told.slice(0, 20).join('\n')}${
        options.skipBroken ? '' : '\nMend or remove them, or leave them out by --skip-broken'
      }`,
    )
  }
  if (broken.size > 0) notes.push(`left out: ${broken.size} of ${files.length} pictures, which cannot be read:\n${told.join('\n')}`)
  const sound = files.filter((file) => !broken.has(file))
  notes.push(...await howTheyFit(sound, shape, input.name))
  // Nothing is kept: each picture is read once.
  const dataset = augment(pictureDataset(sound.map((path) => ({ path, label: 0 })), shape, [], { bytes: 0 }), changes)
  const size = elementCount(dataset.fields['image']!.shape)
  return {
    samples: sound.length,
    names: sound,
    async read(from, count) {
      const image = new Float32Array(count * size)
      await dataset.read(Array.from({ length: count }, (_, i) => from + i), { image })
      return image
    },
  }
}

function fit(
  found: ReadonlyMap<string, TensorData>,
  opened: ReadonlyMap<string, Source>,
  needed: readonly InputEntry[],
): Omit<GivenInputs, 'notes'> {
  const wrong: string[] = []
  const sources = new Map<string, Source>()
  const counts = new Map<string, number>()
  for (const input of needed) {
    const tensor = found.get(input.name)
    const source = opened.get(input.name)
    if (source) {
      counts.set(input.name, source.samples)
      sources.set(input.name, source)
      continue
    }
    if (!tensor) {
      wrong.push(`input ${input.name} [${input.shape.join(', ')}] is missing`)
      continue
    }
    const samples = samplesOf(tensor.shape, input.shape)
    if (samples === undefined) wrong.push(`input ${input.name} is [${tensor.shape.join(', ')}], the net takes [${input.shape.join(', ')}]`)
    else if (input.shape[0] === 'n') counts.set(input.name, samples)
    const numbers = asKind(tensor, input)
    if (typeof numbers === 'string') wrong.push(numbers)
    else if (samples !== undefined) {
      const size = elementCount(input.shape)
      sources.set(input.name, {
        samples,
        read: (from, count) => (input.shape[0] === 'n' ? numbers.subarray(from * size, (from + count) * size) as Numbers : numbers),
      })
    }
  }
  const distinct = new Set(counts.values())
  if (distinct.size > 1)
    wrong.push(`inputs hold different numbers of samples: ${[...counts].map(([name, count]) => `${name} ${count}`).join(', ')}`)
  if (distinct.has(0)) wrong.push('the inputs hold no samples')
  if (wrong.length > 0) throw new InputError(wrong.join('\n'))
  const names = [...sources.values()].find((source) => source.names)?.names
  return {
    samples: [...distinct][0] ?? 1,
    ...(names && { names }),
    async read(from, count) {
      const values: Record<string, Numbers> = {}
      for (const [name, source] of sources) values[name] = await source.read(from, count)
      return values
    },
  }
}

/**
 * The number of samples in a tensor of this shape. A single sample may omit the batch; a sample, or what the net takes for one, may be flat, as in
 * data to train with. Undefined where it does not fit.
 */
function samplesOf(shape: readonly number[], wanted: Shape): number | undefined {
  const sample = wanted[0] === 'n' ? wanted.slice(1) : wanted
  const same = (a: readonly number[]): boolean => a.length === sample.length && a.every((dim, i) => dim === sample[i])
  if (wanted[0] === 'n' && shape.length === wanted.length && same(shape.slice(1))) return shape[0]
  if (same(shape)) return 1
  const given = shape.slice(1)
  const isFlat = wanted[0] === 'n' && shape.length > 0 && (given.length <= 1 || sample.length <= 1)
  return isFlat && elementCount(given) === elementCount(wanted) ? shape[0] : undefined
}

function asKind({ data, type }: TensorData, input: InputEntry): Numbers | string {
  if (input.type === 'f32')
    return data instanceof Float64Array || data instanceof Float32Array ? data : Float32Array.from(data as Int32Array, Number)
  if (data instanceof Int32Array) return data
  const whole = Array.from(data as ArrayLike<number | bigint>, Number)
  const wrong = whole.find((value) => !Number.isInteger(value))
  return wrong === undefined ? Int32Array.from(whole) : `input ${input.name} holds integers, the file has ${wrong} (${type})`
}
