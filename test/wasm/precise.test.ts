import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { compileFor } from '../../compiler/compile.ts'
import { kernelKey } from '../../compiler/ir/kernel-key.ts'
import { wasm as wasmTarget } from '../../compiler/targets/wasm/target.ts'
import { transformsOf } from '../../compiler/codegen/cpu/winograd/transforms.ts'
import { type Bundle, type Device, type Outputs, open, wasm } from '../../runtime/index.ts'

/** What Winograd's algorithm does to an outlier, by how much at most, and how to do without it. */
const [C, S] = [16, 24]
const text = `net w { input x: f32[${C}, ${S}, ${S}] y = x -> conv(16, 3, pad: 1) as c output out = y loss = sum(y) }`
const usual = compile(text, { targets: ['wasm'], programs: ['infer', 'eval', 'gradients'] })
const precise = compile(text, { targets: ['wasm'], programs: ['infer', 'eval', 'gradients'], precise: true })

let cpu: Device
beforeAll(async () => {
  cpu = await wasm({ threads: 1 })
})
afterAll(() => cpu.close())

const quiet = Float32Array.from({ length: C * S * S }, (_, i) => Math.sin(i * 1.3))
/** In the middle of channel 3. */
const [ROW, COLUMN] = [9, 14]
const withOutlier = (value: number): Float32Array => quiet.map((v, i) => (i === 3 * S * S + ROW * S + COLUMN ? value : v))
const infer = async (bundle: Bundle, x: Float32Array, device = cpu): Promise<ArrayLike<number>> => {
  const net = await open(bundle, { device, batch: 1, seed: 5, programs: ['infer'] })
  try {
    return (await net.run({ x }))['out']!
  } finally {
    net.close()
  }
}
/** Outputs whose window does not see the outlier. */
const apart = Array.from({ length: 16 * S * S }, (_, i) => i).filter((i) => {
  const [row, column] = [Math.floor(i / S) % S, i % S]
  return Math.abs(row - ROW) > 1 || Math.abs(column - COLUMN) > 1
})
const hows = (bundle: Bundle): string[] =>
  Object.values(bundle.manifest.plans['wasm']!.programs).flatMap(({ dispatches }) => dispatches.map(({ facts }) => facts!.how ?? ''))

test('an outlier reaches its own outputs alone', async () => {
  const before = await infer(precise, quiet)
  for (const value of [1e6, Infinity, NaN]) {
    const after = await infer(precise, withOutlier(value))
    expect(apart.filter((i) => after[i] !== before[i])).toEqual([])
    expect(Number.isFinite(after[ROW * S + COLUMN])).toBe(value === 1e6)
  }
})

test('the usual kernels stay within the bound that is told, which an outlier makes large', async () => {
  const weights = await (async () => {
    const net = await open(usual, { device: cpu, batch: 1, seed: 5 })
    try {
      return (await net.parameters()).get('c.weight')!.data as Float32Array
    } finally {
      net.close()
    }
  })()
  // docs/numbers.md: 287 (20 + channels) 2^-24 of the largest input times the sum of the weights, for tiles of 4 x 4.
  const sums = Array.from({ length: 16 }, (_, o) => weights.subarray(o * C * 9, (o + 1) * C * 9).reduce((s, w) => s + Math.abs(w), 0))
  for (const value of [1, 1e4, 1e8]) {
    const [got, want] = [await infer(usual, withOutlier(value)), await infer(usual, withOutlier(value), interpreter())]
    const worst = Math.max(...Array.from(want, (w, i) => Math.abs(got[i]! - w) / sums[Math.floor(i / S ** 2)]!))
    expect(worst).toBeLessThan(287 * (20 + C) * 2 ** -24 * value)
    // And the bound has a reason: outputs that do not see the outlier move.
    if (value === 1e8) expect(Math.max(...apart.map((i) => Math.abs(got[i]! - want[i]!)))).toBeGreaterThan(0.1)
  }
})

test('weight gradients too', async () => {
  const gradients = async (bundle: Bundle, device: Device): Promise<Outputs> => {
    const net = await open(bundle, { device, batch: 1, seed: 5, programs: ['gradients'] })
    try {
      return (await net.step({ x: withOutlier(1e6) }, { update: false })).grads
    } finally {
      net.close()
    }
  }
  const want = (await gradients(precise, interpreter()))['c.weight']!
  const got = (await gradients(precise, cpu))['c.weight']!
  // A weight of another channel than the outlier's sums 24 x 24 sines.
  for (const [i, w] of want.entries()) if (Math.floor(i / 9) % C !== 3) expect(Math.abs(got[i]! - w)).toBeLessThan(1e-3)
})

describe('which kernels there are', () => {
  test('with and without', () => {
    expect(hows(usual).some((how) => /Winograd/.test(how))).toBe(true)
    expect(hows(precise).filter((how) => /Winograd/.test(how))).toEqual([])
    expect(precise.manifest.precise).toBe(true)
  })
  test('what was tuned does not bring it back', () => {
    const programs = ['infer', 'eval', 'gradients']
    const { pipelines } = compileFor(text, [wasmTarget], { programs })
    const equations = pipelines[0]!.programs.flatMap((p) => p.steps.map((step) => step.fused.equation))
    const winograd = equations.map((e) => [kernelKey(e), wasmTarget.candidates!(e, 1)[0]!] as const).filter(([, s]) =>
      /winograd/.test(JSON.stringify(s))
    )
    expect(winograd.length).toBeGreaterThan(1)
    const tuned = compile(text, { targets: ['wasm'], programs, precise: true, schedules: { wasm: Object.fromEntries(winograd) } })
    expect(hows(tuned)).toEqual(hows(precise))
  })
})

test('the factors that docs/numbers.md names: what transformations can make of inputs of size 1, at most', () => {
  const factor = (m: number, r: number): number => {
    const { input, weight, output } = transformsOf(m, r)
    const [n, outputs, taps] = [m + r - 1, [...Array(m).keys()], [...Array(r).keys()]]
    const rows = input.map((row) => row.reduce((s, v) => s + Math.abs(v), 0))
    // Both directions are one another's twins, so the largest is the square of the largest of one.
    return Math.max(
      ...outputs.flatMap((i) =>
        taps.map((k) => [...Array(n).keys()].reduce((s, a) => s + Math.abs(output[i]![a]! * weight[a]![k]!) * rows[a]!, 0))
      ),
    ) ** 2
  }
  expect([[4, 3], [2, 3], [4, 5], [2, 5]].map(([m, r]) => Math.round(factor(m!, r!)))).toEqual([287, 16, 1565, 287])
})
