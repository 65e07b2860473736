/**
 * What a page fetches of a bundle, beside the weights: requests, bytes, and bytes as gzip sends them. Counted by a fetch that answers from
 * memory, so no server and no device are needed.
 *   node test/bench/requests.mjs [FILE.net ...] [--dist FOLDER]    (default: mnist and mobilenet_v2; a build of another version beside this one)
 */
import { existsSync, readFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { readArguments } from './arguments.mjs'

const { values, positionals, refuse } = readArguments(import.meta.url, {
  positionals: true,
  options: { dist: { type: 'string', default: 'dist' }, json: { type: 'boolean' } },
})
const from = (file) => import(pathToFileURL(resolve(values.dist, file)).href)
const [{ compile }, { bundleFiles, open }] = await Promise.all([from('compiler/index.js'), from('runtime/index.js')])
const nets = positionals.length > 0 ? positionals : ['samples/mnist.net', 'samples/mobilenet_v2.net']
const absent = nets.find((net) => !existsSync(net))
if (absent !== undefined) refuse(`there is no file ${absent}`)

const rows = []
for (const net of nets) {
  const files = await bundleFiles(compile(readFileSync(net, 'utf8'), { file: basename(net) }))
  for (const target of ['webgpu', 'wasm']) {
    for (const programs of [['infer'], undefined]) {
      const asked = new Map()
      globalThis.fetch = async (url) => {
        const name = decodeURIComponent(new URL(url).pathname.slice(1))
        const data = files.get(name)
        if (data) asked.set(name, data)
        else asked.set(`${name} (not there)`, new Uint8Array())
        return data ? new Response(data) : new Response('', { status: 404 })
      }
      // As far as the device; what it would do with it is another question.
      const device = {
        name: target,
        description: '',
        software: false,
        close() {},
        load: async () => {
          throw new Error('loaded')
        },
      }
      await open('http://host.example/', { device, ...(programs && { programs }) }).catch((error) => {
        if (error.message !== 'loaded') throw error
      })
      const sent = [...asked].filter(([name]) => !name.startsWith('weights.safetensors'))
      rows.push({
        net: basename(net, '.net'),
        target,
        does: programs ? 'infer' : 'train',
        requests: sent.length,
        bytes: sent.reduce((sum, [, data]) => sum + data.length, 0),
        gzip: sent.reduce((sum, [, data]) => sum + gzipSync(data).length, 0),
      })
    }
  }
}
if (values.json) console.log(JSON.stringify(rows, null, 2))
else console.table(rows)
