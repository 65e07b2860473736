import { createServer as createHttp, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createServer, type ViteDevServer } from 'vite'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import fusenet from '../../bundlers/vite.ts'
import { open } from '../../runtime/open.ts'
import { writeSafetensors } from '../../runtime/loading/safetensors.ts'
import { alias, BLOCKS, FILES, project, TINY, WEIGHTS } from './project.ts'

const page = project({
  ...FILES,
  'src/main.js': "import tiny from './tiny.net'\nglobalThis.tiny = tiny\n",
})
let vite: ViteDevServer
let http: Server
let origin: string
const warnings: string[] = []
/** What the page is sent. */
const sent: any[] = []

beforeAll(async () => {
  vite = await createServer({
    root: page.root,
    base: '/app/',
    configFile: false,
    appType: 'custom',
    resolve: { alias },
    plugins: [fusenet()],
    // Changes are told by the tests.
    server: { middlewareMode: true, ws: false, watch: null, preTransformRequests: false },
    customLogger: {
      ...silent,
      warn: (text) => {
        warnings.push(text)
      },
    },
  })
  vite.environments.client.hot.send = (...args: unknown[]) => {
    sent.push(args[0])
  }
  http = createHttp(vite.middlewares)
  await new Promise<void>((ready) => http.listen(0, '127.0.0.1', ready))
  origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
})
afterAll(async () => {
  http.close()
  await vite.close()
  page.remove()
})
afterEach(() => {
  for (const [name, data] of Object.entries(FILES)) page.write(name, data)
  sent.length = 0
})
const silent = { info() {}, warn() {}, warnOnce() {}, error() {}, clearScreen() {}, hasErrorLogged: () => false, hasWarned: false }

const NET = '/src/tiny.net?import'
const code = async (): Promise<string> => (await vite.transformRequest(NET))!.code
const address = (text: string): string => /"(\/app\/@fusenet\/tiny-[0-9a-f]{8}\/)"/.exec(text)![1]!

/** A file changes, and what the page is told of it. */
async function change(name: string, data: string | Uint8Array, event: 'change' | 'add' | 'unlink' = 'change'): Promise<any> {
  const from = sent.length
  vite.watcher.emit(event, page.write(name, data))
  await expect.poll(() => sent.length).toBeGreaterThan(from)
  return sent[from]
}
const isUpdateOfNet = {
  type: 'update',
  updates: [expect.objectContaining({ type: 'js-update', path: '/src/tiny.net', acceptedPath: '/src/tiny.net' })],
}

describe('a server of development', () => {
  test('serves the bundle from memory, below the base', async () => {
    await vite.transformRequest('/src/main.js')
    const url = address(await code())
    const net = await open(origin + url, { batch: 1, device: 'wasm' })
    expect(await net.run({ x: [1, 1, 1] })).toEqual({ out: Float32Array.of(16, 35) })
    net.close()
    expect((await fetch(`${origin}${url}bundle.json`)).headers.get('content-type')).toBe('application/json')
    const gone = await fetch(`${origin}/app/@fusenet/tiny-00000000/bundle.json`)
    expect([gone.status, await gone.text()]).toEqual([404, 'there is no bundle.json of tiny-00000000 any more: reload the page'])
  })

  test('renders on the server, where there is no page to fetch from', async () => {
    const { code } = (await vite.transformRequest('/src/tiny.net', { ssr: true }))!
    expect(code).toContain('__vite_ssr_dynamic_import__("/src/tiny.net?fusenet-files")')
    expect(address(code)).toBe(address((await vite.transformRequest(NET))!.code))
    const net = await open((await vite.ssrLoadModule('/src/tiny.net?fusenet-files')).default, { batch: 1, device: 'wasm' })
    expect(await net.run({ x: [1, 1, 1] })).toEqual({ out: Float32Array.of(16, 35) })
    net.close()
  })

  test('shows a mistake where it is, and recovers', async () => {
    await code()
    expect(await change('src/blocks.net', BLOCKS.replace('fc(n)', 'fcc(n)'))).toMatchObject(isUpdateOfNet)
    const error: any = await vite.transformRequest(NET).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ plugin: 'fusenet', loc: { file: join(page.root, 'src/blocks.net'), line: 2, column: 15 } })
    // The pattern by which Vite's overlay knows a drawing, and takes it out of the message.
    expect(error.frame).toMatch(/^(?:>?\s*\d+\s+\|.*|\s+\|\s*\^.*)\r?\n/m)
    expect(error.message).not.toContain('|')
    expect(await change('src/blocks.net', BLOCKS)).toMatchObject(isUpdateOfNet)
    await code()
  })

  test('tells a file that is missing, and takes it when it comes', async () => {
    await code()
    expect(await change('src/tiny.net', TINY.replace('blocks.net', 'later.net'))).toMatchObject(isUpdateOfNet)
    await expect(code()).rejects.toThrow('there is no file ./later.net')
    expect(await change('src/later.net', BLOCKS, 'add')).toMatchObject(isUpdateOfNet)
    await code()
  })
})

describe('the page is told of a change', () => {
  test('of the text, of what it imports and of its weights: each is another bundle', async () => {
    const urls = [address(await code())]
    for (
      const [name, data] of [['src/tiny.net', TINY.replace('squared_loss', 'sum').replace('(y, t)', '(y)')], [
        'src/blocks.net',
        BLOCKS.replace('as layer', 'as layer -> relu'),
      ], [
        'src/tiny.safetensors',
        writeSafetensors(new Map([...WEIGHTS, ['head.layer.bias', { shape: [2], type: 'f32', data: Float32Array.of(1, 2) }]])),
      ]] as const
    ) {
      expect(await change(name, data)).toMatchObject(isUpdateOfNet)
      urls.push(address(await code()))
    }
    expect(new Set(urls).size).toBe(4)
  })

  test('and parameters of the same name and shape are kept, others named', async () => {
    await code()
    await change('src/tiny.net', TINY.replace('head(2)', 'head(4)').replace('t: f32[2]', 't: f32[4]'))
    const grown = await code()
    expect(warnings.at(-1)).toContain('src/tiny.net: 0 of 2 parameters are of')
    expect(warnings.at(-1)).toContain('head.layer.weight [4, 3] (there it is [2, 3])')
    await change('src/tiny.net', TINY.replace('as head', 'as head\n  z = y -> fc(2) as last').replace('output out = y', 'output out = z'))
    const net = await open(origin + address(await code()), { batch: 1, device: 'wasm' })
    expect(address(grown)).not.toBe(address(await code()))
    expect((await net.parameters()).get('head.layer.bias')!.data).toEqual(Float32Array.of(10, 20))
    expect(warnings.at(-1)).toContain('2 of 4 parameters are of')
    net.close()
  })
})

test('leaves the text to who asks for it', async () => {
  expect((await vite.transformRequest('/src/tiny.net?raw'))!.code).toContain('export default "import')
})
