import { spawnSync } from 'node:child_process'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { compile, inspect, interpreter } from '../../compiler/index.ts'
import { type Bundle, BundleError, bundleFiles, type Device, DeviceError, InputError, open, problemsOf, type Session,
  wasm } from '../../runtime/index.ts'
import { relax, RELAXED_PROBE } from '../../runtime/wasm/relax.ts'
import { bundleFrom } from '../../runtime/loading/read-bundle.ts'
import { labels, normals } from '../support/random-net.ts'

/** Dropout, BN after conv and fc, pooling, a convolution that Winograd takes, chunks of the batch: what threads could get wrong. */
const text = `
net small {
  input image: f32[3, 16, 16]
  input label: class[10]
  features = image -> conv(16, 5, pad: 2) -> batch_norm -> relu -> max_pool(3, stride: 2, round: ceil)
    -> conv(16, 3, pad: 1) -> batch_norm -> relu -> dropout(0.3)
  logits = features -> fc(20) -> batch_norm -> sigmoid -> fc(10)
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { solver sgd(lr: 0.05, momentum: 0.9) }`
const BATCH = 21

const opened: Device[] = []
afterEach(() => {
  for (const device of opened.splice(0)) device.close()
})
async function cpu(threads: number): Promise<Device> {
  const device = await wasm({ threads })
  opened.push(device)
  return device
}

async function train(bundle: Bundle, threads: number, steps: number): Promise<{ losses: Float64Array; bits: Int32Array[] }> {
  const net = await open(bundle, { device: await cpu(threads), batch: BATCH, seed: 3 })
  const losses = new Float64Array(steps)
  for (let k = 0; k < steps; k++) {
    losses[k] = await (await net.trainStep({ image: normals(BATCH * 768, k % 5), label: labels(BATCH, 10, k % 5) })).loss
  }
  const bits = [...await net.parameters()].map(([, { data }]) => new Int32Array(data.buffer, data.byteOffset, data.length))
  net.close()
  return { losses, bits }
}

test('the same bits by 1, 2 and 3 threads, over 50 steps', async () => {
  const bundle = compile(text)
  const one = await train(bundle, 1, 50)
  expect(one.losses[49]).toBeLessThan(one.losses[0]!)
  for (const threads of [2, 3]) expect(await train(bundle, threads, 50)).toEqual(one)
}, 120_000)

