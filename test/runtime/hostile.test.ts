import { describe, expect, test, vi } from 'vitest'
import { BundleError } from '../../bundle/errors.ts'
import { bundleFrom } from '../../runtime/loading/read-bundle.ts'
import type { Bundle, BufferEntry } from '../../bundle/format.ts'
import { open } from '../../runtime/open.ts'
import { wasm } from '../../runtime/wasm/device.ts'
import { contents } from '../../bundle/sizes.ts'
import { checkBundle, problemsOf } from '../../runtime/loading/validate.ts'
import { fixture } from './fixture.ts'
import { wasmFixture } from './wasm-fixture.ts'

/** A bundle is data, whoever made it. What is tried here would do no harm if it came through. */

type Loose = Record<string, any>
const problems = (change: (manifest: Loose, plan: Loose) => void, bundle = fixture()): string[] => {
  const manifest = structuredClone(bundle.manifest) as Loose
  change(manifest, Object.values(manifest['plans'])[0] as Loose)
  return problemsOf(manifest, bundle.files).map((p) => `${p.path}: ${p.message}`)
}

describe('names are identifiers', () => {
  const PLACES: Record<string, (value: string, m: Loose, p: Loose) => void> = {
    net: (v, m) => {
      m['name'] = v
    },
    input: (v, m) => {
      m['inputs'][0].name = v
    },
    output: (v, m) => {
      m['outputs'][0].name = v
    },
    parameter: (v, m) => {
      m['parameters'][0].name = v
    },
    layer: (v, m) => {
      m['parameters'][0].layer = v
    },
    'layer of a dispatch': (v, _, p) => {
      p['programs'].infer.dispatches[0].facts.layers = [v]
    },
    kernel: (v, _, p) => {
      p['kernels'][0].name = v
    },
    binding: (v, _, p) => {
      p['kernels'][0].bindings[0].name = v
    },
    file: (v, _, p) => {
      p['kernels'][0].file = v
    },
    buffer: (v, _, p) => {
      p['buffers'][6].name = v
    },
    tensor: (v, _, p) => {
      p['tensors'][6].name = v
    },
    dispatch: (v, _, p) => {
      p['programs'].infer.dispatches[0].name = v
    },
    program: (v, _, p) => {
      Object.defineProperty(p['programs'], v, { value: p['programs'].infer, enumerable: true })
    },
    result: (v, _, p) => {
      Object.defineProperty(p['programs'].infer.results, v, { value: 7, enumerable: true })
    },
    plan: (v, m, p) => {
      Object.defineProperty(m['plans'], v, { value: { ...p, target: v }, enumerable: true })
    },
    solver: (v, m) => {
      m['train'].solver.call = v
    },
    argument: (v, m) => {
      Object.defineProperty(m['train'].solver.args, v, { value: 1, enumerable: true })
    },
  }
  const WORDS = [
    '',
    '__proto__',
    'a\nglobalThis.there = 1 //',
    'a */ b',
    '../elsewhere/x',
    '/etc/x',
    'a b',
    'a"b',
    '\u001b[31mred',
    'a\u202eb',
    'a\u2028b',
    'a\u0000',
    'x'.repeat(10_001),
  ]

  test.each(Object.entries(PLACES))('of a %s', (_, put) => {
    for (const word of WORDS) {
      const found = problems((m, p) => put(word, m, p))
      expect(found.join('\n'), JSON.stringify(word)).toMatch(/is wanted, here is/)
      // Told in a way that means nothing on a terminal, and briefly.
      expect(found.every((line) => line.length < 1500 && (word.length > 1000 || !/[\u0000-\u001f\u202e\u2028]/.test(line)))).toBe(true)
    }
  })

  test('an ordinary name of an object is one like any other', () => {
    for (const word of ['constructor', 'toString', 'hasOwnProperty', 'prototype']) {
      expect(
        problems((m) => {
          PLACES['net']!(word, m, {})
          PLACES['parameter']!(word, m, {})
        }).filter((line) => line.includes('is wanted')),
      ).toEqual([])
    }
  })

  test('of a file that is written where weights are: not the name of their header', () => {
    expect(problems((m) => {
      m['parameters'][0].name = '__metadata__'
    })).not.toEqual([])
  })

  test('lines for people hold no control characters', () => {
    for (
      const change of [
        (m: Loose) => {
          m['source'].files[0].name = 'a\u001b]0;title\u0007.net'
        },
        (_: Loose, p: Loose) => {
          p['programs'].infer.dispatches[0].facts.why = ['\u202eylno']
        },
        (_: Loose, p: Loose) => {
          p['programs'].infer.dispatches[0].facts.how = 'a\nb'
        },
        (m: Loose) => {
          m['train'].data = { call: 'idx', args: { path: '\u001b[2J' } }
        },
      ]
    ) expect(problems(change).join()).toMatch(/a line of text without control characters.* is wanted, here is "/)
  })

  test('a refusal is told in plain characters, however the bundle is called', () => {
    const { message } = new BundleError([{ path: 'plans.\u001b[31m', message: `\u202e${'x'.repeat(5000)}\nerror: none` }])
    expect(message).toMatch(/plans\.\\u001b\[31m: \\u202ex+\.\.\.$/)
    expect(message.length).toBeLessThan(600)
  })
})

test('whatever is nested without end is refused, not fallen over', async () => {
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
  const text = JSON.stringify({ ...fixture().manifest, plans: {}, files: {}, sha256: '0'.repeat(64) })
  const read = (json: string) => bundleFrom(async (name) => (name === 'bundle.json' ? new TextEncoder().encode(json) : undefined))
  for (
    const json of [
      deep,
      `{"format": ${deep}}`,
      text.replace('"lr":0.1', `"lr":${deep}`),
      text.replace('"name"', `"unknown":${deep},"name"`),
    ]
  ) {
    await expect(read(json)).rejects.toThrow(BundleError)
  }
  const inside = structuredClone(fixture().manifest) as Loose
  inside['train'].solver.args.lr = JSON.parse(deep)
  expect(() => checkBundle({ ...fixture(), manifest: inside } as unknown as Bundle)).toThrow(/solver\.args\.lr/)
})

describe('what costs time or memory is checked before it is spent', () => {
  test.each<[string, (m: Loose, p: Loose) => void, RegExp]>([
    ['constants without values, very often', (_, p) => {
      p['buffers'][9].data = [{ times: 2 ** 29, values: [] }]
    }, /buffers\[9\]\.data\[0\]\.values: is empty/],
    ['constants more often than a count', (_, p) => {
      p['buffers'][9].data = [{ times: 2 ** 36, values: [1] }]
    }, /times: a positive integer is wanted/],
    ['more constants than their buffer', (_, p) => {
      p['buffers'][9].data = [{ times: 2 ** 20, values: [1] }, { times: 2 ** 20, values: [1] }]
    }, /2097152 numbers do not fit into 1/],
    ['constants without end', (_, p) => {
      p['buffers'][9].data = [{ times: Infinity, values: [1] }]
    }, /times: a positive integer is wanted, here is Infinity/],
    ['invocations that nothing asks for', (_, p) => {
      p['programs'].infer.dispatches[0].invocations = { fixed: 2 ** 30, perSample: 0 }
    }, /infer\.dispatches\[0\]\.invocations: 16777216 workgroups at batch 1 write 3 numbers/],
    ['invocations beyond a count', (_, p) => {
      p['programs'].infer.dispatches[0].invocations = { fixed: 2 ** 31, perSample: 0 }
    }, /invocations\.fixed: a count is wanted/],
    ['invocations below 0', (_, p) => {
      p['programs'].infer.dispatches[0].invocations = { fixed: -5, perSample: 6 }
    }, /invocations\.fixed: a count is wanted/],
    ['a parameter that lies nowhere and is huge', (m) => {
      m['parameters'].push({
        name: 'v',
        shape: [2 ** 36],
        offset: 0,
        trainable: false,
        layer: 'v',
        initializer: { kind: 'constant', value: 0 },
      })
    }, /parameters\[2\]\.shape/],
    ['parameters that are huge together', (m) => {
      for (const k of [0, 1])
        m['parameters'].push({
          name: `v${k}`,
          shape: [2 ** 29],
          offset: 64 + k * 2 ** 29,
          trainable: false,
          layer: 'v',
          initializer: { kind: 'constant', value: 0 },
        })
    }, /parameters: hold 1073741828 numbers, a net has 1073741824 at most/],
    ['two buffers of one input', (_, p) => {
      p['buffers'][1].name = 'input.x'
    }, /buffers\[0\]\.name: input\.x is there twice/],
    ['numbers that are none', (_, p) => {
      p['buffers'][9].data = [{ times: 1, values: [JSON.parse('1e999')] }]
    }, /values\[0\]: a number is wanted, here is Infinity/],
    ['a shape of many dimensions', (_, p) => {
      p['tensors'][2].shape = new Array(1000).fill(2)
    }, /absurdly large/],
  ])('%s', (_, change, message) => {
    expect(problems(change).join('\n')).toMatch(message)
  })

  test('what grows with the batch, at that batch', async () => {
    const bundle = structuredClone(wasmFixture().manifest) as unknown as Loose
    const plan = bundle['plans'].wasm
    // Four numbers a sample are written.
    plan.programs.infer.dispatches[0].invocations = { fixed: 0, perSample: 20 }
    const device = await wasm({ threads: 1 })
    const given = { ...wasmFixture(), manifest: bundle } as unknown as Bundle
    expect(problemsOf(given.manifest, given.files)).toEqual([])
    await expect(open(given, { device, batch: 1000 })).rejects.toThrow(/20000 workgroups at batch 1000 write 4000 numbers/)
    device.close()
  })

  test('ordinary constants come out as they are written', () => {
    const buffer = (data: BufferEntry['data']): BufferEntry => ({
      name: 'c',
      role: 'constants',
      elements: { fixed: 9, perSample: 0 },
      data: data!,
    })
    expect([...contents(buffer([{ times: 2, values: [1, 2] }, { times: 3, values: [5] }]))]).toEqual([1, 2, 1, 2, 5, 5, 5])
    expect([...contents(buffer(undefined))]).toEqual([])
  })

  test('very many inputs take time in their number, not in its square', () => {
    const manifest = structuredClone(fixture().manifest) as Loose
    const plan = manifest['plans'].webgpu
    for (let i = 0; i < 20_000; i++) {
      manifest['inputs'].push({ name: `i${i}`, type: 'f32', shape: ['n', 3] })
      plan.tensors.push({
        name: `i${i}`,
        shape: ['n', 3],
        type: 'f32',
        buffer: plan.buffers.push({ name: `input.i${i}`, role: 'input', elements: { fixed: 0, perSample: 3 } }) - 1,
        offset: 0,
      })
    }
    // The test ends before its time is over.
    expect(problemsOf(manifest, fixture().files)).toEqual([])
  })
})

describe('the module of a bundle', () => {
  const text = (word: string): number[] => [word.length, ...new TextEncoder().encode(word)]
  const section = (id: number, bytes: readonly number[]): number[] => [id, bytes.length, ...bytes]
  /** Imports functions by these names, exports functions by those; each does nothing. */
  const moduleOf = (imports: readonly (readonly [string, string])[], exports: readonly string[]): Uint8Array =>
    Uint8Array.of(
      0,
      97,
      115,
      109,
      1,
      0,
      0,
      0,
      ...section(1, [1, 0x60, 1, 0x7f, 0]),
      ...section(2, [imports.length, ...imports.flatMap(([module, name]) => [...text(module), ...text(name), 0, 0])]),
      ...section(3, [exports.length, ...exports.map(() => 0)]),
      ...section(7, [exports.length, ...exports.flatMap((name, i) => [...text(name), 0, imports.length + i])]),
      ...section(10, [exports.length, ...exports.flatMap(() => [2, 0, 0x0b])]),
    )
  const bundleOf = (module: Uint8Array): Bundle => ({
    ...wasmFixture(),
    files: new Map([['wasm/infer.wasm', module]]),
  })

  test.each<[string, readonly (readonly [string, string])[]]>([
    ['what stands behind every object', [['constructor', 'isExtensible']]],
    ['a function of what it is given', [['env', 'constructor']]],
    ['another memory', [['__proto__', 'memory']]],
    ['a function called memory', [['env', 'memory']]],
  ])('that imports %s is refused before it runs', async (_, imports) => {
    const instantiate = vi.spyOn(WebAssembly, 'instantiate')
    const device = await wasm({ threads: 1 })
    const error = await open(bundleOf(moduleOf(imports, ['run', 'work'])), { device, batch: 1 }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(BundleError)
    expect((error as Error).message).toMatch(/infer.*\.wasm: imports .*: a module gets env\.memory and nothing else/)
    expect(instantiate).not.toHaveBeenCalled()
    device.close()
    vi.restoreAllMocks()
  })

  test('that exports nothing to run is refused', async () => {
    const device = await wasm({ threads: 1 })
    await expect(open(bundleOf(moduleOf([], ['work'])), { device, batch: 1 })).rejects.toThrow(/exports no function run/)
    device.close()
  })

  test('gets objects without a prototype', async () => {
    const given: WebAssembly.Imports[] = []
    const real = WebAssembly.instantiate
    vi.spyOn(WebAssembly, 'instantiate').mockImplementation(
      ((module: WebAssembly.Module, imports: WebAssembly.Imports) => {
        given.push(imports)
        return real(module, imports)
      }) as never,
    )
    const device = await wasm({ threads: 1 })
    const net = await open(wasmFixture(), { device, batch: 1 })
    expect(given.map((imports) => [Object.getPrototypeOf(imports), Object.getPrototypeOf(imports['env'])])).toEqual([[null, null]])
    net.close()
    device.close()
    vi.restoreAllMocks()
  })
})
