import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MANIFEST_FILE, WEIGHTS_FILE } from '../runtime/loading/files.ts'
import { InputError } from '../bundle/errors.ts'
import { quoted } from '../bundle/quoted.ts'
import { endingOf, foreignEnding } from '../import/foreign-endings.ts'
import { FORMAT_ROWS } from '../import/formats.ts'

/** How a net comes of a file of another format, by its ending. Undefined where the ending says none. */
export function foreignModel(path: string): string | undefined {
  const ending = endingOf(path)
  const found = foreignEnding(path)
  const own = FORMAT_ROWS.some(([, row]) => (row.endings as readonly string[]).includes(ending) || row.weights === ending)
  if (own) {
    const command = found?.mend ?? `fusenet import ${quoted(path)} -o DIR`
    return `${path} is of another format: ${command} brings it, as DIR/NAME.net and DIR/weights.safetensors`
  }
  if (!found || ending === 'net') return undefined
  return `${path}: ${found.what}; ${found.mend}${found.mend.includes('model.onnx') ? ', then fusenet import model.onnx -o DIR' : ''}`
}

/** Throws InputError for a model of another format where a net or a bundle of fusenet is wanted. */
export function refuseModel(path: string): void {
  const said = foreignModel(path)
  if (said !== undefined) throw new InputError(said)
}

/** Throws InputError for a folder that `import` wrote, where a bundle is wanted. */
export async function refuseImport(folder: string): Promise<void> {
  const found = await readdir(folder).catch((): string[] => [])
  const net = found.find((name) => name.endsWith('.net'))
  if (net === undefined || found.includes(MANIFEST_FILE) || !found.includes('import.json')) return
  const weights = found.includes(WEIGHTS_FILE) ? `its weights are ${join(folder, WEIGHTS_FILE)}` : 'it has no weights'
  throw new InputError(`${folder} is what fusenet import wrote, not a bundle: its net is ${join(folder, net)}, ${weights}`)
}
