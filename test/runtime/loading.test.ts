import { LocalNet } from '../../runtime/net.ts'
import { mkdtemp, rm, writeFile, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { BundleError, InputError } from '../../bundle/errors.ts'
import type { LoadProgress } from '../../runtime/loading/fetch-files.ts'
import { bundleFiles } from '../../runtime/loading/files.ts'
import type { Bundle } from '../../bundle/format.ts'
import { openLocal as open } from '../../runtime/open.ts'
import type { OpenOptions } from '../../runtime/open-options.ts'
import { FakeDevice } from './fake-device.ts'
import { fixture } from './fixture.ts'

/** y = x * 2w: 4 8 12 for w = 1 2 3 and x = 2; with the initial w = 1/4 it is 1 everywhere. */
const weights = new Map(
  [['w', { shape: [3], type: 'f32', data: Float32Array.of(1, 2, 3) }], ['seen', {
    shape: [1],
    type: 'f32',
    data: Float32Array.of(0),
  }]] as const,
)
const trained = { ...fixture(), weights }
const x = new Float32Array(12).fill(2)

/** A host: answers by path, everything else as it is told, and writes down what it was asked. */
class Host {
  readonly asked: string[] = []
  readonly inits: (RequestInit | undefined)[] = []
  files: Map<string, Uint8Array>
  other: () => Response = () => new Response('no', { status: 404, statusText: 'Not Found' })
  constructor(files: Map<string, Uint8Array>) {
    this.files = files
  }
  fetch = async (url: string, init?: RequestInit): Promise<Response> => {
    this.asked.push(url)
    this.inits.push(init)
    init?.signal?.throwIfAborted()
    const data = this.files.get(new URL(url).pathname.replace(/^\/nets\/line\//, ''))
    return data ? new Response(data as Uint8Array<ArrayBuffer>, { headers: { 'content-type': 'application/octet-stream' } }) : this.other()
  }
}

const URL_OF = 'https://host.example/nets/line/'
const files = await bundleFiles(trained)
const hostOf = (change: (files: Map<string, Uint8Array>) => void = () => {}): Host => {
  const copy = new Map(files)
  change(copy)
  return new Host(copy)
}
const openAt = (host: Host, options: OpenOptions = {}, url: string | URL = URL_OF) =>
  open(url, { device: new FakeDevice(), fetch: host.fetch, ...options })
const firstThree = async (
  host: Host,
  options: OpenOptions = {},
  url: string | URL = URL_OF,
): Promise<number[]> => [...(await (await openAt(host, options, url)).run({ x }))['y']!.slice(0, 3)]
const refused = async (host: Host, options: OpenOptions = {}): Promise<string> => {
  const error = await openAt(host, options).catch((e: unknown) => e)
  expect(error).toBeInstanceOf(BundleError)
  return (error as Error).message
}

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

describe('devices and what is fetched for them', () => {
  const both =
    'net n {\n  input x: f32[4]\n  input t: f32[2]\n  y = x -> fc(3) -> batch_norm -> relu -> fc(2)\n  output z = y\n  loss = squared_loss(y, t)\n}\ntrain { solver sgd(lr: 0.1) batch 8 }'
  let bundle: Bundle
  let stored: Map<string, Uint8Array>
  beforeAll(async () => {
    bundle = compile(both)
    stored = await bundleFiles(bundle)
  })
  const names = (host: Host): string[] => host.asked.map((url) => url.replace(URL_OF, '')).sort()

  test('without an adapter nothing is fetched for one', async () => {
    for (
      const gpu of [undefined, { requestAdapter: async () => null }, {
        requestAdapter: async () => {
          throw new Error('blocked')
        },
      }]
    ) {
      vi.stubGlobal('navigator', { gpu })
      const host = new Host(stored)
      await expect(open(URL_OF, { device: 'webgpu', fetch: host.fetch })).rejects.toThrow(
        /WebGPU (is missing|has no adapter|gives no adapter: blocked)/,
      )
      expect(host.asked).toEqual([])
    }
  })

  test('auto says why it runs on the CPU, and fetches for that alone', async () => {
    for (
      const [gpu, note] of [
        [{ requestAdapter: async () => null }, /no adapter.*: running on the CPU/],
        [{
          requestAdapter: async () => {
            throw new Error('blocked')
          },
        }, /blocked: running on the CPU/],
        [
          { requestAdapter: async () => ({ info: { isFallbackAdapter: true }, features: new Set() }) },
          /pretends to be a GPU: running on WebAssembly/,
        ],
      ] as const
    ) {
      vi.stubGlobal('navigator', { gpu })
      const host = new Host(stored)
      const net = await open(URL_OF, { fetch: host.fetch, programs: ['infer'] })
      expect([net.device.name, net.notes]).toEqual(['wasm', [expect.stringMatching(note)]])
      expect(names(host)).toEqual(['bundle.json', 'wasm/infer.json', 'wasm/infer.wasm'])
      net.close()
    }
  })

  test('a GPU that fails after its kernels were fetched: what was fetched for both is fetched once', async () => {
    vi.stubGlobal('navigator', {
      gpu: { requestAdapter: async () => ({ info: { vendor: 'acme' }, features: new Set(), limits: {}, requestDevice: async () => gone }) },
    })
    const gone = {
      features: new Set(),
      limits: { maxBufferSize: 2 ** 30, maxStorageBufferBindingSize: 2 ** 30 },
      lost: new Promise(() => {}),
      addEventListener() {},
      pushErrorScope() {
        throw new Error('driver crashed')
      },
      destroy() {},
    }
    const host = new Host(
      await bundleFiles({
        ...bundle,
        weights: new Map(
          bundle.manifest.parameters.map((p) => [p.name, {
            shape: p.shape,
            type: 'f32',
            data: new Float32Array(p.shape.reduce((a, b) => a * b, 1)),
          }]),
        ),
      }),
    )
    const net = await open(URL_OF, { fetch: host.fetch, programs: ['infer'], batch: 1 })
    expect(net.device.name).toBe('wasm')
    expect(net.notes).toEqual([expect.stringMatching(/^WebGPU failed, running on the CPU: .*driver crashed/)])
    expect(names(host)).toEqual([
      'bundle.json',
      'wasm/infer.json',
      'wasm/infer.wasm',
      'webgpu/infer.json',
      'webgpu/infer.wgsl',
      'weights.safetensors',
    ])
    net.close()
  })

  test('inference takes at most 4 requests beside the weights, training at most 6', async () => {
    const asFor = async (target: string, programs?: readonly string[]): Promise<string[]> => {
      const host = new Host(stored)
      const device = {
        name: target,
        description: '',
        software: false,
        close() {},
        load: async () => {
          throw new Error('enough')
        },
      }
      await expect(open(URL_OF, { device, fetch: host.fetch, ...(programs && { programs }) })).rejects.toThrow('enough')
      return names(host)
    }
    expect(await asFor('webgpu', ['infer'])).toEqual(['bundle.json', 'webgpu/infer.json', 'webgpu/infer.wgsl'])
    expect(await asFor('webgpu', ['infer', 'eval'])).toHaveLength(3)
    expect(await asFor('webgpu', ['train'])).toHaveLength(5)
    expect(await asFor('webgpu')).toEqual([
      'bundle.json',
      'webgpu/infer.json',
      'webgpu/infer.wgsl',
      'webgpu/train.json',
      'webgpu/train.wgsl',
    ])
    expect(await asFor('wasm', ['infer'])).toEqual(['bundle.json', 'wasm/infer.json', 'wasm/infer.wasm'])
    expect(await asFor('wasm')).toEqual(['bundle.json', 'wasm/infer.json', 'wasm/infer.wasm', 'wasm/train.json', 'wasm/train.wasm'])
  })

  test('names of files are the same on every disk and every host', () => {
    for (const name of stored.keys()) {
      expect(name).toMatch(/^[a-z0-9._/-]+$/)
      expect(name.split('/').some((part) => /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)|\.$/.test(part))).toBe(false)
    }
    // Layers that differ in case alone, and layers called as devices of Windows are.
    const strange = compile('net n { input x: f32[4] con = fc(x, 4) Con = fc(con, 4) y = fc(Con, 4) as nul output z = y }')
    expect(new Set([...strange.files.keys()].map((name) => name.toLowerCase())).size).toBe(strange.files.size)
  })
})

describe('a bundle of some programs', () => {
  const text =
    'net n {\n  input x: f32[4]\n  input t: f32[2]\n  y = x -> fc(2)\n  output z = y\n  loss = squared_loss(y, t)\n}\ntrain { solver sgd(lr: 0.1) batch 2 }'
  const inputs = { x: new Float32Array(8).fill(1), t: new Float32Array(4) }

  test.each([[['infer']], [['gradients']], [['train']], [['step']], [['eval']], [['eval', 'gradients']]])(
    '%j opens, in memory and from files',
    async (programs) => {
      const bundle = compile(text, { programs, targets: ['wasm'] })
      const want = await open(compile(text, { targets: ['wasm'] }), { device: 'wasm' })
      for (const source of [bundle, await bundleFiles(bundle)]) {
        const net = await open(source, { device: 'wasm' })
        await want.reset()
        for (const program of programs) {
          const all = async (of: typeof net): Promise<unknown> =>
            [...await (await LocalNet.executorOf(of).execute(program, inputs)).values].sort()
          expect(await all(net)).toEqual(await all(want))
        }
        const [lacking] = ['step', 'infer'].filter((name) => !programs.includes(name))
        await expect(open(source, { device: 'wasm', programs: [lacking!] })).rejects.toThrow(
          `this net has no program ${lacking}: it holds ${programs.join(', ')}. Where the net has it: fusenet compile n.net --programs ${
            [...programs, lacking].join(',')
          } -o n`,
        )
        net.close()
      }
      want.close()
    },
  )

  test('what was not loaded says so, and how to load it', async () => {
    const net = await open(await bundleFiles(compile(text, { targets: ['wasm'] })), { device: 'wasm', programs: ['infer'] })
    await expect(net.step(inputs)).rejects.toThrow("program step was not loaded: open the net with programs: ['infer', 'step']")
    net.close()
  })

  test('a net of which a part was fetched is saved whole; where the rest is gone, as a bundle of that part, which is said', async () => {
    const whole = compile(text)
    const host = new Host(await bundleFiles(whole))
    const net = await open(URL_OF, { device: 'wasm', programs: ['infer'], fetch: host.fetch })
    const { weights, ...rest } = await net.save()
    expect(rest).toEqual(whole)
    expect([...weights!.keys()]).toEqual(['fc_1.weight', 'fc_1.bias'])
    expect(net.notes).toEqual([])
    const other = await open(URL_OF, { device: 'wasm', programs: ['infer'], fetch: host.fetch })
    host.files = new Map()
    const saved = await other.save()
    expect(Object.keys(saved.manifest.plans['wasm']!.programs).sort()).toEqual(['eval', 'infer'])
    expect(other.notes).toEqual([
      expect.stringMatching(/^saved with the programs that were loaded alone \(infer, eval\): .*is not there \(status 404/s),
    ])
    const again = await open(await bundleFiles(saved), { device: 'wasm' })
    expect((await again.run(inputs))['z']).toEqual((await net.run(inputs))['z'])
    for (const each of [net, other, again]) each.close()
  })

  test('names that are none are refused before anything is read', async () => {
    const host = hostOf()
    await expect(openAt(host, { programs: ['inference'] })).rejects.toThrow(/there is no program inference; did you mean infer\?/)
    expect(host.asked).toEqual([])
  })

  test('the compiler refuses names that are none, and a choice of nothing', () => {
    expect(() => compile(text, { programs: ['trian'] })).toThrow(/there is no program "trian"/)
    expect(() => compile(text, { targets: ['wgpu'] })).toThrow(/there is no target "wgpu"/)
    expect(() => compile(text, { programs: [] })).toThrow(/nothing to compile/)
    expect(() => compile(text, { programs: ['infer/batch'] })).toThrow(/this net has no program infer\/batch/)
  })
})
