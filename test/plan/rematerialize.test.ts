import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, type CompileOptions, inspect, type InspectOptions, type InspectReport, interpreter } from '../../compiler/index.ts'
import { type Device, type Memory, open, type Style, wasm, webgpu } from '../../runtime/index.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { elementCount } from '../../bundle/sizes.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { graphOf } from '../graph-passes/nets.ts'
import { labels, normals, randomNet } from '../support/random-net.ts'
import { targetsOf } from '../support/targets.ts'

const BATCH = 6
const STEPS = 2

/**
 * Dropout, every policy of statistics, a weight that two layers share, residual adds, two losses, a concatenation, what is read under
 * another shape; and enough layers of one size that it pays to compute some of them again.
 */
const EVERYTHING = `block unit(x) {
  return add(x -> conv(8, 3, pad: 1, bias: false) -> batch_norm(eps: 1e-5) -> relu -> dropout(0.3) -> conv(8, 3, pad: 1) -> batch_norm(stats: cumulative, eps: 1e-5), x) -> leaky_relu(slope: 0.2)
}
net everything {
  input image: f32[3, 12, 12]
  input label: class[4]
  a = image -> conv(8, 3, pad: 1) as first -> batch_norm(eps: 1e-5) as moving -> relu
  b = a -> conv(8, 3, pad: 1) as one -> batch_norm(stats: cumulative, eps: 1e-5) as cumulative -> tanh -> dropout(0.3) as drop
  c = add(b -> conv(8, 3, pad: 1, weights: one) as two -> batch_norm(stats: caffe(fraction: 0.9), eps: 1e-5) as caffe, a) -> relu
  d = c -> unit as unit1 -> unit as unit2 -> unit as unit3 -> unit as unit4
  e = concat(d -> max_pool(2) as pool, d -> avg_pool(2)) -> batch_norm(stats: batch, eps: 1e-5) as own -> sigmoid
  f = e -> conv(16, 3, pad: 1) -> batch_norm(eps: 1e-5) -> silu -> dropout(0.5)
  early = d -> reshape([-1]) -> fc(4)
  logits = f -> fc(12) -> batch_norm(eps: 1e-5) -> relu -> fc(4)
  output prob = softmax(logits)
  loss aside = softmax_loss(early, label)
  loss final = softmax_loss(logits, label)
}
train {
  batch ${BATCH}
  solver sgd(lr: 0.05, momentum: 0.9, weight_decay: 5e-4)
}`

const sample = (name: string): string => readFileSync(new URL(`../../samples/${name}.net`, import.meta.url), 'utf8')
const withBatch = (text: string): string => text.replace('train {', `train {\n  batch ${BATCH}\n`)

/** What a step gives without an update, and what two steps leave. */
async function trace(text: string, style: Style, memory: Memory, device: Device): Promise<Map<string, ArrayLike<number>>> {
  const bundle = compile(text, { style, memory, targets: targetsOf(device), programs: ['infer', 'eval', 'gradients', 'train'] })
  const net = await open(bundle, { device, batch: BATCH, seed: 7, programs: ['gradients', 'train'] })
  try {
    const [image, label] = bundle.manifest.inputs
    const size = image!.shape.slice(1).reduce<number>((product, dim) => product * (dim as number), 1)
    const inputs = (k: number) => ({ image: normals(BATCH * size, 100 + k), label: labels(BATCH, label!.classes!, 200 + k) })
    const { outputs, grads } = await net.step(inputs(0), { update: false })
    const losses: number[] = []
    for (let k = 0; k < STEPS; k++) losses.push(await (await net.trainStep(inputs(k))).loss)
    return new Map<string, ArrayLike<number>>([
      ...Object.entries(outputs),
      ...Object.entries(grads).map(([name, values]) => [`grad/${name}`, values] as const),
      ['losses', losses],
      ...[...await net.parameters()].map(([name, { data }]) => [`new/${name}`, data as Float32Array] as const),
    ])
  } finally {
    net.close()
  }
}

