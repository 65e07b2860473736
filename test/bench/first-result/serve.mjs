import { createServer } from 'node:http'
import { extname } from 'node:path'
import { gzipSync } from 'node:zlib'

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.wgsl': 'text/plain',
}

/**
 * Serves pages, `{ name: Map of files }`, each under its name, as a static host does: packed by gzip but for weights, to be kept for an
 * hour. `asked` counts what a page has asked for so far, and forgets it.
 */
export async function serve(pages) {
  const packed = new Map(
    Object.entries(pages).flatMap(([name, files]) =>
      [...files].map(([file, data]) => [`/${name}/${file}`, {
        data,
        gzip: /\.(?:bin|safetensors)$/.test(file) ? undefined : gzipSync(data, { level: 9 }),
      }])
    ),
  )
  let counted = { requests: 0, bytes: 0, sent: 0, missing: [] }
  const server = createServer(({ url }, response) => {
    const path = decodeURIComponent(new URL(url, 'http://host').pathname).replace(/\/$/, '/index.html')
    const found = packed.get(path)
    counted.requests++
    if (!found) {
      counted.missing.push(path)
      response.writeHead(404).end()
      return
    }
    const body = found.gzip ?? found.data
    counted.bytes += found.data.length
    counted.sent += body.length
    response.writeHead(200, {
      'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
      'content-length': body.length,
      'cache-control': 'max-age=3600',
      ...(found.gzip && { 'content-encoding': 'gzip' }),
    }).end(body)
  })
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
  return {
    url: (name) => `http://127.0.0.1:${server.address().port}/${name}/`,
    asked() {
      const before = counted
      counted = { requests: 0, bytes: 0, sent: 0, missing: [] }
      return before
    },
    close: () => server.close(),
  }
}
