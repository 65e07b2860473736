import { extname } from 'node:path'
import { InputError } from '../../../bundle/errors.ts'
import type { InputEntry, TensorData } from '../../../bundle/format.ts'
import { didYouMean } from '../../../bundle/nearest.ts'
import { parseNpy } from '../../loading/npy.ts'
import { readSafetensors } from '../../loading/safetensors.ts'
import { arrays, type Column, type Dataset } from '../dataset.ts'
import { strayLabel } from '../labels.ts'
import { Table } from './csv.ts'
import { readBytes, whatItIs } from './read.ts'
import { columnsOf } from './table.ts'

/** Whether a file holds tables or arrays, by its extension. */
export const isFieldFile = (path: string): boolean => /\.(npy|safetensors|csv|tsv)$/i.test(path)

/** `x=x.npy,t=t.npy`, `data.safetensors`, `data.csv`: files, each for the field that is named, or for those that it names itself. */
export function fieldFilesOf(text: string): { readonly field?: string; readonly file: string }[] | undefined {
  // A comma may belong to a file's name: a new file begins with `NAME=`.
  const parts = text.split(/,(?=\s*[A-Za-z_]\w*=)/).map((part) => part.trim())
  const files = parts.map((part) => {
    const match = /^([A-Za-z_]\w*)=(.+)$/.exec(part)
    return match ? { field: match[1]!, file: match[2]! } : { file: part }
  })
  return files.every(({ field, file }) => field !== undefined || isFieldFile(file)) ? files : undefined
}

/** A dataset of arrays and tables in files. `inputs`: of the net that it is for, so that types and classes are known. */
export async function readFieldFiles(text: string, inputs: readonly InputEntry[] | undefined, notes: string[]): Promise<Dataset> {
  const columns = new Map<string, Column>()
  const origins = new Map<string, string>()
  const add = (name: string, column: Column, file: string): void => {
    if (columns.has(name)) throw new InputError(`${name} is in ${origins.get(name)} and in ${file}`)
    columns.set(name, column)
    origins.set(name, file)
  }
  for (const { field, file } of fieldFilesOf(text) ?? []) {
    const input = inputs?.find(({ name }) => name === field)
    if (field !== undefined && inputs && !input) {
      const names = inputs.map(({ name }) => name)
      throw new InputError(`there is no input ${field}${didYouMean(field, names)} (the net takes ${names.join(', ')})`)
    }
    const bytes = await readBytes(file)
    const strange = whatItIs(bytes)
    if (strange !== undefined) throw new InputError(`${file} holds no data: ${strange}`)
    switch (extname(file).toLowerCase()) {
      case '.npy': {
        const wanted = input ?? (inputs?.length === 1 ? inputs[0] : undefined)
        const name = field ?? wanted?.name
        if (name === undefined)
          throw new InputError(
            `${file}: which input is it? Write NAME=${file}${inputs ? ` (the net takes ${inputs.map((i) => i.name).join(', ')})` : ''}`,
          )
        add(name, columnOf(parseNpy(bytes, file), wanted, name, file, notes), file)
        break
      }
      case '.safetensors': {
        const { tensors } = readSafetensors(bytes, file)
        if (field !== undefined) {
          const tensor = tensors.get(field) ?? (tensors.size === 1 ? [...tensors.values()][0] : undefined)
          if (!tensor) throw new InputError(`${file} holds no ${field}: it has ${[...tensors.keys()].join(', ') || 'nothing'}`)
          add(field, columnOf(tensor, input, field, file, notes), file)
        } else for (const [name, tensor] of tensors)
            add(
              name,
              columnOf(tensor, inputs?.find((i) => i.name === name), name, file, notes),
              file,
            )
        break
      }
      case '.csv':
      case '.tsv': {
        const wanted = field !== undefined ? inputs?.filter(({ name }) => name === field) : inputs?.filter(({ name }) => !columns.has(name))
        if (!wanted)
          throw new InputError(`${file}: a table is read by the inputs of a net: loadDataset(..., { inputs: bundle.manifest.inputs })`)
        let text: string
        try {
          text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
        } catch {
          throw new InputError(`${file} is not UTF-8 text`)
        }
        for (const [name, column] of Object.entries(columnsOf(new Table(text, file), wanted, notes))) {
          const own = wanted.find((i) => i.name === name)!
          if (own.type === 'f32')
            warnOfBytes({ shape: [1], type: 'f32', data: column.data as Float32Array }, own, `${file}: ${name}`, notes)
          add(name, column, file)
        }
        break
      }
      default:
        throw new InputError(
          `${file}: data are read from .npy, .safetensors and .csv, not from ${extname(file) || 'files without an extension'}`,
        )
    }
  }
  const lengths = new Map(
    [...columns].map(([name, { data, shape }]) => [name, data.length / Math.max(1, shape.reduce((p, d) => p * d, 1))]),
  )
  const distinct = [...new Set(lengths.values())]
  if (distinct.length > 1)
    throw new InputError(
      `these hold different numbers of samples: ${
        [...lengths].map(([name, count]) => `${name} ${count} (${origins.get(name)})`).join(', ')
      }`,
    )
  if (!distinct[0]) throw new InputError(`${text} holds no samples`)
  return arrays(Object.fromEntries(columns))
}