describe('memory', () => {
  test('is laid out once, and is what inspect says, but for what threads need', async () => {
    const bundle = compile(text, { targets: ['wasm'] })
    const device = await cpu(2)
    let session: Session | undefined
    const watched: Device = {
      name: 'wasm',
      description: '',
      software: false,
      close() {},
      load: async (...args) => (session = await device.load(...args)),
    }
    const net = await open(bundle, { device: watched, batch: BATCH, seed: 3, programs: ['train'] })
    const before = session!.allocatedBytes
    // Two threads wait for each other at every kernel: on a busy machine many steps take many seconds, and show no more than a few.
    const grown = vi.spyOn(WebAssembly.Memory.prototype, 'grow')
    const made = vi.spyOn(WebAssembly, 'Memory')
    for (let k = 0; k < 20; k++) await net.trainStep({ image: normals(BATCH * 768, k % 5), label: labels(BATCH, 10, k % 5) })
    expect(grown).not.toHaveBeenCalled()
    expect(made).not.toHaveBeenCalled()
    vi.restoreAllMocks()
    expect(session!.allocatedBytes).toBe(before)
    net.close()
    const said = inspect(text, { target: 'wasm', batch: BATCH }).programs['train']!.peakBytes
    const threadBytes = 2 * bundle.manifest.plans['wasm']!.modules!.train!.threadBytes
    // Beside the buffers of `train`: weights and biases with BN folded into them, for evaluation in between; what threads prepare tasks in;
    // the first and the last page, rounding to whole pages; records of a few words, running statistics.
    const foldedBytes = 4 * (16 * 3 * 25 + 16 + 16 * 16 * 9 + 16 + 20 * 16 * 8 * 8 + 20)
    expect(before).toBeGreaterThanOrEqual(said)
    expect(before).toBeLessThanOrEqual(said + foldedBytes + threadBytes + 4 * 65536)
  })

  test('a batch that 4 GiB cannot hold is refused with the one that fits', async () => {
    const device = await cpu(1)
    const error = await open(compile(text), { device, batch: 10_000_000 }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(DeviceError)
    const most = Number(/use a batch of at most (\d+)/.exec((error as Error).message)![1])
    expect(most).toBeGreaterThan(1000)
  })
})

describe('a device', () => {
  test('says its threads, and refuses numbers that are none', async () => {
    expect((await cpu(2)).description).toMatch(/^WebAssembly (relaxed )?SIMD, 2 threads$/)
    for (const threads of [0, -1, 1.5, NaN, 17, 1000, '2', null]) {
      const refused = wasm({ threads: threads as number })
      await expect(refused).rejects.toThrow(
        `wasm: threads ${typeof threads === 'string' ? '"2"' : threads}: an integer from 1 to 16 is wanted`,
      )
      await expect(refused).rejects.toBeInstanceOf(InputError)
    }
    await expect(wasm({ relaxd: false } as never)).rejects.toThrow(
      /wasm has no option relaxd; did you mean relaxed\? \(it has threads, relaxed, wide\)/,
    )
    await expect(wasm(2 as never)).rejects.toThrow(/wasm takes its options as an object, here is 2/)
  })

  test('runs several nets, one after the other and side by side', async () => {
    const device = await cpu(2)
    const bundle = compile(text)
    const nets = await Promise.all([1, 2, 3].map((batch) => open(bundle, { device, batch, seed: 3 })))
    const image = normals(768, 1)
    const probs = []
    for (const net of nets) {
      const { prob } = await net.run({ image: Float32Array.from({ length: 768 * net.batch }, (_, i) => image[i % 768]!) })
      probs.push([...prob!.slice(0, 10)])
      net.close()
      await expect(net.parameters()).rejects.toThrow(/closed/)
    }
    expect(probs[1]).toEqual(probs[0])
    expect(probs[2]).toEqual(probs[0])
    const again = await open(bundle, { device, batch: 1, seed: 3 })
    expect([...(await again.run({ image }))['prob']!]).toEqual(probs[0])
  })

  test('without a plan for it a bundle is refused', async () => {
    await expect(open(compile(text, { targets: ['webgpu'] }), { device: await cpu(1) })).rejects.toThrow(/no plan for wasm/)
  })
})

describe('relaxed SIMD', () => {
  const bundle = compile(text, { targets: ['wasm'] })
  const modules = [...bundle.files].flatMap(([name, data]) => (name.endsWith('.wasm') ? [data as Uint8Array] : []))

  test('is the same module with three bytes changed at each place that its first section names', () => {
    for (const module of modules) {
      const before = module.slice()
      const relaxed = relax(module)
      expect(module).toEqual(before)
      expect(relaxed.length).toBe(module.length)
      // f32x4.mul, f32x4.add; nop three times, f32x4.relaxed_madd: as the specification (3.0) has them.
      const [mul, add, nops, madd] = ['fde601', 'fde401', '010101', 'fd8502']
      // v128.bitselect, its number in two bytes in place of one; i32x4.relaxed_laneselect.
      const [bitselect, laneselect] = ['fdd200', 'fd8b02']
      const changes: string[] = []
      const hex = (bytes: Uint8Array, at: number): string => Buffer.from(bytes.subarray(at, at + 3)).toString('hex')
      for (let at = 0; at < module.length; at++) {
        if (relaxed[at] === module[at] && hex(relaxed, at) === hex(module, at)) continue
        if (![mul, add, bitselect].includes(hex(module, at))) continue
        changes.push(`${hex(module, at)} ${hex(relaxed, at)}`)
        at += 2
      }
      const products = changes.filter((change) => change === `${mul} ${nops}`)
      const sums = changes.filter((change) => change === `${add} ${madd}`)
      expect(products.length).toBeGreaterThan(10)
      expect(sums.length).toBe(products.length)
      const choices = changes.filter((change) => change === `${bitselect} ${laneselect}`)
      expect(choices.length).toBeGreaterThan(0)
      expect(changes.length).toBe(products.length + sums.length + choices.length)
    }
  })

  test('bundles of before call the section otherwise', () => {
    const add = [0xfd, 0xe4, 1]
    const before = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 0, 9, 7, ...Buffer.from('relaxed'), 0, ...add)
    expect([...relax(before).slice(-3)]).toEqual([0xfd, 0x85, 2])
  })

  // As Node reads files: `slice` of these is a view.
  test('is a copy of a Buffer, too', () => {
    const before = Buffer.from(modules[0]!)
    const given = Buffer.from(before)
    expect(Buffer.compare(relax(given), before)).not.toBe(0)
    expect(Buffer.compare(given, before)).toBe(0)
  })

  test('a module without that section, or with places that lead nowhere, stays what it is', () => {
    const plain = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0)
    expect(relax(plain)).toBe(plain)
    const other = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 0, 3, 1, 65, 5)
    expect(relax(other)).toBe(other)
    const [module] = modules
    expect(() => relax(module!.slice(0, 40))).not.toThrow()
  })

  test('this Node runs it, also the one that has it behind a flag; a step is the same to rounding with it and without', async () => {
    const oneStep = async (device: Device): Promise<[string, Float64Array][]> => {
      const net = await open(bundle, { device, batch: 4, seed: 3 })
      await net.trainStep({ image: normals(4 * 768, 1), label: labels(4, 10, 1) }, { rate: 0.01 })
      const parameters = [...await net.parameters()].map((
        [name, { data }],
      ): [string, Float64Array] => [name, Float64Array.from(data, Number)])
      net.close()
      return parameters
    }
    const want = await oneStep(interpreter())
    const descriptions: string[] = []
    for (const relaxed of [true, false]) {
      const device = await wasm({ threads: 1, relaxed })
      opened.push(device)
      descriptions.push(device.description)
      for (const [i, [name, data]] of (await oneStep(device)).entries()) {
        const right = want[i]![1]
        const largest = Math.max(...right.map(Math.abs), 1e-3)
        const worst = Math.max(...right.map((value, k) => Math.abs(value - data[k]!)))
        expect(worst / largest, name).toBeLessThan(1e-4)
      }
    }
    expect(descriptions).toEqual(['WebAssembly relaxed SIMD, 1 thread', 'WebAssembly SIMD, 1 thread'])
  })

  test('an engine that has it takes the changed modules, and what it is known by', () => {
    // Node 20 has it behind a flag, which later ones no longer know.
    const flags = process.versions.node.startsWith('20.') ? ['--experimental-wasm-relaxed-simd'] : []
    const script = "process.stdout.write(String(WebAssembly.validate(require('fs').readFileSync(0))))"
    for (const module of [Uint8Array.from(RELAXED_PROBE), ...modules.map(relax)]) {
      const said = spawnSync(process.execPath, [...flags, '-e', script], {
        input: module,
        encoding: 'utf8',
      })
      expect(said.stdout || said.stderr).toBe('true')
    }
  })
})

