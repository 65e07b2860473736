import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MANIFEST_FILE, WEIGHTS_FILE } from '../runtime/loading/files.ts'
import { InputError } from '../bundle/errors.ts'
import { quoted } from '../bundle/quoted.ts'

/** Files of other formats, whole models and weights alone. */
const FOREIGN = /\.(onnx|prototxt|cfg|caffemodel|weights)$/i

/** Throws InputError for a model of another format where a net or weights of fusenet are wanted: it comes by `import`. */
export function refuseModel(path: string): void {
  const end = FOREIGN.exec(path)?.[1]?.toLowerCase()
  if (end === undefined) return
  const model = `${end === 'caffemodel' ? 'deploy.prototxt ' : end === 'weights' ? 'net.cfg ' : ''}${quoted(path)}`
  throw new InputError(
    `${path} is of another format: fusenet import ${model} -o DIR brings it, as DIR/NAME.net and DIR/weights.safetensors`,
  )
}

/** Throws InputError for a folder that `import` wrote, where a bundle is wanted. */
export async function refuseImport(folder: string): Promise<void> {
  const found = await readdir(folder).catch((): string[] => [])
  const net = found.find((name) => name.endsWith('.net'))
  if (net === undefined || found.includes(MANIFEST_FILE) || !found.includes('import.json')) return
  const weights = found.includes(WEIGHTS_FILE) ? `its weights are ${join(folder, WEIGHTS_FILE)}` : 'it has no weights'
  throw new InputError(`${folder} is what fusenet import wrote, not a bundle: its net is ${join(folder, net)}, ${weights}`)
}
