import { BundleError, InputError } from '../../bundle/errors.ts'
import { MANIFEST_FILE } from '../../bundle/file-names.ts'
import type { FileReader, Found } from './integrity.ts'
import type { Host, RequestOptions } from '../host-types.ts'
import type { FileEntry } from '../../bundle/stored.ts'

/** The progress of loading, in bytes of unpacked files. `total` is known as soon as the manifest, a small file, is there. */
export interface LoadProgress {
  readonly loaded: number
  readonly total: number
  /** The file that bytes came of, by its name in the bundle. */
  readonly file: string
}

export interface FetchOptions {
  /** Instead of the global `fetch`, or what every request is made with: `{ credentials: 'include', headers: { ... } }`. */
  readonly fetch?: ((url: string, init?: RequestOptions) => Promise<Host<'Response'>>) | RequestOptions
  /** Ends loading: `open` then rejects with its reason. */
  readonly signal?: Host<'AbortSignal'>
  readonly onProgress?: (progress: LoadProgress) => void
}

/**
 * The files of a bundle by the URL of its folder, or of its manifest. What follows a `?` goes with every request. Relative addresses
 * are those of the page or the worker; in Node, of the working folder. In Node `file:` addresses are read from the disk.
 */
export function fetchFiles(source: string | Host<'URL'>, options: FetchOptions = {}): FileReader {
  const { folder, manifest } = addressOf(source)
  return fetched((name) => {
    const url = name === MANIFEST_FILE ? manifest : new URL(name, folder)
    url.search = folder.search
    return url
  }, options)
}

/** The same of a file whose URL is known. */
export const fetchAt = (url: Host<'URL'>, options: FetchOptions = {}): FileReader => fetched(() => url, options)

