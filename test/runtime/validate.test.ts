import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BundleError } from '../../bundle/errors.ts'
import { bundleFiles } from '../../runtime/loading/files.ts'
import type { Bundle } from '../../bundle/format.ts'
import { open } from '../../runtime/open.ts'
import { bundleFrom } from '../../runtime/loading/read-bundle.ts'
import { seal, sha256 } from '../../runtime/loading/seal.ts'
import { checkBatch, checkBundle, problemsOf } from '../../runtime/loading/validate.ts'
import { FakeDevice } from './fake-device.ts'
import { fixture } from './fixture.ts'

type Loose = Record<string, any>
const changed = (change: (manifest: Loose, plan: Loose) => void): Loose => {
  const manifest = structuredClone(fixture().manifest) as Loose
  change(manifest, manifest['plans'].webgpu)
  return manifest
}
const { files } = fixture()
const refusal = (change: Parameters<typeof changed>[0]): string => new BundleError(problemsOf(changed(change), files)).message

test('a good bundle has no problems', () => {
  expect(problemsOf(fixture().manifest, files)).toEqual([])
  expect(() => checkBundle(fixture())).not.toThrow()
})

test.each<[string, Parameters<typeof changed>[0], RegExp]>([
  ['format', (m) => {
    m['format'] = 'other'
  }, /^[^]*  format: "fusenet-bundle" is wanted, here is "other"/],
  ['version', (m) => {
    m['version'] = 1
  }, /version: 3 is wanted/],
  ['a missing field', (m) => {
    delete m['style']
  }, /style: is missing/],
  ['a list that is none', (m) => {
    m['inputs'] = { length: 3 }
  }, /inputs: a list is wanted/],
  ['null', (_, p) => {
    p['tensors'][3] = null
  }, /plans\.webgpu\.tensors\[3\]: an object is wanted, here is null/],
  ['a negative offset', (_, p) => {
    p['tensors'][3].offset = -1
  }, /tensors\[3\]\.offset: a count is wanted, here is -1/],
  ['an offset behind the end', (_, p) => {
    p['tensors'][2].offset = 64
  }, /tensors\[2\]\.offset: w \[3\] from 64 on does not fit into buffer parameters/],
  ['a shape too large', (_, p) => {
    p['tensors'][2].shape = [65]
  }, /tensors\[2\]\.offset: w \[65\]/],
  ['growth with the batch', (_, p) => {
    p['tensors'][6].shape = ['n']
  }, /w2 \[n\] from 0 on does not fit into buffer prepared\.w2/],
  ['a dimension of zero', (_, p) => {
    p['tensors'][2].shape = [0]
  }, /shape\[0\]: a positive integer is wanted/],
  ['n behind axis 0', (_, p) => {
    p['tensors'][0].shape = [3, 'n']
  }, /shape\[1\]: a positive integer is wanted/],
  ['an absurd shape', (_, p) => {
    p['tensors'][2].shape = [2 ** 30, 2 ** 30]
  }, /absurdly large/],
  ['lying behind itself', (_, p) => {
    p['tensors'][8].behind = [8]
  }, /tensors\[8\]\.behind: loss cannot lie behind tensor 8/],
  ['lying behind what comes later', (_, p) => {
    p['tensors'][8].behind = [9]
  }, /cannot lie behind tensor 9/],
  ['lying behind what is not there', (_, p) => {
    p['tensors'][8].behind = [99]
  }, /cannot lie behind tensor 99/],
  ['lying behind what is elsewhere', (_, p) => {
    p['tensors'][8].behind = [7]
  }, /cannot lie behind tensor 7/],
  ['a parameter behind another', (_, p) => {
    p['tensors'][6].behind = [2]
  }, /w2 cannot lie behind tensor 2/],
  ['an absurd buffer', (_, p) => {
    p['buffers'][7].elements.fixed = 1e15
  }, /buffers\[7\]\.elements\.fixed: a count is wanted/],
  ['a buffer index', (_, p) => {
    p['tensors'][0].buffer = 99
  }, /tensors\[0\]\.buffer: there is no buffer 99/],
  ['a kernel index', (_, p) => {
    p['programs'].infer.dispatches[0].kernel = 99
  }, /programs\.infer\.dispatches\[0\]\.kernel: there is no kernel 99/],
  ['a tensor index', (_, p) => {
    p['programs'].infer.dispatches[0].tensors[1] = 99
  }, /dispatches\[0\]\.tensors\[1\]: there is no tensor 99/],
  ['a result index', (_, p) => {
    p['programs'].infer.results.y = 99
  }, /results\.y: there is no tensor 99/],
  ['a result of another shape', (_, p) => {
    p['programs'].infer.results.y = 8
  }, /results\.y: \[n, 3\] is promised, tensor loss is \[\]/],
  ['a gradient of another shape', (_, p) => {
    p['programs'].step.results['grad/w'] = 8
  }, /results\.grad\/w: \[3\] is promised/],
  ['an output without result', (_, p) => {
    delete p['programs'].infer.results.y
  }, /programs\.infer\.results: y is missing/],
  ['too few bindings', (_, p) => {
    p['programs'].infer.dispatches[0].tensors.pop()
  }, /tensors: scale binds 3, here are 2/],
  ['a type', (_, p) => {
    p['tensors'][1].type = 'f32'
  }, /inputs\[1\]\.type: label is i32, its tensor in plans\.webgpu f32/],
  ['an input shape', (m) => {
    m['inputs'][0].shape = ['n', 4]
  }, /inputs\[0\]\.shape: no tensor in plans\.webgpu is \[n, 4\]/],
  ['an input name', (m) => {
    m['inputs'][0].name = 'z'
  }, /buffers\[0\]\.name: input\.x belongs to no input/],
  ['names that are there twice', (m) => {
    m['inputs'][1].name = 'x'
  }, /inputs\[1\]\.name: "x" is there twice/],
  ['overlapping parameters', (m) => {
    m['parameters'].push({ ...m['parameters'][0], name: 'w3', offset: 2 })
  }, /w3 overlaps w/],
  ['a parameter outside', (m) => {
    m['parameters'][0].offset = 62
  }, /parameters\[0\]\.offset: w ends at 65, buffer parameters at 64/],
  ['prepare missing', (_, p) => {
    delete p['programs'].prepare
  }, /programs\.infer\.needsPrepare: there is no program `prepare`/],
  ['reading and writing one buffer', (_, p) => {
    p['tensors'][6].buffer = 2
    p['tensors'][6].offset = 0
  }, /buffer parameters is bound both to read and to write/],
  ['unaligned binding', (_, p) => {
    p['tensors'][2].offset = 4
  }, /w starts at 4: WebGPU binds at multiples of 64/],
  ['a file that is not there', (_, p) => {
    p['kernels'][0].file = 'webgpu/none.wgsl'
  }, /kernels\[0\]\.file: webgpu\/none\.wgsl is not there/],
  ['a section that is not there', (_, p) => {
    p['kernels'][0].section = 'none'
  }, /kernels\[0\]\.section: webgpu\/infer\.wgsl has no section "none"/],
  ['a text for subgroups that is not there', (_, p) => {
    p['kernels'][0].subgroups = 'none'
  }, /kernels\[0\]\.subgroups: webgpu\/infer\.wgsl has no section "none"/],
  ['a kernel without a text', (_, p) => {
    delete p['kernels'][0].section
  }, /kernels\[0\]\.section: is missing/],
  ['large letters in a file name', (_, p) => {
    p['kernels'][0].file = 'webgpu/Infer.wgsl'
  }, /kernels\[0\]\.file: a file name below/],
  ['a name that Windows has taken', (_, p) => {
    p['kernels'][0].file = 'webgpu/aux.wgsl'
  }, /kernels\[0\]\.file: a file name below/],
  ['a path out of the folder', (_, p) => {
    p['kernels'][0].file = '../../etc/passwd'
  }, /kernels\[0\]\.file: a file name below/],
  ['an absolute path', (_, p) => {
    p['kernels'][0].file = '/etc/passwd'
  }, /kernels\[0\]\.file: a file name below/],
  ['a workgroup', (_, p) => {
    p['kernels'][0].workgroup = 0
  }, /workgroup: a positive integer/],
  ['nothing to run', (_, p) => {
    p['programs'].infer.dispatches[0].invocations = { fixed: 0, perSample: 0 }
  }, /nothing would run/],
  ['constants that do not fit', (_, p) => {
    p['buffers'][9].data = [{ times: 3, values: [1] }]
  }, /buffers\[9\]\.data: 3 numbers do not fit into 1/],
  ['a target', (_, p) => {
    p['target'] = 'wasm'
  }, /plans\.webgpu\.target: is "wasm"/],
  ['a schedule', (m) => {
    m['train'].schedule[0].call = 'sometimes'
  }, /train\.schedule\[0\]\.call: is no schedule: "sometimes"/],
  ['bilinear of a vector', (m) => {
    m['parameters'][0].initializer = { kind: 'bilinear' }
  }, /bilinear wants \[o, i, k, k\]/],
  ['an initializer', (m) => {
    m['parameters'][0].initializer = { kind: 'uniform', low: 0 }
  }, /initializer\.high: is missing/],
])('refuses %s', (_, change, message) => {
  expect(refusal(change)).toMatch(message)
})

