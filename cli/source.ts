import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Source } from '../dsl/source.ts'
import { InputError } from '../bundle/errors.ts'
import { fileError } from '../runtime/loading/file-error.ts'
import { refuseModel } from './imported.ts'
import { mustExist, readText } from './files.ts'

/** The text of a .net file. */
export async function readSource(file: string): Promise<Source> {
  if (!file.endsWith('.net')) {
    const kind = await mustExist(file)
    if (kind === 'file') refuseModel(file)
    throw new InputError(`${file} is ${kind === 'folder' ? 'a folder' : 'no .net file'}; a program ends in .net`)
  }
  return { file, text: await readText(file) }
}

/**
 * Reads the file that `import "./blocks.net"` names, relative to the file with the import. Undefined where it is not there: the compiler
 * tells where it was imported.
 */
export function readImport(path: string, from: Source): Source | undefined {
  const file = join(dirname(from.file), path)
  try {
    return { file, text: readFileSync(file, 'utf8') }
  } catch (error) {
    const reason = fileError(error, file, 'read')
    if (reason && !['ENOENT', 'ENOTDIR', 'EISDIR'].includes(reason.code)) throw reason
    return undefined
  }
}
