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

test('the first thread sleeps at the barrier, so that who is waited for has its core; where it must not, as in a page, it does not', async () => {
  const device = await cpu(2)
  const net = await open(wasmFixture('wakeful'), { device, batch: BATCH })
  expect([...(await net.run({ x }))['y']!]).toEqual(sixteenfold)
  net.close()
  vi.spyOn(Atomics, 'wait').mockImplementation(() => {
    throw new TypeError('Atomics.wait cannot be called in this context')
  })
  const inPage = await open(wasmFixture('wakeful'), { device, batch: BATCH })
  await expect(inPage.run({ x })).rejects.toThrow(/kernel third failed/)
  inPage.close()
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
  for (
    const use of [
      () => session.run('infer', scalars),
      () => session.read([4]),
      () => session.profile!('infer', scalars),
      async () => session.write(0, x),
    ]
  ) {
    await expect(use()).rejects.toThrow(/net was closed/)
  }
  const other = await device.load(wasmFixture(), BATCH)
  device.close()
  await expect(other.run('infer', scalars)).rejects.toThrow(/device was closed/)
  await expect(device.load(wasmFixture(), 1)).rejects.toThrow(/device was closed/)
})

describe.each([1, 2])('%i threads: nets that are opened and closed in a row', (threads) => {
  test('share one memory, and each begins with zeros', async () => {
    const memories = counted()
    const device = await cpu(threads)
    for (const batch of [BATCH, BATCH, 1, 3, BATCH, 40]) {
      const session = await device.load(wasmFixture(), batch)
      for (const tensor of await session.read([0, 1, 2, 3, 4])) expect(tensor.every((value) => value === 0)).toBe(true)
      session.write(0, new Float32Array(4 * batch).fill(3))
      await session.run('infer', scalars)
      expect((await session.read([4]))[0]!.every((value) => value === 48)).toBe(true)
      session.close()
      // Workers leave it first.
      await new Promise((resolve) => setTimeout(resolve, threads > 1 ? 20 : 0))
    }
    expect(memories).toHaveBeenCalledTimes(1)
  })

  test('one that is larger grows it, up to the next power of two', async () => {
    const memories = counted()
    const device = await cpu(threads)
    // 16 bytes a sample in five buffers: 65 to 128 pages of 64 KiB, then more.
    for (const batch of [53_000, 90_000, 60_000, 120_000, 53_000]) {
      const session = await device.load(wasmFixture(), batch)
      session.write(0, new Float32Array(4 * batch).fill(1))
      await session.run('infer', scalars)
      expect((await session.read([4]))[0]!.at(-1)).toBe(16)
      session.close()
      await new Promise((resolve) => setTimeout(resolve, threads > 1 ? 20 : 0))
    }
    expect(memories).toHaveBeenCalledTimes(2)
  })

  test('that are refused leave neither memory nor threads behind', async () => {
    const memories = counted()
    const workers = vi.spyOn(process.getBuiltinModule('node:worker_threads'), 'Worker')
    const device = await cpu(threads)
    const bundle = withParameter()
    for (let k = 0; k < 5; k++) {
      await expect(open(bundle, { device, batch: 1, weights: { w: new Float32Array(3) } })).rejects.toThrow(/w is \[4\], not \[3\]/)
      await new Promise((resolve) => setTimeout(resolve, threads > 1 ? 20 : 0))
    }
    expect(memories.mock.calls.length).toBe(1)
    expect(workers.mock.calls.length).toBe(threads - 1)
  })
})

/** Memories that are made from now on. A spy alone would make objects without a buffer. */
function counted() {
  const Memory = WebAssembly.Memory
  return vi.spyOn(WebAssembly, 'Memory').mockImplementation(function(descriptor: WebAssembly.MemoryDescriptor) {
    return new Memory(descriptor)
  } as never)
}

/** The fixture with a parameter that it does not use. */
function withParameter(): Bundle {
  const bundle = wasmFixture()
  return {
    ...bundle,
    manifest: {
      ...bundle.manifest,
      parameters: [{ name: 'w', shape: [4], offset: 0, trainable: true, layer: 'w', initializer: { kind: 'constant', value: 0 } }],
    },
  }
}

test('where an engine has no room for a memory, those that nobody uses are let go first', async () => {
  const device = await cpu(1)
  ;(await device.load(wasmFixture(), 1)).close()
  await new Promise((resolve) => setTimeout(resolve))
  const Memory = WebAssembly.Memory
  let asked = 0
  vi.spyOn(WebAssembly, 'Memory').mockImplementation(function(descriptor: WebAssembly.MemoryDescriptor) {
    if (asked++ === 0) throw new RangeError('could not allocate memory')
    return new Memory(descriptor)
  } as never)
  const session = await device.load(wasmFixture(), 10_000)
  expect(asked).toBe(2)
  session.close()
})

test('a device that is closed while a net is loaded starts nothing more', async () => {
  const workers = vi.spyOn(process.getBuiltinModule('node:worker_threads'), 'Worker')
  const device = await cpu(2)
  const loading = device.load(wasmFixture(), 1)
  device.close()
  await expect(loading).rejects.toThrow(/device was closed/)
  expect(workers).not.toHaveBeenCalled()
})

test('a net that is closed while it runs refuses what waits', async () => {
  const net = await open(wasmFixture(), { device: await cpu(2), batch: BATCH })
  const calls = [net.run({ x }), net.run({ x }), net.parameters(), net.snapshot()]
  net.close()
  net.close()
  for (const call of calls) await expect(call).rejects.toThrow(/net was closed/)
  await expect(net.run({ x })).rejects.toThrow(/net was closed/)
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
  const timer = setInterval(() => {
    turns++
  }, 1)
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
  const memory = vi.spyOn(WebAssembly, 'Memory').mockImplementation(function() {
    throw new RangeError('asked')
  } as never)
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
  const adapter = (info: object): object => ({
    info,
    limits: {},
    features: new Set(),
    requestDevice: async () => {
      throw new Error('asked for a device')
    },
  })
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
    expect(asked.sort()).toEqual(['bundle.json', 'wasm/infer.json', 'wasm/infer.wasm'])
    asked.length = 0
    hardware(adapter({ vendor: 'acme' }))
    await expect(open('http://there.example/net', { device: 'webgpu' })).rejects.toThrow(WEBGPU)
    expect(asked).toEqual(['bundle.json'])
  })
})