test('several problems are told at once', () => {
  const problems = problemsOf(
    changed((m) => {
      m['version'] = 1
      m['name'] = 5
    }),
    files,
  )
  expect(problems.map((p) => p.path)).toEqual(['version', 'name'])
})

test('at each batch every tensor must end within its buffer', () => {
  const { manifest } = structuredClone({ manifest: fixture().manifest }) as Loose
  const plan = manifest['plans'].webgpu
  plan.buffers[0].elements = { fixed: 2, perSample: 3 }
  expect(() => checkBatch(plan, 3)).not.toThrow()
  plan.buffers[0].elements = { fixed: 5, perSample: 1 }
  expect(() => checkBatch(plan, 3)).toThrow(/x does not fit into buffer input\.x at batch 3/)
})

describe('files', () => {
  const weights = new Map([['w', { shape: [3], type: 'f32', data: Float32Array.of(1, 2, 3) } as const]])
  const written = bundleFiles({ ...fixture(), weights })
  const load = async (files: ReadonlyMap<string, Uint8Array>): Promise<Bundle> => (await bundleFrom(async (name) => files.get(name))).bundle
  const outcome = async (files: ReadonlyMap<string, Uint8Array>): Promise<string> => {
    try {
      const bundle = await load(files)
      // It behaves as it says; loading and running it must not trip over anything either.
      const net = await open(bundle, { device: new FakeDevice() })
      await net.run({ x: new Float32Array(12) })
      return JSON.stringify([
        bundle.manifest,
        [...bundle.files],
        [...bundle.weights ?? []].map(([n, t]) => [n, t.shape, [...t.data as Float32Array]]),
      ])
    } catch (error) {
      if (error instanceof BundleError && error.problems.length > 0) return 'refused'
      throw error
    }
  }

  test('come back as they were', async () => {
    expect(await load(await written)).toEqual({ ...fixture(), weights })
  })

  test('white space of the manifest may change, its numbers may not', async () => {
    const files = await written
    const text = new TextDecoder().decode(files.get('bundle.json'))
    const compact = new TextEncoder().encode(JSON.stringify(JSON.parse(text)))
    expect(await outcome(new Map([...files, ['bundle.json', compact]]))).toBe(await outcome(files))
    const other = new TextEncoder().encode(text.replace('0.25', '0.26'))
    await expect(load(new Map([...files, ['bundle.json', other]]))).rejects.toThrow(
      /bundle\.json: was changed: the SHA-256 of what it says/,
    )
    const { sha256: _, ...rest } = JSON.parse(text)
    const unsealed = new TextEncoder().encode(JSON.stringify(rest))
    await expect(load(new Map([...files, ['bundle.json', unsealed]]))).rejects.toThrow(/sha256: is missing/)
  })

  test('any byte of the manifest changed is refused or changes nothing', async () => {
    const files = await written
    const good = await outcome(files)
    const json = files.get('bundle.json')!
    await fc.assert(
      fc.asyncProperty(fc.nat(json.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const bytes = json.slice()
        bytes[at]! ^= flip
        expect(['refused', good]).toContain(await outcome(new Map([...files, ['bundle.json', bytes]])))
      }),
      { numRuns: 300 },
    )
  }, 30_000)

  test('any file truncated or missing is refused', async () => {
    const files = await written
    const good = await outcome(files)
    const names = [...files.keys()]
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...names), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), async (name, share) => {
        const whole = files.get(name)!
        const cut = whole.slice(0, Math.floor(whole.length * share))
        // The last newline of the manifest says nothing.
        expect(cut.length >= whole.length - 1 && name === 'bundle.json' ? ['refused', good] : ['refused']).toContain(
          await outcome(new Map([...files, [name, cut]])),
        )
        const without = new Map(files)
        without.delete(name)
        expect(await outcome(without)).toBe('refused')
      }),
      { numRuns: 100 },
    )
  }, 30_000)

  test('any JSON in any place of any file, sealed again, is refused with reasons or taken', async () => {
    const files = await written
    const decoded = new Map(
      [...files].filter(([name]) => name.endsWith('.json')).map((
        [name, data],
      ) => [name, JSON.parse(new TextDecoder().decode(data)) as Loose]),
    )
    const places: [string, (string | number)[]][] = []
    const walk = (name: string, value: unknown, path: (string | number)[]): void => {
      if (path.length) places.push([name, path])
      if (typeof value === 'object' && value) { for (const [k, v] of Object.entries(value)) walk(name, v, [...path, k]) }
    }
    for (const [name, value] of decoded) walk(name, value, [])
    const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...places),
        fc.oneof(fc.jsonValue(), fc.constantFrom(2 ** 40, -1, [], {}, null, 'n', '../x', 'bundle.json', '__proto__', { toString: '' })),
        async ([name, path], value) => {
          const changed = structuredClone(decoded.get(name)!)
          let at = changed
          for (const key of path.slice(0, -1)) at = at[key]
          at[path.at(-1)!] = value
          const all = new Map(files)
          const manifest = name === 'bundle.json' ? changed : structuredClone(decoded.get('bundle.json')!)
          if (name !== 'bundle.json') {
            all.set(name, encode(changed))
            manifest['files'][name] = { bytes: all.get(name)!.length, sha256: await sha256(all.get(name)!) }
          }
          all.set('bundle.json', encode(await seal(manifest)))
          try {
            await load(all)
          } catch (error) {
            expect(error).toBeInstanceOf(BundleError)
            expect((error as BundleError).problems.every((p) => p.path && p.message)).toBe(true)
          }
        },
      ),
      { numRuns: 500 },
    )
  }, 30_000)

  test('any JSON in any place, even with a right hash, is refused with reasons or taken', async () => {
    const paths: (string | number)[][] = []
    const walk = (value: unknown, path: (string | number)[]): void => {
      if (path.length) paths.push(path)
      if (Array.isArray(value)) value.forEach((v, i) => walk(v, [...path, i]))
      else if (typeof value === 'object' && value) { for (const [k, v] of Object.entries(value)) walk(v, [...path, k]) }
    }
    walk(fixture().manifest, [])
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...paths),
        fc.oneof(fc.jsonValue(), fc.integer(), fc.constantFrom('n', 'x', 2 ** 40, -1, [], {}, null, { toString: '' })),
        async (path, value) => {
          const manifest = structuredClone(fixture().manifest) as Loose
          let at = manifest
          for (const key of path.slice(0, -1)) at = at[key]
          at[path.at(-1)!] = value
          try {
            checkBundle({ ...fixture(), manifest } as unknown as Bundle)
          } catch (error) {
            expect(error).toBeInstanceOf(BundleError)
            expect((error as BundleError).problems.every((p) => p.path && p.message)).toBe(true)
          }
        },
      ),
      { numRuns: 1000 },
    )
  }, 30_000)
})