describe('a bundle with a module', () => {
  const bundle = compile(text)
  const plan = bundle.manifest.plans['wasm']!
  const train = plan.modules!.train!
  const changed = (module: object | undefined): Bundle => ({
    ...bundle,
    manifest: { ...bundle.manifest, plans: { wasm: { ...plan, modules: { ...(module && { ...plan.modules, train: module }) } as never } } },
  })
  const paths = (b: Bundle): string[] => problemsOf(b.manifest, b.files).map((p) => p.path)

  test('as files and back', async () => {
    const files = await bundleFiles(bundle)
    const { bundle: back } = await bundleFrom(async (name) => files.get(name))
    expect(back).toEqual(bundle)
    // Some of it only.
    const asked: string[] = []
    const { bundle: some } = await bundleFrom(async (name) => {
      asked.push(name)
      return files.get(name)
    }, { targets: ['wasm'], programs: ['infer'], facts: false })
    expect(asked.sort()).toEqual(['bundle.json', 'wasm/infer.json', 'wasm/infer.wasm'])
    expect(Object.keys(some.manifest.plans['wasm']!.programs).sort()).toEqual(['eval', 'infer', 'prepare'])
  })

  test.each([
    ['is missing', undefined, 'plans.wasm.modules'],
    ['names files that are not there', { ...train, file: 'some.wasm' }, 'plans.wasm.modules.train'],
    ['wants absurd memory', { ...train, threadBytes: 2 ** 40 }, 'plans.wasm.modules.train.threadBytes'],
    ['lacks kernels', { ...train, kernels: 3 }, 'plans.wasm.programs.train'],
  ])('that %s is refused', (_, module, path) => {
    expect(paths(changed(module))).toContain(path)
  })

  test('that was changed or cut is refused', async () => {
    const files = await bundleFiles(bundle)
    const module = files.get('wasm/train.wasm')!
    for (const spoiled of [module.slice(0, -1), Uint8Array.from(module, (byte, i) => (i === 500 ? byte ^ 1 : byte))]) {
      await expect(bundleFrom(async (name) => (name === 'wasm/train.wasm' ? spoiled : files.get(name)))).rejects.toThrow(BundleError)
    }
  })

  test('of other kernels traps or fails to compile, and says so', async () => {
    const broken = new Map(bundle.files)
    broken.set('wasm/train.wasm', Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 99))
    await expect(open({ ...bundle, files: broken }, { device: await cpu(1) })).rejects.toThrow(/train.*\.wasm does not compile/)
  })
})
