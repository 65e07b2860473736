import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { InputError } from '../../bundle/errors.ts'
import { type ExportedTorch, exportTorch, type Streamed } from '../../export/index.ts'
import { withFile } from '../../runtime/loading/file-error.ts'
import { draftOf, removeLeftOvers, syncFolder, tryFile } from '../../runtime/loading/node/files.ts'
import { UsageError } from '../exit.ts'
import { kindOf } from '../files.ts'
import { refuseInputs } from '../outputs.ts'
import { VERSION } from '../package.ts'
import { showBytes } from '../screen.ts'
import { firstValues, writeParts } from './files.ts'
import type { Target } from './target.ts'
import { quoted } from '../../bundle/quoted.ts'

const SETTINGS = 'settings.json'
const WEIGHTS = 'weights.safetensors'

/** What ends in these is meant to be a file. */
const OF_FILES = ['.onnx', '.prototxt', '.caffemodel', '.py', '.pt', '.pth', '.safetensors', '.net']

/** A folder with a module of PyTorch, its weights, and what trains it. */
export const toTorch: Target = {
  says: 'a net for PyTorch is a folder',
  // The text is what is written; a net without outputs can be trained, one without losses infers.
  programs: ['infer', 'eval'],
  started: (bundle) => ({ ...bundle, weights: firstValues(bundle.manifest) }),
  async prepare(folder, { fold, inputs }) {
    if (folder.trim() === '') throw new UsageError('-o names the folder that is written')
    const ending = OF_FILES.find((one) => folder.toLowerCase().endsWith(one))
    if (ending)
      throw new UsageError(
        `-o ${folder}: ${toTorch.says}, and ${ending} ends the name of a file: -o ${folder.slice(0, -ending.length)}-torch`,
      )
    if (fold) throw new UsageError('--fold: a net for PyTorch is trained on, and keeps its batch normalizations')
    const kind = await kindOf(folder)
    if (kind === 'file') throw new InputError(`${folder} is a file; a net for PyTorch is a folder`)
    if (kind === 'folder') await refuseOtherFolders(folder)
    await refuseInputs(join(folder, WEIGHTS), inputs)
    await tryFile(join(folder, SETTINGS))
  },
  async write(folder, bundle, { style, isTrained }, screen) {
    const exported = exportTorch(bundle, { version: VERSION, trained: isTrained, ...(style && { style }) })
    await withFile(folder, 'written', () => mkdir(resolve(folder), { recursive: true }))
    const files: readonly (readonly [name: string, what: Streamed])[] = [
      ...[...exported.texts].filter(([name]) => name !== SETTINGS).map(([name, text]) => [name, whole(text)] as const),
      [WEIGHTS, exported.weights],
      // It says that the folder is fusenet's, and so comes last.
      [SETTINGS, whole(exported.texts.get(SETTINGS)!)],
    ]
    const drafts = files.map(([name, what]) => ({ path: join(resolve(folder), name), what, draft: draftOf(join(resolve(folder), name)) }))
    try {
      for (const { path, what, draft } of drafts) {
        await withFile(path, 'written', () => mkdir(dirname(path), { recursive: true }))
        await removeLeftOvers(path)
        await writeParts(draft, what, screen)
      }
      for (const { path, draft } of drafts) await withFile(path, 'written', () => rename(draft, path))
      for (const place of new Set(drafts.map(({ path }) => dirname(path)))) await syncFolder(place)
    } finally {
      for (const { draft } of drafts) await rm(draft, { force: true }).catch(() => {})
    }
    tell(folder, exported, isTrained, screen)
  },
}

/** A folder that has files of these names is replaced where fusenet wrote it; what else is in it stays. */
async function refuseOtherFolders(folder: string): Promise<void> {
  const there = await withFile(folder, 'read', () => readdir(folder))
  if (there.length === 0) return
  const settings = await readFile(join(folder, SETTINGS), 'utf8').catch(() => '')
  if (isOurs(settings)) return
  throw new InputError(`${folder} is there already with other files, and fusenet did not write it: name another folder`)
}

function isOurs(settings: string): boolean {
  try {
    return (JSON.parse(settings) as { writer?: unknown } | null)?.writer === 'fusenet'
  } catch {
    return false
  }
}

function tell(
  folder: string,
  { settings, weights, texts }: ExportedTorch,
  isTrained: boolean,
  screen: Parameters<Target['write']>[3],
): void {
  const { name, inputs, outputs, parameters } = settings
  screen.print(`${folder}: ${name} for PyTorch, ${parameters.length} tensors, ${showBytes(weights.bytes)}`)
  screen.print(`  forward  ${inputs.map(({ argument, shape }) => `${argument} [${shape.join(', ')}]`).join(', ')}`)
  screen.print(`  results  ${outputs.map((output) => output.name).join(', ')}`)
  if (!isTrained) screen.print('  weights  as they start: no training and no --weights gave others')
  if (texts.has('train.py') && settings.train) screen.print(`  train    cd ${quoted(folder)} && python3 train.py --data FOLDER`)
  screen.result({
    folder,
    net: name,
    files: [...texts.keys(), WEIGHTS],
    bytes: weights.bytes,
    inputs,
    outputs,
    trained: isTrained,
  })
}

const whole = (text: string): Streamed => {
  const bytes = new TextEncoder().encode(text)
  return {
    bytes: bytes.length,
    *parts() {
      yield bytes
    },
  }
}
