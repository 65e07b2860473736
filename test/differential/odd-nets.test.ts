import { expect, test } from 'vitest'
import { interpreter } from '../../compiler/index.ts'
import { type Device, open, wasm } from '../../runtime/index.ts'
import { compiled } from '../support/compiled.ts'
import { normalInputs } from '../support/normal-inputs.ts'
import { oddNet } from '../support/odd-net.ts'
import { targetsOf } from '../support/targets.ts'

/** Odd maps, channels, strides, padding and groups: results and gradients in both styles against the float64 interpreter. A failing test names the seed. */

const PROGRAMS = ['gradients', 'infer']
type Numbers = Readonly<Record<string, ArrayLike<number>>>

async function results(text: string, style: 'merged' | 'split', device: Device, batch: number): Promise<Numbers> {
  const bundle = compiled(text, { style, targets: targetsOf(device), programs: PROGRAMS })
  const net = await open(bundle, { device, batch, seed: 3, programs: PROGRAMS })
  const inputs = normalInputs(bundle, batch)
  const { grads } = await net.step(inputs, { update: false })
  const { out } = await net.run({ x: inputs['x']! })
  net.close()
  return { ...grads, out: out! }
}

/** Differences in units of each tensor's scale, or of 1 where it is smaller: what cancels in a normalization has no scale of its own. */
const wrong = (got: Numbers, want: Numbers): string[] =>
  Object.entries(want).flatMap(([name, values]) => {
    const numbers = Array.from(values)
    const apart = numbers.map((v, i) => Math.abs(v - got[name]![i]!)).reduce((a, b) => (a >= b ? a : b), 0)
    const scale = numbers.reduce((a, b) => Math.max(a, Math.abs(b)), 1)
    return apart / scale <= 1e-4 ? [] : [`${name} is off by ${(apart / scale).toExponential(1)} of its scale`]
  })

// The last: gradients of stride 2 whose phases have other axes than each other, and channels of one row that are packed as rows.
const SEEDS = [...Array.from({ length: 24 }, (_, i) => i + 1), 1000, 1021, 1050]

test.each(SEEDS)('seed %i', async (seed) => {
  const text = oddNet(seed, 2e5)
  const batch = [2, 3, 5][seed % 3]!
  const [exact, cpu] = [interpreter(), await wasm({ threads: 1 + seed % 2 })]
  const want = await results(text, 'split', exact, batch)
  for (const style of ['merged', 'split'] as const)
    expect(wrong(await results(text, style, cpu, batch), want), `${style}\n${text}`).toEqual([])
  for (const device of [exact, cpu]) device.close()
})
