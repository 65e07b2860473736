import type { Source } from '../dsl/source.ts'
import { InputError } from '../runtime/errors.ts'
import { readText } from './files.ts'

/** The text of a .net file. */
export async function readSource(file: string): Promise<Source> {
  if (!file.endsWith('.net')) throw new InputError(`${file} is no .net file`)
  return { file, text: await readText(file) }
}
