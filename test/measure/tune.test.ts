import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, interpreter, type ScheduleUse } from '../../compiler/index.ts'
import type { Target } from '../../compiler/targets/target.ts'
import { adapterOf, knownOf, NO_SCHEDULES, parseCache, printCache, schedulesOf, withChecked,
  withTuned } from '../../measure/schedule-cache.ts'
import { type Tunable, tunables, tuneKernel } from '../../measure/tune.ts'
import type { Device } from '../../bundle/device.ts'
import { wasm } from '../../runtime/wasm/device.ts'
import { webgpu } from '../../runtime/webgpu/device.ts'
import { softwareGpu } from '../devices/webgpu.ts'

const net = (name: string) => ({
  file: `${name}.net`,
  text: `net ${name} {
  input x: f32[2, 9, 9]
  input label: class[3]
  logits = x -> conv(8, 3, bias: false) as ${name}_conv -> batch_norm -> relu -> max_pool(2) -> fc(3) as ${name}_fc
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { batch 2  solver sgd(lr: 0.1, momentum: 0.9)  steps 10 }
`,
})
const source = net('a')
let device: Device
let cpu: Device
beforeAll(async () => {
  device = await webgpu({ gpu: await softwareGpu() })
  cpu = await wasm({ threads: 2 })
})
afterAll(() => {
  device.close()
  cpu.close()
})
const optionsFor = (...programs: string[]) => ({ device, batch: 2, programs })

describe('kernels that can be tuned', () => {
  test('are known by what they compute, whatever their layers are called', () => {
    const [one, other] = ['a', 'b'].map((name) => tunables(net(name), optionsFor('infer', 'train'), {}).kernels)
    expect(one!.length).toBeGreaterThan(2)
    expect(one!.map((k) => k.key)).toEqual(other!.map((k) => k.key))
    expect(one!.map((k) => k.name)).not.toEqual(other!.map((k) => k.name))
    expect(new Set(one!.map((k) => k.key)).size).toBe(one!.length)
  })

  test('stand for as many dispatches as share them', () => {
    const twice = {
      file: 't.net',
      text: 'net t {\n  input x: f32[4, 8, 8]\n  output y = x -> conv(4, 3, pad: 1) -> relu -> conv(4, 3, pad: 1) -> relu\n}',
    }
    expect(tunables(twice, optionsFor('infer'), {}).kernels.map((k) => k.dispatches)).toEqual([2])
  })

  test('a device with one way to compute is refused', async () => {
    expect(() => tunables(source, { device: interpreter(), batch: 2, programs: ['infer'] }, {})).toThrow(/nothing to tune on interpreter/)
  })
})

test.each(['webgpu', 'wasm'])('every kernel computes the same in every way that its target knows: %s', async (name) => {
  const options = { ...optionsFor('infer', 'train'), device: name === 'wasm' ? cpu : device }
  const { kernels, context } = tunables(source, options, {})
  expect(kernels.some(({ equation }) => equation.sides.length > 0)).toBe(true)
  for (const kernel of kernels) {
    const tuned = (await tuneKernel(kernel, context, options))!
    expect(tuned.notes, kernel.name).toEqual([])
    expect(tuned.measured).toBe(kernel.candidates.length)
    expect(kernel.candidates).toContainEqual(tuned.schedule)
    expect(tuned.ms).toBeLessThanOrEqual(tuned.defaultMs)
  }
}, 240_000)

/** The largest kernel of inference, and where it is computed by a target that was tampered with: one way of its candidates only. */
function tampered(which: number, change: (code: string) => string) {
  const { kernels, context } = tunables(source, optionsFor('infer'), {})
  const kernel = kernels[0]!
  const wanted = JSON.stringify(kernel.candidates[which])
  const target: Target = {
    ...context.target,
    printer(batch, schedules) {
      const { print } = context.target.printer(batch, schedules)
      return JSON.stringify(schedules?.[kernel.key]) === wanted ? {
        print: (e) => {
          const kernel = print(e)
          return { ...kernel, text: change(kernel.text) }
        },
      } : { print }
    },
  }
  return { kernel, context: { ...context, target }, wanted }
}

