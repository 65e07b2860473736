import { InputError } from '../bundle/errors.ts'
import { call, checkOptions, list, type Rule } from '../bundle/options.ts'
import { say } from '../bundle/plain.ts'
import type { ByteSource } from './byte-source.ts'
import { endingOf, foreignEnding } from './foreign-endings.ts'
import { refuseForeign, refuseWeights } from './foreign-file.ts'
import { ImportError } from './import-error.ts'
import type { ModelNet } from './model-net.ts'
import { type Format, FORMAT_ROWS, type FormatRow, FORMATS } from './formats.ts'
import type { ReadOptions } from './read-options.ts'

export type { Format }

const isSource = (given: unknown): given is ByteSource =>
  typeof (given as Partial<ByteSource> | null | undefined)?.read === 'function' && typeof (given as ByteSource).name === 'string'

function checkSource(of: string, given: unknown): void {
  if (!isSource(given)) throw new InputError(`${of} takes a ByteSource, bytesSource('net.onnx', bytes), not ${say(given)}`)
}

const RULES: Readonly<Record<keyof ReadOptions, Rule>> = {
  shapes: [(given) => given instanceof Map, 'a Map of shapes, [3, 224, 224], by names of inputs'],
  outputs: list,
  weights: [isSource, "a ByteSource, bytesSource('net.caffemodel', bytes),"],
  beside: call,
  progress: call,
}

/**
 * A model that a reader of its format understood, ready for `writeNet`. Throws ImportError with all problems at once, InputError for what is no
 * ByteSource and for options that mean nothing.
 */
export async function importModel(source: ByteSource, options: ReadOptions = {}): Promise<ModelNet> {
  checkSource('importModel', source)
  checkOptions('importModel', options, RULES)
  const format = formatOf(source)
  refuseForeign(source)
  const { weights, beside } = options
  if (weights) refuseWeights(FORMATS[format], source, weights)
  const read = await FORMATS[format].load()
  return read(source, { ...options, ...(beside && { beside: known(beside) }) })
}

/** Files beside the model, looked at when they are opened. */
const known = (beside: (path: string) => ByteSource) => (path: string): ByteSource => {
  const found = beside(path)
  if (found.size > 0) refuseForeign(found)
  return found
}

/** Bytes that are looked at to know a file without a telling name. */
const LOOKED_AT = 4096

/** The format of a model's first file, by its name or else by what is in it. Throws ImportError for what is none, InputError for what is no ByteSource. */
export function formatOf(source: ByteSource): Format {
  checkSource('formatOf', source)
  const byName = FORMAT_ROWS.find(([, { endings }]) => (endings as readonly string[]).includes(endingOf(source.name)))
  if (byName) return byName[0]
  const foreign = foreignEnding(source.name)
  if (foreign) throw refused(source, foreign.what, foreign.mend)
  refuseForeign(source)
  const bytes = source.read(0, Math.min(source.size, LOOKED_AT))
  const text = new TextDecoder('latin1').decode(bytes)
  const found = FORMAT_ROWS.find(([, { begins }]) => begins(bytes, text))
  if (found) return found[0]
  throw refused(source, 'this is no model that is read here', FORMAT_ROWS.map(([, row]) => sayFiles(row)).join('; '))
}

/** `.onnx`, `.cfg (and .weights) of Darknet`. */
const sayFiles = ({ called, endings, weights }: FormatRow): string =>
  weights === undefined ? `.${endings[0]!}` : `.${endings[0]!} (and .${weights}) of ${called}`

const refused = ({ name }: ByteSource, what: string, mend: string): ImportError => new ImportError([{ where: name, what, mend }])
