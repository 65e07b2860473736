import { open as openFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { InputError } from '../bundle/errors.ts'
import { withFile } from '../runtime/loading/file-error.ts'
import { MANIFEST_FILE, WEIGHTS_FILE } from '../runtime/loading/files.ts'
import { throughLinks, tryFile } from '../runtime/loading/node/files.ts'
import { checkPlace, TYPES_FILE } from '../runtime/loading/node/write-bundle.ts'
import { UsageError } from './exit.ts'
import { kindOf } from './files.ts'

/** What a verb writes into one file. */
export interface OutputKind {
  /** How its files end. */
  readonly ending: RegExp
  /** What is said of another ending: `a drawing ends in .svg`. */
  readonly says: string
  /** Whether fusenet wrote a file, by its first bytes. Absent: the format has no place to say so, and any file with the ending is replaced. */
  isOurs?(head: string): boolean
}

/** Enough for the marks of all formats. */
const HEAD_BYTES = 1024

/**
 * Refuses, before any work is done, a file that a verb must not write: with another ending, one that the command reads (`inputs`: files
 * and folders), one that fusenet did not write, one in a place that cannot be written to. Throws UsageError and InputError.
 */
export async function checkOutput(file: string, kind: OutputKind, inputs: readonly string[]): Promise<void> {
  // A pipe or a device holds nothing that is lost, and is called as the system calls it.
  if (await isStream(file)) return
  if (!kind.ending.test(file)) throw new UsageError(`-o ${file}: ${kind.says}`)
  await refuseInputs(file, inputs)
  await refuseOthers(file, kind)
  await tryFile(file)
}

/** Names that files of these formats have, and what writes them. */
const FILES_OF_OTHERS: readonly (readonly [ending: RegExp, instead: string])[] = [
  [/\.m?js$/i, 'one ES module is what fusenet compile --format esm writes'],
  [/\.safetensors$/i, `its weights are the file ${WEIGHTS_FILE} in it`],
  [/\.(onnx|prototxt|caffemodel|pth?)$/i, 'other formats are what fusenet export writes of it'],
  [/\.(net|json|csv|npy|npz|svg|zip|wasm|wgsl|d\.ts)$/i, 'name it without the ending'],
]

/**
 * Refuses, before any work is done, a place that a bundle must not be written to: that of `checkPlace`, and a name by which another kind
 * of file was meant, unless such a folder is there. Throws UsageError and InputError.
 */
export async function checkBundlePlace(folder: string): Promise<void> {
  const other = FILES_OF_OTHERS.find(([ending]) => ending.test(folder))
  if (other && await kindOf(folder) !== 'folder') throw new UsageError(`-o ${folder}: a bundle is a folder; ${other[1]}`)
  await checkPlace(folder)
}

/** Throws InputError for a file that the command reads, by whatever name. */
export async function refuseInputs(file: string, inputs: readonly string[]): Promise<void> {
  for (const input of inputs) {
    const read = await kindOf(join(input, MANIFEST_FILE)) === undefined ? [input]
      : [MANIFEST_FILE, WEIGHTS_FILE, TYPES_FILE].map((name) => join(input, name))
    for (const each of read)
      if (await isSame(file, each)) throw new InputError(`${file} is what this command reads, and would be lost: name another file`)
  }
}

/** What fusenet wrote, as its first bytes tell, is replaced, as is a file without any; another file is not. Throws InputError. */
export async function refuseOthers(file: string, { isOurs }: Pick<OutputKind, 'isOurs'>): Promise<void> {
  if (!isOurs || await kindOf(file) !== 'file') return
  const head = await withFile(file, 'read', async () => {
    const handle = await openFile(file, 'r')
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0)
      return buffer.subarray(0, bytesRead).toString('latin1')
    } finally {
      await handle.close()
    }
  })
  if (head !== '' && !isOurs(head)) throw new InputError(`${file} is there already, and fusenet did not write it: name another file`)
}

/** Whether two names are of one file: through links, through a second name on the disk, in other letters where the disk takes both for one. */
async function isSame(a: string, b: string): Promise<boolean> {
  const [x, y] = await Promise.all([throughLinks(a), throughLinks(b)])
  if (x === y) return true
  const [p, q] = await Promise.all([x, y].map((path) => stat(path).catch(() => undefined)))
  return p !== undefined && q !== undefined && p.dev === q.dev && p.ino === q.ino
}

async function isStream(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined)
  return found !== undefined && !found.isFile() && !found.isDirectory()
}