describe('a candidate is passed over, with a note,', () => {
  test('that computes something else, however fast', async () => {
    // The first element that is stored is not what it should be.
    const { kernel, context, wanted } = tampered(1, (code) => code.replace(/(\w+\[[^\]]+\] = )([^;]+);/, '$11.5 * ($2);'))
    const tuned = (await tuneKernel(kernel, context, optionsFor('infer')))!
    expect(tuned.notes).toHaveLength(1)
    expect(tuned.notes[0]).toContain(wanted)
    expect(tuned.notes[0]).toMatch(/store 0 differs by \d\.\de-\d/)
    expect(JSON.stringify(tuned.schedule)).not.toBe(wanted)
  })

  test('that the device refuses', async () => {
    const { kernel, context } = tampered(2, (code) => code.replace('fn main', 'fn man'))
    const tuned = (await tuneKernel(kernel, context, optionsFor('infer')))!
    expect(tuned.notes).toHaveLength(1)
    expect(tuned.measured).toBe(kernel.candidates.length - 1)
  })
})

test('stopped, nothing is said about the kernel under way', async () => {
  const { kernels, context } = tunables(source, optionsFor('infer'), {})
  let seen = 0
  expect(
    await tuneKernel(kernels[0]!, context, {
      ...optionsFor('infer'),
      stopped: () => seen >= 1,
      onCandidate: () => {
        seen++
      },
    }),
  ).toBeUndefined()
  expect(seen).toBe(1)
})

describe('schedules as data', () => {
  const other = (kernel: Tunable) => kernel.candidates.at(-1)!
  const texts = (schedules?: Record<string, object>, onSchedules?: (use: ScheduleUse) => void): string[] => {
    const { files } = compile(source, {
      targets: ['webgpu-software'],
      programs: ['infer'],
      ...(schedules && { schedules: { 'webgpu-software': schedules } }),
      onSchedules,
    })
    return [...files.values()].map(String)
  }

  test('change the kernels that they are for, and no others', () => {
    const [kernel] = tunables(source, optionsFor('infer'), {}).kernels
    const [before, after] = [texts(), texts({ [kernel!.key]: other(kernel!) })]
    expect(after.filter((text) => !before.includes(text))).toHaveLength(1)
    // The compiler's own choice.
    expect(texts({ [kernel!.key]: kernel!.candidates[0]! })).toEqual(before)
  })

  test('that are of another version, or of nobody, are passed over', () => {
    const [kernel] = tunables(source, optionsFor('infer'), {}).kernels
    const told: unknown[] = []
    const schedules = { [kernel!.key]: { tile: { '0:n': 99999 } }, abc: { tile: {} } }
    expect(texts(schedules, (use) => told.push(use))).toEqual(texts())
    const why = 'it is none that this version tries'
    expect(told).toEqual([{ target: 'webgpu-software', compiled: true, used: [], refused: [{ kernel: kernel!.name, why }], others: 1 }])
    expect(texts({ [kernel!.key]: {} })).toEqual(texts())
  })
})

