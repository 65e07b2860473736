import { compile } from '../../compiler/index.ts'
import type { Bundle, Device, TensorData } from '../../runtime/index.ts'
import type { LocalNet } from '../../runtime/net.ts'
import { openLocal as open } from '../../runtime/open.ts'
import type { GoldenCase, GoldenTensor } from './golden-file.ts'
import type { Spelling } from './respell.ts'

export interface Run {
  readonly device: Device
  /** Plans that nets are compiled to. */
  readonly targets: readonly string[]
  /** The one of them that is run. Absent: the device chooses. */
  readonly plan?: string | undefined
  /** Float64 devices are held to 1e-9 of scale, float32 ones to the case's own tolerance. */
  readonly float64: boolean
  readonly style: 'merged' | 'split'
  readonly spelling: Spelling
  readonly everyBlob: boolean
}

/** One comparison: what was expected, what came, and by how much it may differ. */
export interface Comparison {
  readonly tensor: string
  readonly error: number
  readonly allowed: number
}

type Numbers = ArrayLike<number>

export function compareTensor(golden: GoldenCase, name: string, got: Numbers | undefined, want: Numbers, float64: boolean): Comparison {
  const tolerance = golden.tolerance[name]
  if (!tolerance) throw new Error(`${golden.name}: how far may ${name} be off? The case says nothing of it`)
  // Written so that a NaN, or a tensor that is missing, fails.
  let error = got && got.length === want.length ? 0 : Infinity
  for (let i = 0; got && i < want.length && error < Infinity; i++) {
    const difference = Math.abs(got[i]! - want[i]!)
    error = difference >= 0 ? Math.max(error, difference) : Infinity
  }
  const allowed = float64 ? 1e-9 * Math.max(1, tolerance.scale) : (tolerance.atol_careful ?? tolerance.atol)
  return { tensor: name, error, allowed }
}

export const asParameter = (t: GoldenTensor, shape: readonly number[] = t.shape): TensorData => ({
  shape,
  type: t.dtype === 'I32' ? 'i32' : 'f32',
  data: t.data as Float32Array,
})

/** What was compiled last: another device, or another plan, may be next. */
let last: { readonly key: string; readonly bundle: Bundle } | undefined

/** Compiles what is run. */
export function openText(
  text: string,
  { style, device, targets, plan }: Run,
  batch: number,
  programs: readonly string[],
): Promise<LocalNet> {
  const key = JSON.stringify([text, style, targets, programs])
  if (last?.key !== key) last = { key, bundle: compile(text, { style, targets, programs, allowOneValue: true }) }
  const { manifest, files } = last.bundle
  const plans = plan === undefined ? manifest.plans : { [plan]: manifest.plans[plan]! }
  return open({ manifest: { ...manifest, plans }, files }, { device, batch, programs, allowOneValue: true })
}

/** Gives a net the parameters of a case, in every copy that it has of them. */
export async function setFrom(net: LocalNet, names: ReadonlyMap<string, readonly string[]>, golden: GoldenCase): Promise<void> {
  const values = new Map<string, TensorData>()
  for (const [theirs, copies] of names) {
    const t = golden.tensors.get(`param.${theirs}`)
    if (!t) continue
    for (const ours of copies) values.set(ours, asParameter(t, net.manifest.parameters.find((p) => p.name === ours)?.shape))
  }
  await net.setParameters(values, { strict: false })
}

/** What a net's gradients say of a parameter: the sum over its copies. What gets no gradient at all has gradient zero. */
export function gradientOf(grads: Readonly<Record<string, Numbers>>, copies: readonly string[], size: number): Float64Array {
  const sum = new Float64Array(size)
  for (const name of copies) {
    const part = grads[name]
    if (part && part.length !== size) return new Float64Array(size).fill(NaN)
    for (let i = 0; part && i < size; i++) sum[i]! += part[i]!
  }
  return sum
}
