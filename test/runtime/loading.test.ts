import { mkdtemp, rm, writeFile, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { BundleError, InputError } from '../../bundle/errors.ts'
import type { LoadProgress } from '../../runtime/loading/fetch-files.ts'
import { bundleFiles } from '../../runtime/loading/files.ts'
import { openLocal as open } from '../../runtime/open.ts'
import { FakeDevice } from './fake-device.ts'
import { fixture } from './fixture.ts'
import { files, firstThree, Host, hostOf, openAt, refused, URL_OF, x } from './net-host.ts'

afterEach(() => {
  vi.unstubAllGlobals()
})

describe('weights that were promised', () => {
  test('are loaded; without them the bundle does not open, unless it is to be untrained', async () => {
    expect(await firstThree(hostOf())).toEqual([4, 8, 12])
    const lost = hostOf((f) => f.delete('weights.safetensors'))
    expect(await refused(lost)).toMatch(
      /https:\/\/host\.example\/nets\/line\/weights\.safetensors: is not there \(status 404.*this bundle was written with weights.*weights: 'fresh'/,
    )
    expect(await firstThree(lost, { weights: 'fresh' })).toEqual([1, 1, 1])
    expect(lost.asked.filter((url) => url.endsWith('weights.safetensors'))).toHaveLength(1)
    // What is handed in takes their place, so they are not asked for.
    expect(await firstThree(lost, { weights: new Map([['w', { shape: [3], type: 'f32', data: Float32Array.of(2, 2, 2) }]]) })).toEqual([
      8,
      8,
      8,
    ])
    expect(lost.asked.filter((url) => url.endsWith('weights.safetensors'))).toHaveLength(1)
  })

  test('a bundle without weights is fresh', async () => {
    const bare = await bundleFiles(fixture())
    const host = new Host(bare)
    expect(await firstThree(host)).toEqual([1, 1, 1])
    expect(host.asked.some((url) => url.includes('weights'))).toBe(false)
  })

  const whole = files.get('weights.safetensors')!
  test.each<[string, Uint8Array, RegExp]>([
    ['cut', whole.slice(0, -4), /is cut: \d+ bytes of \d+/],
    ['empty', new Uint8Array(), /is cut: 0 bytes of/],
    ['longer', Uint8Array.of(...whole, 0), /was changed or belongs to another bundle: \d+ bytes, not \d+/],
    [
      'of another training',
      whole.map((byte, i) => (i === whole.length - 2 ? byte ^ 64 : byte)),
      /was changed or belongs to another bundle: its SHA-256 is [0-9a-f]{64}, not [0-9a-f]{64}/,
    ],
    [
      'a page of HTML',
      new TextEncoder().encode('<!doctype html><title>app</title>'),
      /a page of HTML is there instead \(status 200, application\/octet-stream\)/,
    ],
  ])('that are %s are refused', async (_, bytes, message) => {
    const said = await refused(hostOf((f) => f.set('weights.safetensors', bytes)))
    expect(said).toMatch(message)
    expect(said).toContain(`${URL_OF}weights.safetensors`)
  })

  test('any bit of any file that is read counts', async () => {
    for (const [name, data] of files) {
      if (name === 'webgpu/facts.json') continue
      for (const share of [0.1, 0.5, 0.95]) {
        const spoiled = data.slice()
        spoiled[Math.floor(data.length * share)]! ^= 1
        const opened = await openAt(hostOf((f) => f.set(name, spoiled))).then(() => 'opened', (error: unknown) => error)
        // White space of the manifest says nothing; its other bytes do.
        if (opened === 'opened')
          expect(name === 'bundle.json' && /\s/.test(String.fromCharCode(data[Math.floor(data.length * share)]!)), `${name} at ${share}`)
            .toBe(true)
        else expect(opened).toBeInstanceOf(BundleError)
      }
    }
  })
})

describe('what a host may answer', () => {
  test('its page for everything that it lacks, with status 200: for each file it is told', async () => {
    for (const name of ['bundle.json', 'webgpu/infer.json', 'webgpu/train.wgsl', 'weights.safetensors']) {
      const host = hostOf((f) => f.delete(name))
      host.other = () => new Response('\n<!DOCTYPE html><html></html>', { headers: { 'content-type': 'text/html; charset=utf-8' } })
      expect(await refused(host)).toContain(`${URL_OF}${name}: a page of HTML is there instead (status 200, text/html; charset=utf-8)`)
    }
  })

  test.each<[string, () => Response, RegExp]>([
    ['no permission', () => new Response('', { status: 403, statusText: 'Forbidden' }), /the server answers 403 Forbidden/],
    ['a fault', () => new Response('', { status: 500 }), /the server answers 500/],
    ['nothing', () => new Response('', { status: 404 }), /is not there \(status 404/],
    ['a part', () => new Response('{', { status: 206 }), /webgpu\/train\.wgsl: is cut: 1 bytes of \d+ \(status 206, a part/],
    [
      'something else',
      () => new Response('GIF89a'.repeat(2000), { headers: { 'content-type': 'image/gif' } }),
      /was changed or belongs to another bundle: 12000 bytes, not \d+ \(status 200, image\/gif\)/,
    ],
  ])('%s', async (_, answer, message) => {
    const host = hostOf((f) => f.delete('webgpu/train.wgsl'))
    host.other = answer
    expect(await refused(host)).toMatch(message)
  })

  test('where a redirect led is told', async () => {
    const host = hostOf((f) => f.delete('webgpu/train.wgsl'))
    host.other = () => {
      const response = new Response('<html>', { status: 200 })
      Object.defineProperty(response, 'redirected', { value: true })
      Object.defineProperty(response, 'url', { value: 'https://login.example/' })
      return response
    }
    expect(await refused(host)).toMatch(/redirected to https:\/\/login\.example\//)
  })

  test('nothing at all: the address, and the reason that lies below', async () => {
    const fetch = async (): Promise<Response> => {
      throw new TypeError('fetch failed', { cause: new Error('getaddrinfo ENOTFOUND host.example') })
    }
    const error = await open(URL_OF, { device: new FakeDevice(), fetch }).catch((e: Error) => e)
    expect(String(error)).toMatch(
      /https:\/\/host\.example\/nets\/line\/bundle\.json: cannot be fetched: fetch failed: getaddrinfo ENOTFOUND host\.example/,
    )
    vi.stubGlobal('document', { baseURI: 'https://page.example/' })
    const inPage = await open(URL_OF, {
      device: new FakeDevice(),
      fetch: async () => {
        throw new TypeError('Failed to fetch')
      },
    }).catch((e: Error) => e)
    expect(String(inPage)).toMatch(/Failed to fetch.*CORS: Access-Control-Allow-Origin/)
  })

  test('lines that git turned into CRLF', async () => {
    const crlf = new TextEncoder().encode(new TextDecoder().decode(files.get('webgpu/infer.wgsl')).replaceAll('\n', '\r\n'))
    expect(await refused(hostOf((f) => f.set('webgpu/infer.wgsl', crlf)))).toMatch(
      /infer\.wgsl: was changed: its lines end in CRLF now \(git/,
    )
  })

  test('a bundle of an older format', async () => {
    const old = { format: 'fusenet-bundle', version: 1, source: { files: [{ name: 'line.net', text: 'net line {}' }] } }
    const host = hostOf((f) => f.set('bundle.json', new TextEncoder().encode(JSON.stringify(old))))
    expect(await refused(host)).toMatch(
      /is of format version 1, this runtime reads 3: compile it again from the text that it carries \("line\.net"\).*fusenet compile FOLDER -o NEW_FOLDER/,
    )
    for (const json of ['[]', 'null', '{}', '{"format":"fusenet-bundle","version":"x"}', '{"format":"fusenet-bundle","version":99}']) {
      const other = hostOf((f) => f.set('bundle.json', new TextEncoder().encode(json)))
      expect(await refused(other), json).toMatch(/is no bundle of fusenet|is of format version/)
    }
  })
})

describe('addresses', () => {
  test.each([
    ['a folder', URL_OF],
    ['without a slash', URL_OF.slice(0, -1)],
    ['the manifest', `${URL_OF}bundle.json`],
    ['a URL', new URL(URL_OF)],
  ])('%s', async (_, url) => {
    const host = hostOf()
    expect(await firstThree(host, {}, url)).toEqual([4, 8, 12])
    expect(new Set(host.asked).size).toBe(host.asked.length)
    expect(host.asked.every((asked) => asked.startsWith(URL_OF))).toBe(true)
  })

  test('what follows a ? goes with every request', async () => {
    const host = hostOf()
    await openAt(host, {}, `${URL_OF.slice(0, -1)}?v=3&token=a%2Fb#there`)
    expect(host.asked.length).toBeGreaterThan(4)
    expect(host.asked.every((asked) => asked.endsWith('?v=3&token=a%2Fb'))).toBe(true)
  })

  test('in a page they are relative to it, in a worker to the worker', async () => {
    const host = hostOf()
    vi.stubGlobal('document', { baseURI: 'https://host.example/nets/page.html' })
    await openAt(host, {}, 'line/')
    vi.stubGlobal('document', undefined)
    vi.stubGlobal('location', { href: 'https://host.example/js/worker.js' })
    vi.stubGlobal('WorkerGlobalScope', class {})
    await openAt(host, {}, '/nets/line')
    await openAt(host, {}, '../nets/line/')
    expect(host.asked.every((asked) => asked.startsWith(URL_OF))).toBe(true)
    vi.stubGlobal('location', { href: 'blob:https://host.example/1234' })
    await expect(openAt(host, {}, 'line/')).rejects.toThrow(/made of a blob.*give the whole URL/)
    await expect(openAt(host, {}, 'ftp://host.example/line/')).rejects.toThrow(InputError)
  })

  test('in Node files of the disk, by file: or by a path', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fusenet-'))
    try {
      for (const [name, data] of files) {
        await mkdir(dirname(join(folder, 'a b', name)), { recursive: true })
        await writeFile(join(folder, 'a b', name), data)
      }
      for (const where of [pathToFileURL(join(folder, 'a b')), join(folder, 'a b')]) {
        const net = await open(where, { device: new FakeDevice() })
        expect([...(await net.run({ x }))['y']!.slice(0, 3)]).toEqual([4, 8, 12])
      }
      await rm(join(folder, 'a b', 'webgpu', 'infer.json'))
      await expect(open(join(folder, 'a b'), { device: new FakeDevice() })).rejects.toThrow(
        `${join(folder, 'a b', 'webgpu/infer.json')}: is not there`,
      )
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('files in memory', async () => {
    const net = await open(files, { device: new FakeDevice() })
    expect([...(await net.run({ x }))['y']!.slice(0, 3)]).toEqual([4, 8, 12])
  })
})

describe('fetch, signal, onProgress', () => {
  test('requests are made as the options say', async () => {
    const host = hostOf()
    vi.stubGlobal('fetch', host.fetch)
    await open(URL_OF, { device: new FakeDevice(), fetch: { credentials: 'include', headers: { authorization: 'Bearer x' } } })
    expect(host.inits.every((init) => init?.credentials === 'include' && JSON.stringify(init.headers) === '{"authorization":"Bearer x"}'))
      .toBe(true)
  })

  test('progress ends with all bytes that were fetched', async () => {
    const host = hostOf()
    const seen: LoadProgress[] = []
    await openAt(host, { onProgress: (progress) => seen.push(progress) })
    const bytes = [...files].filter(([name]) => name !== 'webgpu/facts.json').reduce((sum, [, data]) => sum + data.length, 0)
    expect(seen.at(-1)).toMatchObject({ loaded: bytes, total: bytes })
    expect(seen[0]!.file).toBe('bundle.json')
    seen.slice(1).forEach((progress, i) => {
      expect(progress.loaded).toBeGreaterThan(seen[i]!.loaded)
      expect(progress.loaded).toBeLessThanOrEqual(progress.total)
    })
    // From the second file on the total is known.
    expect(new Set(seen.filter(({ file }) => file !== 'bundle.json').map(({ total }) => total))).toEqual(new Set([bytes]))
  })

  test('what onProgress throws is not taken for a fault of the network', async () => {
    const error = await openAt(hostOf(), {
      onProgress: () => {
        throw new Error('mine')
      },
    }).catch((e: Error) => e)
    expect(String(error)).not.toMatch(/cannot be fetched/)
    expect((error as Error).cause).toEqual(new Error('mine'))
  })

  test('a signal ends loading at once, wherever it is, and leaves nothing open', async () => {
    const reason = new Error('another page')
    await expect(openAt(hostOf(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    for (const part of ['bundle.json', 'weights.safetensors']) {
      const abort = new AbortController()
      const host = hostOf()
      const fetch = async (url: string, init?: RequestInit): Promise<Response> => {
        if (!url.endsWith(part)) return host.fetch(url, init)
        queueMicrotask(() => abort.abort(reason))
        return new Promise((_, reject) => init!.signal!.addEventListener('abort', () => reject(init!.signal!.reason)))
      }
      await expect(open(URL_OF, { device: new FakeDevice(), fetch, signal: abort.signal }), part).rejects.toBe(reason)
    }
  })

  test('a device that compiles when the signal comes: the net is closed when it is done', async () => {
    const abort = new AbortController()
    let closed = 0
    class Slow extends FakeDevice {
      override async load(...args: Parameters<FakeDevice['load']>) {
        const session = await super.load(...args)
        abort.abort(new Error('late'))
        const close = session.close.bind(session)
        session.close = () => {
          closed++
          close()
        }
        return session
      }
    }
    await expect(open(files, { device: new Slow(), signal: abort.signal })).rejects.toThrow('late')
    await vi.waitFor(() => expect(closed).toBe(1))
  })
})
