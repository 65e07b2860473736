import { afterAll, beforeAll, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { erf } from '../../compiler/targets/interpreter/erf.ts'
import { type Device, open, wasm, webgpu } from '../../runtime/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { targetsOf } from '../support/targets.ts'

/*
 * Functions of each element in float32, from far left to far right, where naive formulas lose digits or overflow. Right values are closed forms in
 * float64, gradients of these written so that nothing cancels.
 */

const sigmoid = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)))
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
const [SCALE, ALPHA] = [1.0507009873554805, 1.6732632423543772]
const mish = (x: number): number => {
  const t = Math.tanh(softplus(x))
  const u = softplus(x)
  return t + x * sigmoid(x) * 4 * Math.exp(-2 * u) / (1 + Math.exp(-2 * u)) ** 2
}

interface Case {
  readonly call: string
  readonly f: (x: number) => number
  readonly slope: (x: number) => number
  /** Allowed error, of the value or of this number, whichever is larger. */
  readonly least?: number
  /** A zero of the slope, near which its terms cancel. */
  readonly root?: number
}

const CASES: readonly Case[] = [
  { call: 'softplus', f: softplus, slope: sigmoid },
  { call: 'mish', f: (x) => x * Math.tanh(softplus(x)), slope: mish, root: -1.19 },
  { call: 'selu', f: (x) => SCALE * (x > 0 ? x : ALPHA * Math.expm1(x)), slope: (x) => SCALE * (x > 0 ? 1 : ALPHA * Math.exp(x)) },
  { call: 'celu(0.5)', f: (x) => (x > 0 ? x : 0.5 * Math.expm1(x / 0.5)), slope: (x) => (x > 0 ? 1 : Math.exp(x / 0.5)) },
  { call: 'erf', f: erf, slope: (x) => 2 / Math.sqrt(Math.PI) * Math.exp(-x * x), least: 1e-3 },
  { call: 'softsign', f: (x) => x / (1 + Math.abs(x)), slope: (x) => 1 / (1 + Math.abs(x)) ** 2 },
  { call: 'pow(3)', f: (x) => x ** 3, slope: (x) => 3 * x ** 2 },
  { call: 'pow(-2)', f: (x) => x ** -2, slope: (x) => -2 * x ** -3 },
  { call: 'pow(21)', f: (x) => x ** 21, slope: (x) => 21 * x ** 20 },
]

/** Both signs, from 1e-6 to 80 (below exp's ends, and within float32's powers). */
const X = Float32Array.from({ length: 256 }, (_, i) => (i % 2 ? 1 : -1) * 1e-6 * 8e7 ** (i / 255))

const devices: Record<string, Device> = {}
beforeAll(async () => {
  devices['wasm'] = await wasm({ threads: 1 })
  devices['webgpu'] = await webgpu({ gpu: await softwareGpu() })
})
afterAll(() => {
  for (const device of Object.values(devices)) device.close()
})

test.each(['wasm', 'webgpu'])('values and gradients on %s', async (name) => {
  const device = devices[name]!
  const lines = CASES.flatMap(({ call }, i) => [`input x${i}: f32[${X.length}]`, `y${i} = x${i} -> ${call}`, `output o${i} = y${i}`])
  const sums = CASES.map((_, i) => `sum(y${i})`).join(', ')
  const bundle = compile(`net t {\n  ${lines.join('\n  ')}\n  loss = add(${sums})\n}`, {
    targets: targetsOf(device),
    programs: ['gradients'],
  })
  const net = await open(bundle, { device, batch: 1, programs: ['gradients'] })
  const { outputs, grads } = await net.step(Object.fromEntries(CASES.map((_, i) => [`x${i}`, X])), { update: false })
  net.close()
  const wrong: string[] = []
  CASES.forEach(({ call, f, slope, least = 0, root = Infinity }, i) => {
    const compare = (what: string, got: ArrayLike<number>, want: (x: number) => number): void => {
      X.forEach((x, k) => {
        const right = want(x)
        // Beyond float32's range, and where it has fewer digits, nothing is asked.
        if (Math.abs(right) > 3e38 || Math.abs(right) < 1e-36 || Math.abs(x - root) < 0.1) return
        const error = Math.abs(got[k]! - right) / Math.max(least, Math.abs(right))
        // Powers by exp and log have an error of as many ulps as their exponent says.
        const allowed = call === 'pow(21)' ? 1e-4 : 4e-6
        if (!(error <= allowed)) wrong.push(`${call} ${what} at ${x}: ${got[k]}, not ${right}`)
      })
    }
    compare('value', outputs[`o${i}`]!, f)
    compare('slope', grads[`x${i}`]!, slope)
  })
  expect(wrong.slice(0, 20)).toEqual([])
})