/** Largest difference in units of the tensor's scale, by name; what differs by no more than `allowed` is left out. */
function apart(got: ReadonlyMap<string, ArrayLike<number>>, want: ReadonlyMap<string, ArrayLike<number>>, allowed: number): string[] {
  return [...want].flatMap(([name, values]) => {
    const other = got.get(name)!
    const scale = Math.max(1e-3, ...Array.from(values, Math.abs))
    const distance = Math.max(0, ...Array.from(values, (v, i) => Math.abs(other[i]! - v) / scale))
    return distance <= allowed ? [] : [`${name} is off by ${distance.toExponential(1)} of its scale`]
  })
}

const TRAINING = ['gradients', 'step', 'train']
const reports = new Map<string, InspectReport>()

/** What `inspect` says: many questions are about the same net. */
function report(text: string, options: InspectOptions): InspectReport {
  const key = JSON.stringify([text, options])
  const known = reports.get(key) ?? inspect(text, options)
  reports.set(key, known)
  return known
}

const again = (text: string, style: Style, program = 'train'): string[] =>
  report(text, { style, memory: 'small', batch: BATCH, programs: TRAINING }).programs[program]!.kernels.filter((k) => k.again).map((k) =>
    k.name
  )

describe('memory small gives what memory fast gives', () => {
  const exact = interpreter()
  let gpu: Device
  let cpu: Device
  beforeAll(async () => {
    gpu = await webgpu({ gpu: await softwareGpu() })
    cpu = await wasm({ threads: 2 })
  })
  afterAll(() => {
    for (const device of [exact, gpu, cpu]) device.close()
  })

  const nets: [string, string][] = [
    ['everything', EVERYTHING],
    ...[2].map((seed): [string, string] => [`random net ${seed}`, withBatch(randomNet(seed))]),
  ]
  describe.each(['merged', 'split'] as const)('%s', { timeout: 300_000 }, (style) => {
    test.each(nets)('%s: something is computed again, and in float64 all is the same to the last bit', async (_, text) => {
      expect(again(text, style)).not.toEqual([])
      expect(apart(await trace(text, style, 'small', exact), await trace(text, style, 'fast', exact), 0)).toEqual([])
    })

    // What runs again gathers no statistics, so it may be tiled otherwise: rounding of float32, through two steps.
    test.each(nets)('%s in WebAssembly, to rounding', async (_, text) => {
      expect(apart(await trace(text, style, 'small', cpu), await trace(text, style, 'fast', cpu), 1e-4)).toEqual([])
    })

    // Split has the same kernels, more of them: one style is enough for a software adapter.
    test.runIf(style === 'merged').each(nets.slice(0, 1))('%s on WGSL, to rounding', async (_, text) => {
      expect(apart(await trace(text, style, 'small', gpu), await trace(text, style, 'fast', gpu), 1e-4)).toEqual([])
    })
  })
})