/** All samples of a field, the first axis counting them. */
function columnOf(tensor: TensorData, input: InputEntry | undefined, name: string, file: string, notes: string[]): Column {
  const [count, ...shape] = tensor.shape
  const what = `${file}${file.endsWith('.npy') ? '' : `: ${name}`}`
  if (count === undefined) throw new InputError(`${what} is one number: the first axis counts samples`)
  const type = input?.type ?? (tensor.type === 'i32' || tensor.type === 'i64' ? 'i32' : 'f32')
  if (type === 'f32') {
    if (input) warnOfBytes(tensor, input, what, notes)
    const data = tensor.data instanceof Float32Array || tensor.data instanceof Int32Array || tensor.data instanceof Uint8Array ? tensor.data
      : Float32Array.from(tensor.data as Float64Array, Number)
    return { shape, type, data }
  }
  const data = tensor.data instanceof Int32Array ? tensor.data :
    Int32Array.from(tensor.data as Float64Array, (value: number | bigint, i) => {
      if (!Number.isInteger(Number(value)) || Math.abs(Number(value)) >= 2 ** 31)
        throw new InputError(`${what}: labels are integers, here is ${String(value)} at ${i}`)
      return Number(value)
    })
  const { classes, ignore = [-1] } = input ?? {}
  const bad = classes === undefined ? -1 : data.findIndex((label) => !(label >= 0 && label < classes) && !ignore.includes(label))
  if (bad >= 0) throw new InputError(`${what}: ${strayLabel(data[bad]!, classes!, data, ` at ${bad}`)}`)
  return { shape, type, ...(classes !== undefined && { classes }), data }
}

/**
 * Says so where a picture's numbers look like bytes: none below 0, the largest beyond 1.5 and at most 255. fusenet's own pictures are 0..1, and
 * what a net was trained with is not kept, so no more than that can be known.
 */
export function warnOfBytes({ shape, data }: TensorData, input: InputEntry, what: string, notes: string[]): void {
  const sample = input.shape.slice(1)
  if (sample.length !== 3 || (sample[0] !== 1 && sample[0] !== 3) || shape.length === 0) return
  let most = 0
  for (let i = 0; i < data.length; i++) {
    const value = Number(data[i]!)
    if (!(value >= 0 && value <= 255)) return
    if (value > most) most = value
  }
  if (most > 1.5)
    notes.push(
      `${what} holds numbers up to ${
        Number(most.toPrecision(4))
      }, taken as they are: pictures that fusenet reads itself are 0..1. If the net is trained with those, divide by 255`,
    )
}
