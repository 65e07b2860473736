import type { IncomingMessage, ServerResponse } from 'node:http'
import type { NetFile } from './net-file.ts'

/** The beginning of the addresses of nets that a development server holds. */
const PREFIX = '@fusenet/'
const TYPES: Readonly<Record<string, string>> = { json: 'application/json', wgsl: 'text/plain; charset=utf-8', wasm: 'application/wasm' }
/** Bundles that are held: a page that is open has the one before, and may not have fetched all of it. */
const MOST_HELD = 50

/** Bundles that were compiled while a development server runs, each under an address of its own. */
export class MadeInMemory {
  readonly #held = new Map<string, ReadonlyMap<string, Uint8Array>>()

  /** Gives the address of the bundle's folder. `base`: in front of all addresses of the server. */
  keep({ bundle, hash, files }: NetFile, base: string): string {
    const name = `${bundle.manifest.name}-${hash}`
    this.#held.delete(name)
    this.#held.set(name, files)
    for (const [oldest] of this.#held) if (this.#held.size > MOST_HELD) this.#held.delete(oldest)
    return `${base}${base.endsWith('/') ? '' : '/'}${PREFIX}${name}/`
  }

  /** Answers for what is held; a page is told what is not, rather than given another page. */
  readonly handle = (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    const path = (request.url ?? '').replace(/[?#].*$/, '')
    const at = path.indexOf(`/${PREFIX}`)
    if (at < 0) return next()
    const [name = '', ...rest] = path.slice(at + 1 + PREFIX.length).split('/')
    const file = rest.join('/')
    const data = this.#held.get(decodeURIComponent(name))?.get(file)
    if (!data) {
      response.statusCode = 404
      return void response.end(`there is no ${file || 'file'} of ${name} any more: reload the page`)
    }
    response.setHeader('Content-Type', TYPES[file.slice(file.lastIndexOf('.') + 1)] ?? 'application/octet-stream')
    response.setHeader('Content-Length', data.length)
    response.setHeader('Cache-Control', 'max-age=31536000, immutable')
    response.end(request.method === 'HEAD' ? undefined : data)
  }
}
