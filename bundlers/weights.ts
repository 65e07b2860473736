import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { InputError } from '../bundle/errors.ts'
import { withFile } from '../runtime/loading/file-error.ts'
import { MANIFEST_FILE, WEIGHTS_FILE } from '../runtime/loading/files.ts'
import type { Bundle, InputEntry, ParameterEntry, TensorData } from '../bundle/format.ts'
import { readBundle, readSnapshot } from '../runtime/node.ts'
import { plain } from '../bundle/plain.ts'
import { showShape } from '../bundle/sizes.ts'
import { matchStatistics } from '../runtime/match-statistics.ts'
import { readSafetensors } from '../runtime/loading/safetensors.ts'
import { HISTORY } from '../runtime/snapshot.ts'
import { FRESH } from './options.ts'
import { quoted } from '../bundle/quoted.ts'

/** The source of a net's parameters, with the files to watch. */
export interface WeightsPlace {
  /** Undefined: there are none. */
  readonly path?: string
  /** Files whose change is another net. */
  readonly watched: readonly string[]
  readonly isFolder?: boolean
}

/** Looks for them: what was named, else `digits.safetensors` beside `digits.net`. Throws InputError where what was named is not there. */
export async function findWeights(file: string, named: string | undefined): Promise<WeightsPlace> {
  if (named === FRESH) return { watched: [] }
  const path = named ?? file.replace(/\.net$/, '.safetensors')
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (!['ENOENT', 'ENOTDIR'].includes(error.code ?? '')) throw error
  })
  // What is not there yet may come: a training ends.
  if (!found && named === undefined) return { watched: [path] }
  if (!found)
    throw new InputError(
      `there are no weights ${path}: train them (fusenet train ${quoted(file)} -o ${
        quoted(path.replace(/\.\w+$/, ''))
      }), or say weights: 'fresh'`,
    )
  return found.isDirectory() ? { path, isFolder: true, watched: [join(path, MANIFEST_FILE), join(path, WEIGHTS_FILE)] }
    : { path, watched: [path] }
}

export interface ReadWeights {
  readonly tensors: ReadonlyMap<string, TensorData>
  /** The inputs of the bundle that the weights come from: they name its classes. */
  readonly inputs: readonly InputEntry[]
}

export async function readWeights({ path, isFolder }: WeightsPlace): Promise<ReadWeights | undefined> {
  if (path === undefined) return undefined
  if (isFolder) {
    const { weights, manifest }: Bundle = await readBundle(path, { targets: [] })
    if (!weights) throw new InputError(`the bundle ${path} holds no ${WEIGHTS_FILE}: train it first`)
    return { tensors: weights, inputs: manifest.inputs }
  }
  const { tensors, metadata } = readSafetensors(await withFile(path, 'read', () => readFile(path)), path)
  if (metadata['format'] !== 'fusenet-snapshot') return { tensors, inputs: [] }
  return { tensors: new Map([...(await readSnapshot(path)).tensors].filter(([name]) => !name.startsWith(HISTORY))), inputs: [] }
}

export interface Fitted {
  /** Weights that have the name and the shape of one of the net's. */
  readonly kept: ReadonlyMap<string, TensorData>
  /** Parameters that start anew, each with the reason; `left` names weights that are left over. */
  readonly fresh: readonly string[]
  readonly left: readonly string[]
}

/** Takes what has the name and the shape of a parameter; running statistics in the form in which the net stores them. */
export function fitWeights(parameters: readonly ParameterEntry[], tensors: ReadonlyMap<string, TensorData>): Fitted {
  const kept = new Map<string, TensorData>()
  const { tensors: converted } = matchStatistics(tensors, new Map(parameters.map(({ name, shape }) => [name, showShape(shape)])))
  const fresh: string[] = []
  for (const { name, shape } of parameters) {
    const found = converted.get(name)
    if (found && found.shape.join() === shape.join()) kept.set(name, found)
    else fresh.push(found ? `${name} [${shape.join(', ')}] (there it is [${found.shape.join(', ')}])` : `${name} [${shape.join(', ')}]`)
  }
  const known = new Set(parameters.map(({ name }) => name))
  return { kept, fresh, left: [...tensors.keys()].filter((name) => !known.has(name)).map((name) => plain(name, 80)) }
}
