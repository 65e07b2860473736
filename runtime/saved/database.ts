import { InputError } from '../../bundle/errors.ts'
import type { Host } from '../host-types.ts'
import { say } from '../../bundle/plain.ts'
import { showBytes } from '../memory-errors.ts'

const DATABASE = 'fusenet'
/** `nets`: what `savedNets` tells of each; `files`: the files of each. `examples`: bytes of each store of examples. All by name. */
const STORES = ['nets', 'files', 'examples'] as const
export type StoreName = (typeof STORES)[number]

export const SCHEME = 'indexeddb:'

/** An address as it is meant: a URL has some signs written as %20. */
export function addressText(address: string | Host<'URL'>): string {
  if (!(address instanceof URL)) return String(address)
  try {
    return decodeURIComponent(address.href)
  } catch {
    throw new InputError(
      `${address.href}: there is a % that two hexadecimal digits do not follow, or not such of UTF-8: write %25 for it, or hand in the text instead of a URL`,
    )
  }
}

/** The name in `indexeddb://name`. Throws InputError where there is none. */
export function nameIn(address: string | Host<'URL'>): string {
  const text = addressText(address)
  const name = text.slice(SCHEME.length).replace(/^\/\//, '').replace(/\/$/, '')
  if (name === '') throw new InputError(`${text}: a name is wanted, indexeddb://digits`)
  return name
}

/** A name as it is handed in: `digits` or `indexeddb://digits`. */
export function savedName(given: unknown): string {
  if (typeof given !== 'string' && !(given instanceof URL))
    throw new InputError(`a name is wanted, 'digits' or 'indexeddb://digits', not ${say(given)}`)
  if (String(given).startsWith(SCHEME)) return nameIn(given)
  if (given === '') throw new InputError("a name is wanted, 'digits'; here is an empty one")
  return String(given)
}

/**
 * Does work in one transaction: all of it is kept or nothing. Resolves with what the request gave when that is on its way to the disk. Throws InputError where the
 * page may not store anything, or has no room.
 */
export async function inDatabase<T>(
  stores: readonly StoreName[],
  mode: 'readonly' | 'readwrite',
  work: (store: (name: StoreName) => IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const database = await openDatabase()
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = database.transaction([...stores], mode)
      const request = work((name) => transaction.objectStore(name))
      transaction.oncomplete = () => resolve(request.result)
      // Whatever goes wrong ends the transaction: that of a lack of room with no request, that of one request while others have no error yet.
      transaction.onabort = () => {
        void refusal(transaction.error ?? request.error).then(reject)
      }
    })
  } catch (error) {
    throw error instanceof InputError ? error : await refusal(error)
  } finally {
    database.close()
  }
}

function openDatabase(): Promise<IDBDatabase> {
  const { indexedDB } = globalThis as { indexedDB?: IDBFactory }
  if (!indexedDB)
    throw new InputError(
      'there is no IndexedDB here to save in or open from: only pages and their workers have it (in Node: writeBundle and readBundle of fusenet/runtime/node)',
    )
  return new Promise((resolve, reject) => {
    const refuse = (error: unknown): void => {
      void refusal(error).then(reject)
    }
    let request: IDBOpenDBRequest
    try {
      request = indexedDB.open(DATABASE, 1)
    } catch (error) {
      return refuse(error)
    }
    request.onupgradeneeded = () => {
      for (const name of STORES) if (!request.result.objectStoreNames.contains(name)) request.result.createObjectStore(name)
    }
    request.onsuccess = () => {
      // Another page that deletes the database, or has a newer fusenet, need not wait for this one.
      request.result.onversionchange = () => request.result.close()
      resolve(request.result)
    }
    request.onerror = () => refuse(request.error)
  })
}

async function refusal(error: unknown): Promise<InputError> {
  const { name = '', message = String(error) } = (error ?? {}) as { name?: string; message?: string }
  if (name === 'QuotaExceededError') {
    const { usage, quota } = await (globalThis.navigator?.storage?.estimate?.() ?? Promise.resolve({})).catch(() => ({})) as {
      usage?: number
      quota?: number
    }
    return new InputError(
      `the browser has no room for it${
        quota === undefined ? '' : `: ${showBytes(usage ?? 0)} of ${showBytes(quota)} are used`
      }; delete what is not needed (savedNets, deleteNet), or save a download`,
    )
  }
  if (name === 'VersionError') return new InputError("a newer fusenet has written this page's IndexedDB: reload the page")
  return new InputError(
    `the browser lets this page store nothing in IndexedDB (${
      [name, message].filter(Boolean).join(': ')
    }): private windows, blocked site data and pages without an origin may not`,
  )
}
