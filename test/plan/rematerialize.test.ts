import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { compile, type CompileOptions, inspect, type InspectOptions, type InspectReport } from '../../compiler/index.ts'
import type { Memory, Style } from '../../runtime/index.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { elementCount } from '../../bundle/sizes.ts'
import { graphOf } from '../graph-passes/nets.ts'
import { BATCH, EVERYTHING } from '../support/everything-net.ts'

const sample = (name: string): string => readFileSync(new URL(`../../samples/${name}.net`, import.meta.url), 'utf8')

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

// Its map is read late, and statistics of each sample are of the batch's size: they might be let go, but not what a kernel gathered for them.
test.each(['webgpu', 'wasm'])('what a kernel gathers as it stores is kept: %s', (target) => {
  const text = `net gathered {
    input image: f32[6, 8, 7]
    input label: class[3]
    normalized = image -> batch_norm
    z = add(normalized -> reshape([1, 48, 7]) -> fc(5), image -> deconv(3, 3) -> fc(5)) -> fc(3) as head
    loss = softmax_loss(z, label)
    loss l2 = sum(normalized -> group_norm(2) -> tanh -> pow(2), weight: 0.05)
  }
  train {
    solver sgd(lr: 0.01)
    batch 2
  }`
  let computed = ''
  const watch = (_program: string, step: string, show: () => string): void => {
    // Kernels that read what nothing has written, or store nothing, are a fault that showing them tells.
    if (step === 'recompute') computed += show()
  }
  compile(text, { targets: [target], memory: 'small', programs: ['gradients'], freeze: ['*', '!head'], watch })
  expect(computed).toContain('.again')
  expect(computed).not.toContain('moments.partials.again')
})
