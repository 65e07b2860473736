import { LocalNet } from '../../runtime/net.ts'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { create } from 'webgpu'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, inspect, interpreter } from '../../compiler/index.ts'
import { type Bundle, type Device, type OpenOptions, type Outputs, problemsOf, type Style, wasm, webgpu } from '../../runtime/index.ts'
import { openLocal as open } from '../../runtime/open.ts'
import { labels, normals, randomNet } from '../support/random-net.ts'
import { emulateHalves } from './half.ts'
import { softwareGpu } from './webgpu.ts'

/**
 * f16 in storage. Few adapters of a machine that runs tests have it (SwiftShader has not), so the same plan runs with f16
 * kept in float32 and rounded alike, and Dawn's null backend, which has every feature and computes nothing, checks kernels,
 * bindings and sizes of the real one. Where graphics hardware with `shader-f16` is there, the real one runs too.
 */
const samples = join(import.meta.dirname, '../../samples')
const BATCH = 2

/** What one store is off by at most, in parts of the value, where it rounds to the nearest. */
const U = 2 ** -11

/**
 * A sample with its logits as a result, so that softmax hides nothing, smaller where a software adapter would take long;
 * and how many roundings there are on the longest way from the image to the logits, those of weights included.
 */
const NETS: readonly {
  readonly file: string
  readonly rounded: number
  readonly styles: readonly Style[]
  readonly smaller?: readonly (readonly [string, string])[]
}[] = [
  { file: 'cifar10_quick.net', rounded: 18, styles: ['merged', 'split'] },
  { file: 'resnet20.net', rounded: 40, styles: ['merged'], smaller: [['f32[3, 32, 32]', 'f32[3, 16, 16]']] },
  {
    file: 'densenet40.net',
    rounded: 24,
    styles: ['merged'],
    smaller: [['f32[3, 32, 32]', 'f32[3, 16, 16]'], ['0..12', '0..2'], ['12 * 12', '12 * 2']],
  },
]

function textOf({ file, smaller = [] }: (typeof NETS)[number]): string {
  const text = readFileSync(join(samples, file), 'utf8').replace('output prob', 'output raw = logits\n  output prob')
  return smaller.reduce((now, [from, to]) => now.replaceAll(from, to), text)
}

/** Devices die with the GPU object that made them. */
const held: GPU[] = []
const made = (flags: string[]): GPU => held[held.push(create(flags) as GPU) - 1]!

let gpu: Device
let checker: Device
/** With f16, if this machine has any. */
const hardware = await hardwareWithHalves()
beforeAll(async () => {
  gpu = await webgpu({ gpu: await softwareGpu() })
  checker = await webgpu({ gpu: made(['backend=null']) })
})
afterAll(() => {
  for (const device of [gpu, checker, hardware]) device?.close()
  held.length = 0
})

async function hardwareWithHalves(): Promise<Device | undefined> {
  // Dawn complains where there is no driver, so it is not asked then.
  if (process.platform === 'linux' && !readdirSync('/dev').some((name) => /^(dri|nvidia\d|dxg)/.test(name))) return undefined
  try {
    const device = await webgpu({ gpu: made([]) })
    if (device.half && !device.software) return device
    device.close()
  } catch {
    // No driver, no adapter.
  }
  return undefined
}

async function infer(bundle: Bundle, options: OpenOptions): Promise<Outputs> {
  const net = await open(bundle, { batch: BATCH, seed: 11, programs: ['infer'], ...options })
  try {
    const count = bundle.manifest.inputs[0]!.shape.slice(1).reduce<number>((product, dim) => product * (dim as number), BATCH)
    return await net.run({ [bundle.manifest.inputs[0]!.name]: normals(count, 5) })
  } finally {
    net.close()
  }
}

const norm = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values))
/** Of the difference, in parts of the reference. */
const apart = (got: ArrayLike<number>, want: ArrayLike<number>): number => norm(Array.from(want, (w, i) => w - got[i]!)) / norm(want)

