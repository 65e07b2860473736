/** Examples in the browser's IndexedDB and in files. */
import type { Field } from '../data/dataset.ts'
import { Examples, type ExamplesOptions } from '../data/examples.ts'
import { InputError } from '../../bundle/errors.ts'
import type { TensorData } from '../../bundle/format.ts'
import type { Host } from '../host-types.ts'
import { didYouMean } from '../../bundle/nearest.ts'
import { isNamed, plain, say } from '../../bundle/plain.ts'
import { readSafetensors, writeSafetensors } from '../loading/safetensors.ts'
import { elementCount } from '../../bundle/sizes.ts'
import { addressText, inDatabase, nameIn, savedName, SCHEME } from './database.ts'
import { type FileLike, handOut } from './one-file.ts'

const FORMAT = 'fusenet-examples'
const DOWNLOAD = 'download:'

/** Examples as a safetensors file: a tensor a field, the samples one after another, which is what `fusenet train --data FILE.safetensors` reads. */
export function examplesToBytes(examples: Examples): Uint8Array {
  const arrays = examples.arrays()
  const tensors = Object.entries(examples.fields).map((
    [name, { shape, type }],
  ): [string, TensorData] => [name, { shape: [examples.length, ...shape], type, data: arrays[name]! }])
  return writeSafetensors(new Map(tensors), { format: FORMAT, fields: JSON.stringify(examples.fields) })
}

/** The other way. Throws InputError for what is not of examples. */
export function examplesFromBytes(bytes: Uint8Array, options?: ExamplesOptions, what = 'these bytes'): Examples {
  const { tensors, metadata } = readSafetensors(bytes, what)
  const wrong = (why: string): InputError => new InputError(`${what}: ${why}`)
  if (metadata['format'] !== FORMAT) throw wrong('no examples, as saveExamples writes them')
  let fields: Readonly<Record<string, Field>>
  try {
    fields = JSON.parse(metadata['fields'] ?? '') as typeof fields
  } catch {
    throw wrong('what a sample holds is not said')
  }
  if (!isNamed(fields)) throw wrong('what a sample holds is not said')
  const examples = new Examples(fields, options)
  const names = Object.keys(fields)
  const counts = names.map((name) => {
    const tensor = tensors.get(name)
    const { shape, type } = fields[name]!
    if (!tensor || tensor.type !== type || tensor.shape.slice(1).join() !== shape.join())
      throw wrong(`${plain(name, 60)} is not what it says`)
    return tensor.shape[0]!
  })
  if (new Set(counts).size > 1) throw wrong('its fields differ in length')
  for (let i = 0; i < (counts[0] ?? 0); i++) {
    examples.add(Object.fromEntries(names.map((name) => {
      const size = elementCount(fields[name]!.shape)
      return [name, (tensors.get(name)!.data as Float32Array).subarray(i * size, (i + 1) * size)]
    })))
  }
  examples.forget()
  return examples
}

/** Saves examples as `indexeddb://name` in this browser, or as `download://name`, a file for the user. What has that name is replaced. */
export async function saveExamples(examples: Examples, to: string | Host<'URL'>): Promise<void> {
  const text = addressText(to)
  if (text.startsWith(SCHEME)) {
    const [name, bytes] = [nameIn(text), examplesToBytes(examples)]
    await inDatabase(['examples'], 'readwrite', (store) => store('examples').put(bytes, name))
  } else if (text.startsWith(DOWNLOAD)) {
    if (typeof document === 'undefined')
      throw new InputError('a download needs a page; elsewhere examplesToBytes(examples) gives the bytes of the file')
    handOut(
      examplesToBytes(examples),
      `${text.slice(DOWNLOAD.length).replace(/^\/\//, '').replace(/\.safetensors$/, '') || 'examples'}.safetensors`,
      'application/octet-stream',
    )
  } else throw new InputError(`examples are saved to 'indexeddb://name' or 'download://name', not to ${say(to)}`)
}

/** Opens what `saveExamples` saved: `indexeddb://name`, or the file. Throws InputError where there is none. */
export async function openExamples(from: string | Host<'URL'> | FileLike | Uint8Array, options?: ExamplesOptions): Promise<Examples> {
  if (from instanceof Uint8Array) return examplesFromBytes(from, options)
  if (typeof from === 'object' && 'arrayBuffer' in from)
    return examplesFromBytes(new Uint8Array(await from.arrayBuffer()), options, plain((from as { name?: string }).name ?? 'the file', 60))
  if (!String(from).startsWith(SCHEME))
    throw new InputError(`examples are opened from 'indexeddb://name', or a file that a user chose, not from ${say(from)}`)
  const name = nameIn(from)
  const bytes: unknown = await inDatabase(['examples'], 'readonly', (store) => store('examples').get(name))
  if (bytes instanceof Uint8Array) return examplesFromBytes(bytes, options, name)
  const names = await savedExamples()
  throw new InputError(
    `no examples are saved as ${plain(name, 60)} in this browser${didYouMean(name, names)}${
      names.length > 0 ? ` (saved are ${names.join(', ')})` : ', nor are any others'
    }`,
  )
}

/** The names of the examples that this page's origin has saved in this browser. */
export async function savedExamples(): Promise<string[]> {
  return (await inDatabase(['examples'], 'readonly', (store) => store('examples').getAllKeys())).map(String)
}

/** Deletes saved examples, `digits` or `indexeddb://digits`. Resolves with whether there were some. */
export async function deleteExamples(name: string | Host<'URL'>): Promise<boolean> {
  const key = savedName(name)
  let count: IDBRequest<number>
  await inDatabase(['examples'], 'readwrite', (store) => {
    count = store('examples').count(key)
    return store('examples').delete(key)
  })
  return count!.result > 0
}
