/** Nets in the browser's IndexedDB: `indexeddb://name`. */
import { InputError } from '../../bundle/errors.ts'
import { bundleFiles } from '../loading/files.ts'
import type { Bundle } from '../../bundle/format.ts'
import type { Host } from '../host-types.ts'
import { didYouMean } from '../../bundle/nearest.ts'
import { plain } from '../../bundle/plain.ts'
import { inDatabase, nameIn, savedName } from './database.ts'

/** The facts about a net that is saved in this browser. */
export interface SavedNet {
  readonly name: string
  /** Name of the net in its text. */
  readonly net: string
  readonly savedAt: Date
  readonly bytes: number
  /** Names of its classes, where they are known. */
  readonly classes?: readonly string[]
}

/** Saves a bundle as `indexeddb://name`; one of that name is replaced, at once or not at all. */
export async function saveNet(bundle: Bundle, address: string | Host<'URL'>): Promise<void> {
  const name = nameIn(address)
  const files = await bundleFiles(bundle)
  const classes = bundle.manifest.inputs.find((input) => input.classNames)?.classNames
  const about: SavedNet = {
    name,
    net: bundle.manifest.name,
    savedAt: new Date(),
    bytes: [...files.values()].reduce((sum, { length }) => sum + length, 0),
    ...(classes && { classes }),
  }
  await inDatabase(['nets', 'files'], 'readwrite', (store) => {
    store('files').put(files, name)
    return store('nets').put(about, name)
  })
}

/** Its files. Throws InputError where nothing has that name. */
export async function netFiles(address: string | Host<'URL'>): Promise<ReadonlyMap<string, Uint8Array>> {
  const name = nameIn(address)
  const files: unknown = await inDatabase(['files'], 'readonly', (store) => store('files').get(name))
  if (files instanceof Map) return files as Map<string, Uint8Array>
  const names = (await savedNets()).map((net) => net.name)
  const near = didYouMean(name, names)
  throw new InputError(
    `no net is saved as ${plain(name, 60)} in this browser${near}${
      names.length > 0 ? ` (saved are ${names.map((other) => plain(other, 60)).join(', ')})` : ', nor is any other'
    }${near ? '' : ': where save to that name is under way, await it first'}`,
  )
}

/** The nets that this page's origin has saved in this browser, the latest first. */
export async function savedNets(): Promise<SavedNet[]> {
  const found = await inDatabase<SavedNet[]>(['nets'], 'readonly', (store) => store('nets').getAll())
  return found.sort((a, b) => Number(b.savedAt) - Number(a.savedAt))
}

/** Deletes a saved net, `digits` or `indexeddb://digits`. Resolves with whether there was one. */
export async function deleteNet(name: string | Host<'URL'>): Promise<boolean> {
  const key = savedName(name)
  let count: IDBRequest<number>
  await inDatabase(['nets', 'files'], 'readwrite', (store) => {
    count = store('nets').count(key)
    store('files').delete(key)
    return store('nets').delete(key)
  })
  return count!.result > 0
}