describe.each(NETS)('$file', (sample) => {
  const { rounded, styles } = sample
  const text = textOf(sample)
  let want: Outputs
  beforeAll(async () => {
    want = await infer(compile(text, { targets: [], programs: ['infer'] }), { device: interpreter() })
  }, 120_000)

  describe.each(styles)('%s', (style) => {
    const bundle = compile(text, { style, targets: ['webgpu-f16'] })

    // A layer hands on in proportion what it is given. Below U / 4 nothing would have been rounded.
    const check = (got: Outputs, most: number): void => {
      const error = apart(got['raw']!, want['raw']!)
      console.log(`${sample.file} ${style}: logits are off by ${error.toExponential(1)}, ${(error / U).toFixed(2)} roundings`)
      expect(error).toBeLessThanOrEqual(most)
      expect(error).toBeGreaterThan(U / 4)
    }

    // To the nearest: each rounding is off by U at most, one this way, one that way, so their squares add up.
    test('with halves kept in float32 it infers what float64 does, to the rounding of values between layers', async () => {
      check(await infer(emulateHalves(bundle), { device: gpu }), Math.sqrt(rounded) * U)
    }, 120_000)

    // WGSL lets a device take either neighbour, always the smaller one if it likes.
    test.runIf(hardware)('on this hardware too', async () => {
      check(await infer(bundle, { device: hardware, storage: 'f16' }), rounded * 2 * U)
    }, 120_000)

    test('kernels, bindings and sizes are what WebGPU takes', async () => {
      for (const batch of [1, 3]) {
        const net = await open(bundle, { device: checker, batch, storage: 'f16' })
        expect(net.storage).toBe('f16')
        net.close()
      }
    })

    test('infer moves little more than half the bytes', () => {
      const [whole, half] = (['webgpu', 'webgpu-f16'] as const).map((target) =>
        inspect(text, { style, target, batch: 64 }).programs['infer']!
      )
      expect(half!.kernels.map((k) => k.name)).toEqual(whole!.kernels.map((k) => k.name))
      const bytes = ({ bytesRead, bytesWritten }: { bytesRead: number; bytesWritten: number }): number => bytesRead + bytesWritten
      expect(bytes(half!) / bytes(whole!)).toBeLessThan(0.55)
    })
  })
})

describe('small nets', () => {
  const small = `net small {
    input image: f32[3, 7, 7]
    input label: class[5]
    x = image -> conv(5, 3) -> batch_norm -> relu
    y = x -> conv(5, 1) -> relu
    logits = concat(x, y) -> flatten -> fc(5)
    output prob = softmax(logits)
    loss = softmax_loss(logits, label)
  }
  train { solver sgd(lr: 0.1) }`

  test('eval gives losses and metrics in float32', async () => {
    const bundle = compile(small, { targets: ['webgpu', 'webgpu-f16'] })
    const inputs = { image: normals(BATCH * 147, 3), label: labels(BATCH, 5, 4) }
    const run = async (b: Bundle): Promise<number> => {
      const net = await open(b, { device: gpu, batch: BATCH, seed: 2 })
      try {
        return (await (await LocalNet.executorOf(net).execute('eval', inputs)).values).get('loss')![0]!
      } finally {
        net.close()
      }
    }
    const [want, got] = [await run(bundle), await run(emulateHalves(bundle))]
    // Seven values in a row are rounded on the way to the loss.
    expect(Math.abs(got - want)).toBeLessThanOrEqual(7 * U * Math.abs(want))
    expect(got).not.toBe(want)
  })

  // A dozen roundings at most, in nets that are too small and too many to count them in each.
  test.each([1, 3, 8])('random net %i infers what float64 does', async (seed) => {
    const text = randomNet(seed)
    const want = await infer(compile(text, { targets: [] }), { device: interpreter() })
    const got = await infer(emulateHalves(compile(text, { targets: ['webgpu-f16'] })), { device: gpu })
    for (const [name, values] of Object.entries(want)) {
      expect(apart(got[name]!, values)).toBeLessThanOrEqual(12 * U)
      expect(apart(got[name]!, values)).toBeGreaterThan(U / 100)
    }
  })

  test('random nets are taken by WebGPU, at any batch', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const bundle = compile(randomNet(seed), { style: seed % 2 ? 'merged' : 'split', targets: ['webgpu-f16'] })
      const net = await open(bundle, { device: checker, batch: 3, storage: 'f16' })
      net.close()
    }
  }, 120_000)

  test('so are the samples', async () => {
    for (const file of readdirSync(samples).filter((name) => name.endsWith('.net'))) {
      const bundle = compile(readFileSync(join(samples, file), 'utf8'), { targets: ['webgpu-f16'] })
      const net = await open(bundle, { device: checker, batch: 1, storage: 'f16' })
      net.close()
    }
  }, 120_000)
})

