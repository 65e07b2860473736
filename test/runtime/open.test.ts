import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { BundleError, InputError } from '../../bundle/errors.ts'
import { bundleFiles } from '../../runtime/loading/files.ts'
import { open } from '../../runtime/open.ts'
import { FakeDevice } from './fake-device.ts'
import { fixture } from './fixture.ts'

const x = new Float32Array(12).fill(2)

describe('a bundle by its URL', () => {
  let server: Server
  let base: string
  let files: Map<string, Uint8Array>
  const asked: string[] = []
  beforeAll(async () => {
    files = await bundleFiles({ ...fixture(), weights: new Map([['w', { shape: [3], type: 'f32', data: Float32Array.of(1, 2, 3) }]]) })
    server = createServer((request, response) => {
      const name = decodeURIComponent(request.url!.replace('/nets/line/', ''))
      asked.push(name)
      const data = files.get(name)
      response.writeHead(data ? 200 : 404)
      response.end(data)
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/nets/line`
  })
  afterAll(() => {
    server.close()
  })

  test.each(['', '/', '/bundle.json'])('ends in "%s"', async (end) => {
    const net = await open(`${base}${end}`, { device: new FakeDevice() })
    expect([...(await net.run({ x }))['y']!].slice(0, 3)).toEqual([4, 8, 12])
    expect(net.notes).toEqual([])
  })

  test('is asked for what its manifest names, each once, but for what is for reading alone', async () => {
    asked.length = 0
    await open(new URL(`${base}/`), { device: new FakeDevice() })
    expect([...asked].sort()).toEqual([...files.keys()].filter((name) => name !== 'webgpu/facts.json').sort())
  })

  test('that is not there, or lacks a kernel', async () => {
    await expect(open(`${base}/none`, { device: new FakeDevice() })).rejects.toThrow(/bundle\.json: is not there/)
    const kernel = files.get('webgpu/train.wgsl')!
    files.delete('webgpu/train.wgsl')
    await expect(open(base, { device: new FakeDevice() })).rejects.toThrow(BundleError)
    await expect(open(base, { device: new FakeDevice() })).rejects.toThrow(/webgpu\/train\.wgsl: is not there \(status 404/)
    files.set('webgpu/train.wgsl', kernel)
  })
})

describe('devices', () => {
  afterEach(() => {
    vi.unstubAllGlobals()
  })

  test('none here: how to get one', async () => {
    await expect(open(fixture())).rejects.toThrow(/WebGPU is missing/)
    await expect(open(fixture(), { device: 'tpu' as 'auto' })).rejects.toThrow(
      /open: device "tpu": 'auto', 'webgpu', 'wasm' or a device that is handed in/,
    )
  })

  test('none can run a bundle without kernels', async () => {
    const { manifest, files } = fixture()
    await expect(open({ manifest: { ...manifest, plans: {} }, files: new Map(files) })).rejects.toThrow(
      'this bundle holds no kernels: compile it for',
    )
  })

  test('a device that was handed in stays open, though opening fails', async () => {
    const device = new FakeDevice()
    const net = await open(fixture(), { device })
    net.close()
    await expect(open(fixture(), { device, seed: 0.5 })).rejects.toThrow(InputError)
    expect(device.closed).toBe(false)
  })

  test('the batch is the one that the file trains with, unless told', async () => {
    expect((await open(fixture(), { device: new FakeDevice() })).batch).toBe(4)
    const { train: _, ...manifest } = fixture().manifest
    expect((await open({ ...fixture(), manifest }, { device: new FakeDevice() })).batch).toBe(1)
  })

  test('where pages are not secure, hashes are checked all the same', async () => {
    const files = await bundleFiles(fixture())
    vi.stubGlobal('crypto', {})
    expect(await bundleFiles(fixture())).toEqual(files)
    await open(files, { device: new FakeDevice() })
    const spoiled = new Map([...files, [
      'webgpu/infer.wgsl',
      files.get('webgpu/infer.wgsl')!.map((byte, i) => (i === 9 ? byte ^ 1 : byte)),
    ]])
    await expect(open(spoiled, { device: new FakeDevice() })).rejects.toThrow(/was changed/)
  })
})

describe('what is handed in', () => {
  const refusal = async (source: unknown, options?: unknown): Promise<string> => {
    const error = await open(source as never, options as never).then((net) => net.close(), (e: unknown) => e)
    expect(error).toBeInstanceOf(InputError)
    return (error as Error).message
  }

  test.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /open takes a bundle: the URL of its folder, .*; here is undefined/],
    ['null', null, /here is null/],
    ['an object of something else', {}, /here is an object/],
    ['a list', [fixture()], /here is a list of 1/],
    ['an empty text', '', /here is ""/],
    ['a number', 3, /here is 3/],
    ['a promise', Promise.resolve(fixture()), /here is a promise that was not awaited/],
  ])('no bundle: %s', async (_, source, message) => {
    expect(await refusal(source, { device: new FakeDevice() })).toMatch(message)
  })

  test('the text of a net is told to be compiled first', async () => {
    const error = open('net n { input x: f32[4] output y = x -> relu }', { device: new FakeDevice() })
    await expect(error).rejects.toThrow(/open takes a bundle: .*what compile\(text\) or readBundle gave.*; here is "net n \{/)
    await expect(error).rejects.toBeInstanceOf(InputError)
  })

  test('a bundle without files, or with weights that are no Map, is refused as a bundle', async () => {
    const device = new FakeDevice()
    const { manifest, files } = fixture()
    await expect(open({ manifest } as never, { device })).rejects.toThrow(/files: a Map of texts .* is wanted, here is undefined/)
    await expect(open({ manifest, files: {} } as never, { device })).rejects.toThrow(BundleError)
    await expect(open({ manifest: null, files } as never, { device })).rejects.toThrow(/an object is wanted, here is null/)
    await expect(open({ manifest, files, weights: {} } as never, { device })).rejects.toThrow(/weights: a Map of tensors/)
  })

  test.each<[string, unknown, RegExp]>([
    ['null', null, /open takes its options as an object, here is null/],
    ['a list', [], /open takes its options as an object, here is a list of 0/],
    ['a text', 'wasm', /open takes its options as an object, here is "wasm"/],
    ['a name with a slip', { batchSize: 3 }, /open has no option batchSize; did you mean batch\? \(it has device, batch, /],
    ['a device that is none', { device: 3 }, /open: device 3: 'auto', 'webgpu', 'wasm' or a device/],
    [
      'a device that was not awaited',
      { device: Promise.resolve(new FakeDevice()) },
      /open: device a promise that was not awaited: .*\(await wasm\(\), await webgpu\(\)\)/,
    ],
    ['null for a device', { device: null }, /open: device null/],
    ...[0, -1, 1.5, NaN, Infinity, 2 ** 31, '4', null, [4]].map((
      batch,
    ): [string, unknown, RegExp] => [`batch ${String(batch)}`, { batch }, /open: batch .*: a positive integer below 2\^31 is wanted/]),
    ...[-1, 0.5, NaN, Infinity, '1'].map((
      seed,
    ): [string, unknown, RegExp] => [`seed ${String(seed)}`, { seed }, /open: seed .*: a whole number from 0 on is wanted/]),
    [
      'a program that there is not',
      { programs: ['inference'] },
      /there is no program inference; did you mean infer\? \(this bundle holds infer, /,
    ],
    ['a program that is no list', { programs: 'infer' }, /open: programs "infer": a list of names is wanted/],
    ['a hole among programs', { programs: ['infer', undefined] }, /open: programs a list of 2: a list of names/],
    ['a storage', { storage: 'f64' }, /open: storage "f64": 'f32' or 'f16' or 'auto' is wanted/],
    ['a signal', { signal: 3 }, /open: signal 3: an AbortSignal/],
    ['a fetch', { fetch: 'https' }, /open: fetch "https": a function like fetch/],
    ['progress', { onProgress: true }, /open: onProgress true: a function/],
    ['weights that are none', { weights: 3 }, /weights are wanted as a Map or an object, .*; here is 3/],
    ['weights of a list', { weights: [1] }, /weights are wanted as a Map/],
    ['a weight that is none', { weights: { w: 'abc' } }, /weights: w is wanted as \{ shape, data \}/],
    ['a weight of another name', { weights: { W: [1, 2, 3] } }, /these weights are not of this net: W.* \(it has w, seen\)/],
    ['a weight of another length', { weights: { w: [1, 2] } }, /w is \[3\], not \[2\]/],
    ['all of them', { batch: 0, seed: -1 }, /batch 0.*\n.*seed -1/],
  ])('an option: %s', async (_, options, message) => {
    expect(
      await refusal(
        fixture(),
        typeof options === 'object' && options !== null && !Array.isArray(options) ? { device: new FakeDevice(), ...options } : options,
      ),
    ).toMatch(message)
  })

  test('weights as a plain object; none; and arrays that may be changed at once', async () => {
    for (
      const weights of [
        { w: Float32Array.of(1, 2, 3) },
        new Map([['w', { shape: [3], type: 'f32', data: Float32Array.of(1, 2, 3) } as const]]),
      ]
    ) {
      const opening = open(fixture(), { device: new FakeDevice(), batch: 1, weights })
      const given = weights instanceof Map ? weights.get('w')!.data : weights.w
      given.fill(9)
      const net = await opening
      expect([...(await net.run({ x: [1, 1, 1] }))['y']!]).toEqual([2, 4, 6])
      await net.reset()
      expect([...(await net.run({ x: [1, 1, 1] }))['y']!]).toEqual([2, 4, 6])
    }
    const untrained = await open(fixture(), { device: new FakeDevice(), batch: 1, weights: {} })
    expect([...(await untrained.parameters()).get('w')!.data]).toEqual([0.25, 0.25, 0.25])
  })

  test('a refused open closes what it loaded', async () => {
    const device = new FakeDevice()
    await expect(open(fixture(), { device, batch: 2, weights: { w: [1, 2] } })).rejects.toThrow(/w is \[3\]/)
    expect(device.log).toEqual(['load 2', 'close 2'])
  })
})

test('a page without WebGPU is told that it runs on the CPU, and why', async () => {
  const { findPlaces } = await import('../../runtime/devices.ts')
  expect((await findPlaces('auto')).notes).toEqual([])
  vi.stubGlobal('document', {})
  vi.stubGlobal('isSecureContext', false)
  expect((await findPlaces('auto')).notes).toEqual(['WebGPU is missing here (it needs https or localhost): running on the CPU'])
  vi.unstubAllGlobals()
})