describe('the cache', () => {
  const here = { vendor: 'v', architecture: 'a' }
  const kernel = (key: string, ways: number): Tunable => ({
    key,
    name: `kernel ${key}`,
    dispatches: 1,
    programs: ['infer'],
    work: 1,
    equation: undefined as never,
    candidates: Array.from({ length: ways }, (_, i) => ({ tile: { '0:n': i } })),
  })
  const found = { key: 'x', name: 'kernel x', schedule: { tile: { '0:n': 1 } }, ms: 1, defaultMs: 2, measured: 3, notes: [] }

  test('keeps schedules by adapter and kernel, through its text', () => {
    let cache = withTuned(NO_SCHEDULES, 'webgpu', here, kernel('x', 3), found, 4)
    cache = withTuned(cache, 'webgpu', { ...here, vendor: 'w' }, kernel('x', 3), { ...found, schedule: { tile: { '0:n': 2 } } }, 4)
    cache = parseCache(printCache(withTuned(cache, 'webgpu', here, kernel('y', 3), found, 4)), 'f')
    expect(cache.adapters).toHaveLength(2)
    expect(schedulesOf(adapterOf(cache, 'webgpu', here)!, { unchecked: true })).toEqual({
      x: { tile: { '0:n': 1 } },
      y: { tile: { '0:n': 1 } },
    })
    expect(adapterOf(cache, 'webgpu', { ...here, architecture: 'b' })).toBeUndefined()
  })

  test("keeps the compiler's own choice as measured, and compiles by none: another version may choose better", () => {
    const own = withTuned(NO_SCHEDULES, 'webgpu', here, kernel('x', 3), { ...found, ms: 2 }, 4)
    expect(knownOf(own, 'webgpu', here, kernel('x', 3), 4)?.ms).toBe(2)
    expect(schedulesOf(adapterOf(own, 'webgpu', here)!, { unchecked: true })).toEqual({})
    // The same where the whole was no faster by it.
    const both = ['x', 'y'].reduce((cache, key) => withTuned(cache, 'webgpu', here, kernel(key, 3), found, 4), NO_SCHEDULES)
    const without = withChecked(both, 'webgpu', here, ['x', 'y'], ['x'])
    expect(Object.keys(schedulesOf(adapterOf(without, 'webgpu', here)!))).toEqual(['y'])
    expect(knownOf(without, 'webgpu', here, kernel('x', 3), 4)).toBeDefined()
    expect(withChecked(both, 'wasm', here, ['x'], [])).toEqual(both)
  })

  test('keeps what no run has checked with whole programs as measured, and compiles by none of it', () => {
    const both = ['x', 'y'].reduce((cache, key) => withTuned(cache, 'webgpu', here, kernel(key, 3), found, 4), NO_SCHEDULES)
    expect(schedulesOf(adapterOf(both, 'webgpu', here)!)).toEqual({})
    expect(knownOf(both, 'webgpu', here, kernel('x', 3), 4)?.ms).toBe(1)
    const one = parseCache(printCache(withChecked(both, 'webgpu', here, ['y'], [])), 'f')
    expect(Object.keys(schedulesOf(adapterOf(one, 'webgpu', here)!))).toEqual(['y'])
    expect(Object.keys(schedulesOf(adapterOf(one, 'webgpu', here)!, { unchecked: true }))).toEqual(['x', 'y'])
    // Measured anew, at another batch, it is to be checked anew.
    const anew = withTuned(one, 'webgpu', here, kernel('y', 3), found, 8)
    expect(schedulesOf(adapterOf(anew, 'webgpu', here)!)).toEqual({})
  })

  test('what was measured is known until the batch or the candidates are others', () => {
    const cache = withTuned(NO_SCHEDULES, 'webgpu', here, kernel('x', 3), found, 4)
    expect(knownOf(cache, 'webgpu', here, kernel('x', 3), 4)?.ms).toBe(1)
    expect(knownOf(cache, 'webgpu', here, kernel('x', 3), 8)).toBeUndefined()
    expect(knownOf(cache, 'webgpu', here, kernel('x', 4), 4)).toBeUndefined()
    expect(knownOf(cache, 'webgpu', here, kernel('y', 3), 4)).toBeUndefined()
    expect(knownOf(cache, 'wasm', here, kernel('x', 3), 4)).toBeUndefined()
  })

  test.each([
    ['{', /f is not JSON/],
    ['[]', /f holds no schedules/],
    ['{"format":"x"}', /f holds no schedules/],
    ['{"format":"fusenet-schedules","version":2,"adapters":[]}', /version 2.*reads version 1/],
    ['{"format":"fusenet-schedules","version":1,"adapters":[{}]}', /f is damaged/],
    [
      '{"format":"fusenet-schedules","version":1,"adapters":[{"target":"webgpu","adapter":{},"kernels":{"x":{"schedule":3}}}]}',
      /f is damaged/,
    ],
  ])('%s', (text, message) => {
    expect(() => parseCache(text, 'f')).toThrow(message)
  })
})