describe('a bundle with both plans', () => {
  const text =
    'net a { input x: f32[3, 5, 5] input label: class[4] y = x -> conv(4, 3) -> relu -> fc(4) output z = softmax(y) loss = softmax_loss(y, label) } train { solver sgd(lr: 0.1) }'
  const both = compile(text, { storage: 'f16' })
  const without = compile(text)

  test('holds three plans, and is sound', () => {
    expect(Object.keys(both.manifest.plans)).toEqual(['webgpu', 'wasm', 'webgpu-f16'])
    expect(Object.keys(without.manifest.plans)).toEqual(['webgpu', 'wasm'])
    expect(problemsOf(both.manifest, both.files)).toEqual([])
  })

  test('runs where there is no shader-f16, as before', async () => {
    expect(gpu.half).toBe(false)
    const net = await open(both, { device: gpu })
    expect(net.storage).toBe('f32')
    net.close()
  })

  test.each([
    ['this adapter has no shader-f16', both, () => gpu],
    ['f16 storage is for WebGPU, this net would run on wasm', both, () => wasm({ threads: 1 })],
    ['f16 storage is for WebGPU, this net would run on interpreter', both, () => interpreter()],
    ['this bundle holds no plan with f16 storage: compile it with', without, () => checker],
  ])('refuses f16: %s', async (message, bundle, device) => {
    await expect(open(bundle, { device: await device(), storage: 'f16' })).rejects.toThrow(message)
  })

  test.each(
    [
      ['inference on an adapter with shader-f16', 'f16', both, () => checker, ['infer']],
      ['an adapter without', 'f32', both, () => gpu, ['infer']],
      ['another device', 'f32', both, () => interpreter(), ['infer']],
      ['a bundle without', 'f32', without, () => checker, ['infer']],
      ['training', 'f32', both, () => checker, ['infer', 'train']],
      ['programs that are not named', 'f32', both, () => checker, undefined],
    ] as const,
  )('auto for %s: %s', async (_, storage, bundle, device, programs) => {
    const net = await open(bundle, { device: device(), storage: 'auto', ...(programs && { programs }) })
    expect(net.storage).toBe(storage)
    net.close()
  })

  test('opened with f16 it does not train', async () => {
    const net = await open(both, { device: checker, storage: 'f16' })
    await expect(net.step({ x: new Float32Array(75), label: [0] })).rejects.toThrow(
      'no program step: with f16 storage it infers and evaluates',
    )
    net.close()
  })

  test.each([
    ['a parameter', (t: { name: string }) => t.name === 'fc_1.bias', /f16 in buffer parameters/],
    ['a result', (t: { name: string }) => t.name === 'softmax_1', /softmax_1 is f16, which no host reads/],
  ])('is refused with %s as f16', (_, which, problem) => {
    const plan = both.manifest.plans['webgpu-f16']!
    const plans = { 'webgpu-f16': { ...plan, tensors: plan.tensors.map((t) => (which(t) ? { ...t, type: 'f16' } : t)) } }
    expect(problemsOf({ ...both.manifest, plans }).map(({ message }) => message).join('\n')).toMatch(problem)
  })
})
