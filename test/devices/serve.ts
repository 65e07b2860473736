import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, resolve, sep } from 'node:path'

export interface Serving {
  /** Answered before the folder is looked at: path without the leading slash -> content. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>
  /** Isolate pages from other origins, which is what lets them share memory between threads. */
  readonly isolated?: boolean
}
export interface Served {
  /** 'http://127.0.0.1:PORT/': a secure context, as WebGPU asks for. */
  readonly url: string
  close(): Promise<void>
}

// Browsers run no script and no module of another type.
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.wasm': 'application/wasm',
  '.txt': 'text/plain; charset=utf-8',
  '.wgsl': 'text/plain; charset=utf-8',
  '.net': 'text/plain; charset=utf-8',
}

/** Serves a folder to pages on this machine. */
export async function serve(folder: string, { files = {}, isolated = false }: Serving = {}): Promise<Served> {
  const root = resolve(folder) + sep
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname).slice(1)
    const name = path === '' || path.endsWith('/') ? `${path}index.html` : path
    const headers: Record<string, string> = {
      'content-type': TYPES[extname(name)] ?? 'application/octet-stream',
      'cache-control': 'no-store',
    }
    if (isolated) {
      headers['cross-origin-opener-policy'] = 'same-origin'
      headers['cross-origin-embedder-policy'] = 'require-corp'
    }
    const content = files[name] ?? await readInside(root, name)
    // Every page asks for its icon; a page without one is not a mistake.
    if (content === undefined) response.writeHead(name === 'favicon.ico' ? 204 : 404, headers).end()
    else response.writeHead(200, headers).end(content)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  }
}

async function readInside(root: string, name: string): Promise<Uint8Array | undefined> {
  const file = join(root, name)
  return file.startsWith(root) ? readFile(file).catch(() => undefined) : undefined
}
