import { LocalNet } from '../../runtime/net.ts'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { bundleFiles } from '../../runtime/loading/files.ts'
import type { Bundle } from '../../bundle/format.ts'
import { bundleFrom } from '../../runtime/loading/read-bundle.ts'
import { openLocal as open } from '../../runtime/open.ts'
import { Host, hostOf, openAt, URL_OF } from './net-host.ts'

afterEach(() => {
  vi.unstubAllGlobals()
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

  test('files stand in one order, whichever is read first', async () => {
    const orders: string[][] = []
    for (const turn of [1, -1]) {
      const wait = [...stored.keys()].sort((a, b) => turn * (a < b ? -1 : 1))
      const read = await bundleFrom(async (name) => {
        await new Promise((done) => setTimeout(done, 5 * wait.indexOf(name)))
        return stored.get(name)
      })
      orders.push([...read.bundle.files.keys()])
    }
    expect(orders[0]!.length).toBeGreaterThan(2)
    expect(orders[1]).toEqual(orders[0])
  })

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

  test('names that are none are refused before anything but the manifest is read', async () => {
    const host = hostOf()
    await expect(openAt(host, { programs: ['inference'] })).rejects.toThrow(/there is no program inference; did you mean infer\?/)
    // Its manifest alone: the message names the programs that there are.
    expect(host.asked).toEqual(['https://host.example/nets/line/bundle.json'])
  })

  test('the compiler refuses names that are none, and a choice of nothing', () => {
    expect(() => compile(text, { programs: ['trian'] })).toThrow(/there is no program "trian"/)
    expect(() => compile(text, { targets: ['wgpu'] })).toThrow(/there is no target "wgpu"/)
    expect(() => compile(text, { programs: [] })).toThrow(/nothing to compile/)
    expect(() => compile(text, { programs: ['infer/batch'] })).toThrow(/this net has no program infer\/batch/)
  })
})
