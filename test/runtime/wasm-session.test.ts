import { afterEach, describe, expect, test, vi } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { type Bundle, bundleFiles, type Device, DeviceError, open, wasm } from '../../runtime/index.ts'
import { fixture } from './fixture.ts'
import { wasmFixture } from './wasm-fixture.ts'

const opened: Device[] = []
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
  for (const device of opened.splice(0)) device.close()
})
async function cpu(threads: number): Promise<Device> {
  const device = await wasm({ threads })
  opened.push(device)
  return device
}

const BATCH = 64
const x = Float32Array.from({ length: 4 * BATCH }, (_, i) => i - 100)
const sixteenfold = [...x].map((v) => 16 * v)
const scalars = { step: 0, seed: 0, rate: 0, correction1: 1, correction2: 1 }

describe.each([1, 2, 3])('%i threads', (threads) => {
  test('run a module, again and again', async () => {
    const net = await open(wasmFixture(), { device: await cpu(threads), batch: BATCH })
    for (let k = 0; k < 20; k++) expect([...(await net.run({ x }))['y']!]).toEqual(sixteenfold)
    net.close()
  })

  test('a profile has a time for each dispatch, and leaves the results of a run', async () => {
    const session = await (await cpu(threads)).load(wasmFixture(), BATCH)
    session.write(0, x)
    const times = await session.profile!('infer', scalars)
    expect(times).toHaveLength(4)
    expect(times!.every((ns) => ns >= 0 && ns < 1e10)).toBe(true)
    expect([...(await session.read([4]))[0]!]).toEqual(sixteenfold)
    session.close()
  })

  test('a trap is a DeviceError with the name of the kernel; the device goes on', async () => {
    const device = await cpu(threads)
    const net = await open(wasmFixture('caller'), { device, batch: BATCH })
    const error = await net.run({ x }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(DeviceError)
    expect((error as Error).message).toMatch(/kernel third failed in WebAssembly/)
    await expect(net.run({ x })).rejects.toThrow(/kernel third failed/)
    net.close()
    const next = await open(wasmFixture(), { device, batch: BATCH })
    expect([...(await next.run({ x }))['y']!]).toEqual(sixteenfold)
  })
})

test.each([2, 3])('%i threads: a trap in a worker does not keep the others waiting', async (threads) => {
  const device = await cpu(threads)
  const net = await open(wasmFixture('worker'), { device, batch: BATCH })
  const error = await net.run({ x }).catch((e: unknown) => e)
  expect(error).toBeInstanceOf(DeviceError)
  expect((error as Error).message).toMatch(/kernel third failed in WebAssembly/)
  net.close()
  const next = await open(wasmFixture(), { device, batch: BATCH })
  expect([...(await next.run({ x }))['y']!]).toEqual(sixteenfold)
}, 20_000)

test('what is closed says so', async () => {
  const device = await cpu(2)
  const session = await device.load(wasmFixture(), BATCH)
  session.close()
  session.close()
  for (const use of [() => session.run('infer', scalars), () => session.read([4]), () => session.profile!('infer', scalars), async () => session.write(0, x)]) {
    await expect(use()).rejects.toThrow(/net was closed/)
  }
  const other = await device.load(wasmFixture(), BATCH)
  device.close()
  await expect(other.run('infer', scalars)).rejects.toThrow(/device was closed/)
  await expect(device.load(wasmFixture(), 1)).rejects.toThrow(/device was closed/)
})

test('wrong lengths and programs that were not loaded are refused', async () => {
  const session = await (await cpu(1)).load(wasmFixture(), BATCH, [])
  expect(() => session.write(0, x.subarray(1))).toThrow(/x holds 256 numbers, not 255/)
  await expect(session.run('infer', scalars)).rejects.toThrow(/program infer was not loaded/)
  await expect(session.read([4])).rejects.toThrow(/buffer last belongs to a program that was not loaded/)
})

test('work that goes on gives timers, Ctrl-C and a page their turn', async () => {
  const net = await open(wasmFixture(), { device: await cpu(2), batch: BATCH })
  let turns = 0
  const timer = setInterval(() => { turns++ }, 1)
  // Nothing else here lets go of the thread. The clock ends a loop in which no timer is heard.
  for (const start = performance.now(); turns < 3 && performance.now() - start < 10_000;) await net.run({ x })
  clearInterval(timer)
  expect(turns).toBe(3)
  net.close()
}, 60_000)

test('a module is compiled once, whichever batch and wherever its bytes lie', async () => {
  const compile = vi.spyOn(WebAssembly, 'compile')
  const device = await cpu(1)
  const bundle = wasmFixture()
  const copy = { ...bundle, files: new Map([...bundle.files].map(([name, data]) => [name, (data as Uint8Array).slice()])) }
  for (const [b, batch] of [[bundle, 1], [bundle, 3], [copy, 5]] as const) (await open(b, { device, batch })).close()
  expect(compile).toHaveBeenCalledTimes(1)
})

test('memory that cannot be shared: the same module, by one thread', async () => {
  vi.stubGlobal('SharedArrayBuffer', undefined)
  const device = await wasm({ threads: 4 })
  expect(device.description).toMatch(/SIMD, 1 thread; more need a page that is cross-origin isolated$/)
  const net = await open(wasmFixture(), { device, batch: BATCH })
  expect([...(await net.run({ x }))['y']!]).toEqual(sixteenfold)
  net.close()
  device.close()
})

test('the largest batch that is named fits; one more does not', async () => {
  // Seen by what is asked for, not by asking for 4 GiB.
  const memory = vi.spyOn(WebAssembly, 'Memory').mockImplementation(function () { throw new RangeError('asked') } as never)
  const device = await cpu(1)
  const error = await device.load(wasmFixture(), 2 ** 30).catch((e: unknown) => e)
  expect(error).toBeInstanceOf(DeviceError)
  expect(memory).not.toHaveBeenCalled()
  const most = Number(/use a batch of at most (\d+)$/.exec((error as Error).message)![1])
  await expect(device.load(wasmFixture(), most)).rejects.toThrow(/there is no memory for .* \(asked\)/)
  await expect(device.load(wasmFixture(), most + 1)).rejects.toThrow(/use a batch of at most/)
  const { initial, maximum } = memory.mock.calls[0]![0]
  expect(initial).toBe(maximum)
  expect(initial).toBeLessThanOrEqual(65536)
})

describe('auto', () => {
  const hardware = (there: object | null): unknown => vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => there } })
  const adapter = (info: object): object => ({ info, limits: {}, features: new Set(), requestDevice: async () => { throw new Error('asked for a device') } })
  const both = compile('net n {\n  input x: f32[4]\n  output y = x -> relu\n}')
  const took = async (bundle: Bundle | string): Promise<string> => {
    try {
      const net = await open(bundle, { batch: 1 })
      net.close()
      return net.device.name
    } catch (error) {
      return (error as Error).message
    }
  }
  const WEBGPU = /asked for a device/
  const FELL_BACK = [expect.stringMatching(/^WebGPU failed, running on the CPU: the adapter gives no device: asked for a device$/)]

  test('takes graphics hardware where the bundle has kernels for it; where that fails, the CPU, and says so', async () => {
    hardware(adapter({ vendor: 'acme', architecture: 'one' }))
    const net = await open(both)
    expect([net.device.name, net.notes]).toEqual(['wasm', FELL_BACK])
    net.close()
    await expect(open(both, { device: 'webgpu' })).rejects.toThrow(WEBGPU)
    expect(await took(fixture())).toMatch(WEBGPU)
    expect(await took(wasmFixture())).toBe('wasm')
  })

  test.each([
    ['an adapter on a CPU', adapter({ vendor: 'google', architecture: 'swiftshader' }), WEBGPU],
    ['a fallback adapter', adapter({ isFallbackAdapter: true }), WEBGPU],
    ['no adapter', null, /WebGPU has no adapter/],
  ])('%s: wasm where the bundle has it, else what there is', async (_, there, otherwise) => {
    hardware(there)
    expect(await took(both)).toBe('wasm')
    expect(await took(wasmFixture())).toBe('wasm')
    expect(await took(fixture())).toMatch(otherwise)
  })

  test('no WebGPU at all', async () => {
    expect(await took(both)).toBe('wasm')
  })

  test('a bundle by its URL: the files of the plan that runs', async () => {
    const files = await bundleFiles(both)
    const asked: string[] = []
    vi.stubGlobal('fetch', async (url: string) => {
      const name = new URL(url).pathname.replace('/net/', '')
      asked.push(name)
      const data = files.get(name)
      return new Response(data as Uint8Array<ArrayBuffer> | undefined, { status: data ? 200 : 404 })
    })
    expect(await took('http://there.example/net')).toBe('wasm')
    expect(asked.map((name) => name.replace('-relaxed', '')).sort()).toEqual(['bundle.json', 'wasm/infer.json', 'wasm/infer.wasm'])
    asked.length = 0
    hardware(adapter({ vendor: 'acme' }))
    await expect(open('http://there.example/net', { device: 'webgpu' })).rejects.toThrow(WEBGPU)
    expect(asked).toEqual(['bundle.json'])
  })
})
