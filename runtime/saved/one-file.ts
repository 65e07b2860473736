/** A bundle as one file: a zip archive of its folder. */
import { InputError } from '../../bundle/errors.ts'
import { bundleFiles, MANIFEST_FILE } from '../loading/files.ts'
import type { Bundle } from '../../bundle/format.ts'
import { plain, say } from '../../bundle/plain.ts'
import { isZip, unzip, zip } from './zip.ts'

/** A Blob, or a File as `<input type="file">` and a drop give it. */
export interface FileLike {
  readonly size: number
  arrayBuffer(): Promise<ArrayBuffer>
}

/** The choice of a user: one archive, or the files of a folder. */
export type Chosen = FileLike | Uint8Array | ArrayBuffer | ArrayLike<FileLike>

const isBytes = (given: unknown): given is Uint8Array | ArrayBuffer => given instanceof Uint8Array || given instanceof ArrayBuffer
const isFile = (given: unknown): given is FileLike =>
  typeof (given as FileLike | null)?.arrayBuffer === 'function' && typeof (given as FileLike).size === 'number'

/**
 * A bundle as the bytes of one file, a zip archive: what `open` takes again, and unpacked the folder that any server serves. `beside`: files of the page's own that
 * go with it, by names that no file of a bundle has (examples.safetensors): `unpackBundle` gives them back, `open` does not look at them. Throws InputError for other names.
 */
export async function packBundle(bundle: Bundle, beside: ReadonlyMap<string, Uint8Array> = new Map()): Promise<Uint8Array<ArrayBuffer>> {
  const files = await bundleFiles(bundle)
  if (!(beside instanceof Map)) throw new InputError(`files beside a bundle are wanted as a Map of bytes by names, here is ${say(beside)}`)
  for (const name of beside.keys()) {
    if (files.has(name) || !/^[\w][\w.-]*$/.test(name))
      throw new InputError(
        `a file beside a bundle cannot be called ${plain(name, 60)}: ${
          files.has(name) ? 'the bundle has one of that name' : 'letters, digits, _, . and - make a name'
        }`,
      )
  }
  return zip(new Map([...files, ...beside].map(([name, data]) => [`${bundle.manifest.name}/${name}`, data])))
}

/** Hands a bundle to the user as a download, `NAME.zip`. Throws InputError where there is no page. */
export async function download(bundle: Bundle, name?: string): Promise<void> {
  if (typeof document === 'undefined')
    throw new InputError('a download needs a page; elsewhere packBundle(bundle) gives the bytes of the file')
  handOut(await packBundle(bundle), `${(name ?? bundle.manifest.name).replace(/\.zip$/, '')}.zip`, 'application/zip')
}

/** Lets the user's browser save bytes as a file of this name. */
export function handOut(bytes: Uint8Array, name: string, type: string): void {
  const url = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>], { type }))
  const link = Object.assign(document.createElement('a'), { href: url, download: name })
  link.click()
  // Safari reads it after the click is done.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

/** The files of a bundle that a user chose: their names are those below the folder of `bundle.json`. Throws InputError where that is not among them. */
export async function filesOf(chosen: Chosen): Promise<ReadonlyMap<string, Uint8Array>> {
  const list = isBytes(chosen) || isFile(chosen) ? [chosen] : Array.from(chosen)
  if (list.length === 0) throw new InputError('no file was chosen: a zip archive of a bundle is wanted, or the files of its folder')
  const all = new Map<string, Uint8Array>()
  for (const each of list) {
    const { webkitRelativePath, name: own } = each as { readonly webkitRelativePath?: string; readonly name?: string }
    const name = isBytes(each) ? 'the archive' : webkitRelativePath || own || 'the file'
    const bytes = await bytesOf(each, name)
    if (list.length === 1 && !name.endsWith(MANIFEST_FILE)) {
      if (!isZip(bytes))
        throw new InputError(
          `${plain(name, 60)} is no bundle: a zip archive of one is wanted, as download and packBundle make it, or all files of its folder`,
        )
      for (const [inside, data] of await unzip(bytes, plain(name, 60))) all.set(inside, data)
    } else all.set(name, bytes)
  }
  return below(all)
}

async function bytesOf(each: FileLike | Uint8Array | ArrayBuffer, name: string): Promise<Uint8Array> {
  if (each instanceof Uint8Array) return each
  if (each instanceof ArrayBuffer) return new Uint8Array(each)
  try {
    return new Uint8Array(await each.arrayBuffer())
  } catch (error) {
    throw new InputError(`${plain(name, 60)} cannot be read: ${(error as Error).message}; was it moved or changed since it was chosen?`)
  }
}

function below(all: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, Uint8Array> {
  const manifests = [...all.keys()].filter((name) => name === MANIFEST_FILE || name.endsWith(`/${MANIFEST_FILE}`)).sort((a, b) =>
    a.split('/').length - b.split('/').length
  )
  const [first, second] = manifests
  if (first === undefined)
    throw new InputError(
      `there is no ${MANIFEST_FILE} among these files (${[...all.keys()].slice(0, 3).map((name) => plain(name, 60)).join(', ')}${
        all.size > 3 ? ', ...' : ''
      }): a bundle is wanted`,
    )
  if (second !== undefined && second.split('/').length === first.split('/').length)
    throw new InputError(`there are several bundles among these files (${plain(first)}, ${plain(second)}): choose one`)
  const folder = first.slice(0, -MANIFEST_FILE.length)
  return new Map([...all].filter(([name]) => name.startsWith(folder)).map(([name, data]) => [name.slice(folder.length), data]))
}