describe('what is computed again', () => {
  const training = (memory: Memory) => report(EVERYTHING, { style: 'merged', memory, batch: BATCH, programs: TRAINING }).programs
  const kernelsOf = (memory: Memory, program: string) => training(memory)[program]!.kernels
  const updates = (memory: Memory, program: string): string[] =>
    kernelsOf(memory, program).map((k) => k.name).filter((name) => /\.(update|count|statistics)$|^solver$/.test(name))

  test('kernels of the forward pass, by their names', () => {
    const forward = new Set(kernelsOf('small', 'train').filter((k) => !k.again).map((k) => k.name))
    for (const name of again(EVERYTHING, 'merged')) {
      expect(name).toMatch(/\.again$/)
      expect(forward).toContain(name.replace(/\.again$/, ''))
    }
  })

  test('no statistics, and nothing is updated twice', () => {
    for (const program of TRAINING) {
      expect(updates('small', program)).toEqual(updates('fast', program))
      expect(again(EVERYTHING, 'split', program).filter((name) => /moments|update|count|statistics/.test(name))).toEqual([])
    }
  })

  test('dropout, with the numbers of the first time', () => {
    // Split: the layer is a kernel of its own. That the numbers are the same is what the gradients above say.
    expect(again(EVERYTHING, 'split').some((name) => /drop/.test(name))).toBe(true)
  })

  test('once each', () => {
    for (const style of ['merged', 'split'] as const) expect(new Set(again(EVERYTHING, style)).size).toBe(again(EVERYTHING, style).length)
  })

  test('nothing where there is no backward pass', () => {
    const names = ['infer', 'infer/batch', 'eval', 'eval/batch']
    const { programs } = inspect(EVERYTHING, { memory: 'small', programs: names })
    for (const name of names) expect(programs[name]!.flopsAgain, name).toBe(0)
  })

  test('its arithmetic is told, and is all that is added', () => {
    const [fast, small] = (['fast', 'small'] as const).map((memory) => training(memory)['train']!)
    expect(fast!.flopsAgain).toBe(0)
    expect(small!.flopsAgain).toBe(small!.kernels.filter((k) => k.again).reduce((sum, k) => sum + k.flops, 0))
    expect(small!.flops).toBe(fast!.flops + small!.flopsAgain)
    // What has to be done in any case has not become more.
    expect(small!.lowerBound.flops).toBe(fast!.lowerBound.flops)
  })

  test('a bundle says how it was compiled, and the interpreter follows', () => {
    expect(compile(EVERYTHING, { memory: 'small', targets: [] }).manifest.memory).toBe('small')
    expect(compile(EVERYTHING, { targets: [] }).manifest.memory).toBeUndefined()
  })

  test('without the pass it is what memory fast is', () => {
    const compiled = (options: CompileOptions) => compile(EVERYTHING, { programs: TRAINING, ...options }).manifest.plans
    expect(compiled({ memory: 'small', without: ['recompute'] })).toEqual(compiled({}))
  })
})

describe('the peak of a training step of 32 images', () => {
  const PICTURES = 32
  const step = (text: string, style: Style, memory: Memory, target: string) =>
    report(text, { style, memory, target, batch: PICTURES, programs: ['train'] }).programs['train']!
  /** Bytes beside what lasts: parameters, gradients, histories and inputs are there in any case. */
  const scratch = (text: string, style: Style, memory: Memory, target = 'webgpu'): number => {
    const { peakBytes, lastingBytes } = step(text, style, memory, target)
    return peakBytes - lastingBytes
  }
  /** What the layers of the file give, each by itself. */
  const activations = (text: string): number =>
    graphOf(text).nodes.filter(({ op }) => !operators.get(op)!.traits?.view)
      .flatMap(({ outputs }) => outputs).reduce((sum, { shape }) => sum + 4 * elementCount(shape, PICTURES), 0)

  const nets: [string, string][] = ['resnet18', 'resnet20', 'densenet40'].map((
    name,
  ) => [name, sample(name).replace('f32[3, 224, 224]', 'f32[3, 64, 64]').replace(/batch +\d+/, `batch ${PICTURES}`)])

  test.each(nets.slice(0, 1))('%s: memory small takes at most 0.7 of it, for at most a third more arithmetic', (_, text) => {
    for (const [style, target] of [['merged', 'webgpu'], ['split', 'webgpu'], ['merged', 'wasm']] as const) {
      expect(scratch(text, style, 'small', target), `${style} ${target}`).toBeLessThanOrEqual(0.7 * scratch(text, style, 'fast', target))
      const { flops, flopsAgain } = step(text, style, 'small', target)
      expect(flopsAgain).toBeLessThanOrEqual((flops - flopsAgain) / 3)
    }
  })

  test.each(nets)('%s: merged takes at most 0.6 of what split takes and of all activations', (_, text) => {
    expect(scratch(text, 'merged', 'fast')).toBeLessThanOrEqual(0.6 * scratch(text, 'split', 'fast'))
    expect(scratch(text, 'merged', 'fast')).toBeLessThanOrEqual(0.6 * activations(text))
  })
})