/** The URL of an archive, as packBundle makes it. Undefined where the source is a folder or a manifest. */
export function archiveOf(source: string | Host<'URL'>): Host<'URL'> | undefined {
  const { folder } = addressOf(source)
  if (!folder.pathname.endsWith('.zip/') || /\.zip\/(\?|#|$)/.test(String(source))) return undefined
  folder.pathname = folder.pathname.slice(0, -1)
  return folder
}

function fetched(urlOf: (name: string) => URL, options: FetchOptions): FileReader {
  const progress = progressOf(options.onProgress)
  const get = getterOf(options)
  return async (name, entry) => {
    const url = urlOf(name)
    const came = progress(name, entry)
    if (url.protocol === 'file:') return readFile(url, came)
    return fetchFile(url, get, came, options.signal, options.onProgress !== undefined)
  }
}

type Get = (url: string) => Promise<Response>

function getterOf({ fetch: given, signal }: FetchOptions): Get {
  const call = typeof given === 'function' ? given : (url: string, init?: RequestInit) => globalThis.fetch(url, init)
  const init = { ...(typeof given === 'object' && given), ...(signal && { signal }) }
  return (url) => call(url, init)
}

async function fetchFile(
  url: URL,
  get: Get,
  came: (bytes: number) => void,
  signal: AbortSignal | undefined,
  inPieces: boolean,
): Promise<Found> {
  const from = url.href
  try {
    const response = await get(from)
    const found: Found = {
      from,
      status: response.status,
      type: response.headers?.get('content-type') ?? '',
      ...(response.redirected && response.url && response.url !== from && { redirectedTo: response.url }),
    }
    if (response.status === 404 || response.status === 410) return found
    if (!response.ok)
      throw new BundleError([{
        path: from,
        message: `the server answers ${`${response.status} ${response.statusText}`.trim()}${
          found.redirectedTo ? `, redirected to ${found.redirectedTo}` : ''
        }`,
      }])
    return { ...found, bytes: inPieces && response.body ? await pieces(response.body, came) : await whole(response, came) }
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof BundleError || error instanceof CallerError) throw error
    const elsewhere = here()?.origin !== url.origin
    throw new BundleError([{
      path: from,
      message: `cannot be fetched: ${reasonOf(error)}${
        elsewhere && isPage() ? '. Is the server reached, and does it let this page read its files (CORS: Access-Control-Allow-Origin)?'
          : ''
      }`,
    }])
  }
}

async function whole(response: Response, came: (bytes: number) => void): Promise<Uint8Array> {
  const bytes = new Uint8Array(await response.arrayBuffer())
  came(bytes.length)
  return bytes
}

async function pieces(body: ReadableStream<Uint8Array>, came: (bytes: number) => void): Promise<Uint8Array> {
  const reader = body.getReader()
  const parts: Uint8Array[] = []
  let length = 0
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value)
    length += part.value.length
    came(part.value.length)
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** Node's own reasons lie one deeper: `fetch failed` alone says nothing. */
const reasonOf = (error: unknown): string => {
  const { message, cause } = error as { message?: string; cause?: { message?: string; code?: string } }
  return [message ?? String(error), cause?.message || cause?.code].filter(Boolean).join(': ')
}

async function readFile(url: URL, came: (bytes: number) => void): Promise<Found> {
  const fs = nodeModule('node:fs')
  if (!fs) throw new InputError(`${url.href}: a page cannot read files of the disk: serve the folder, e.g. with \`npx vite\``)
  const plain = new URL(url)
  plain.search = ''
  const from = decodeURIComponent(plain.pathname)
  try {
    const bytes = new Uint8Array(await fs.promises.readFile(plain))
    came(bytes.length)
    return { bytes, from }
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    if (code === 'ENOENT' || code === 'ENOTDIR') return { from }
    throw new InputError(`${from} cannot be read: ${message}`)
  }
}

/** An error that is not the network's: what the caller handed in threw it. */
class CallerError extends Error {
  override name = 'CallerError'
}

function progressOf(report: FetchOptions['onProgress']): (file: string, entry?: FileEntry) => (bytes: number) => void {
  let loaded = 0
  let total = 0
  return (file, entry) => {
    total += entry?.bytes ?? 0
    return (bytes) => {
      loaded += bytes
      if (!entry) total += bytes
      try {
        report?.({ loaded, total: Math.max(total, loaded), file })
      } catch (error) {
        throw new CallerError('onProgress failed', { cause: error })
      }
    }
  }
}

function addressOf(source: string | URL): { folder: URL; manifest: URL } {
  const text = String(source)
  let url: URL
  try {
    url = new URL(/^[a-z]:[\\/]/i.test(text) ? `file:///${text.replaceAll('\\', '/')}` : text, here())
  } catch {
    const why = here() === undefined && isPage() ? 'a relative address, and this worker (made of a blob or of data) has none of its own'
      : 'this is no address'
    throw new InputError(
      `the bundle "${text.slice(0, 200)}" cannot be opened: ${why}; give the whole URL, e.g. new URL('model/', document.baseURI).href`,
    )
  }
  if (!['http:', 'https:', 'file:'].includes(url.protocol))
    throw new InputError(
      `the bundle "${text.slice(0, 200)}" cannot be opened: ${url.protocol} is not fetched from; http, https, and file in Node, are`,
    )
  url.hash = ''
  if (url.pathname.endsWith('.json')) return { folder: url, manifest: new URL(url) }
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return { folder: url, manifest: new URL(MANIFEST_FILE, url) }
}

const isPage = (): boolean =>
  globalThis.document !== undefined || (globalThis as { WorkerGlobalScope?: unknown }).WorkerGlobalScope !== undefined

/** The base of relative addresses. */
function here(): URL | undefined {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href
  if (base !== undefined) return /^(blob|data|about):/.test(base) ? undefined : new URL(base)
  const { process } = globalThis as { process?: { cwd(): string } }
  return process?.cwd && nodeModule('node:url')?.pathToFileURL(`${process.cwd()}/`)
}

interface NodeModules {
  'node:fs': { promises: { readFile(url: URL): Promise<Uint8Array> } }
  'node:url': { pathToFileURL(path: string): URL }
}

/** A module of Node, where this is Node: pages import none. */
function nodeModule<Name extends keyof NodeModules>(name: Name): NodeModules[Name] | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: Name) => NodeModules[Name] } }
  return process?.getBuiltinModule?.(name)
}
