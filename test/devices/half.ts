import type { Bundle, Plan } from '../../bundle/format.ts'

/**
 * The plan with f16 storage as a plan that runs anywhere: each f16 is kept in a float32 and rounded to f16 as it is stored.
 * The numbers are those of f16 in storage; only the bytes are not.
 */
export function emulateHalves(bundle: Bundle): Bundle {
  const plan = bundle.manifest.plans['webgpu-f16']!
  const files = new Map(
    [...new Set(plan.kernels.map(({ file }) => file!))].map((file) => [file, emulated(bundle.files.get(file) as string)]),
  )
  const widened: Plan = {
    ...plan,
    target: 'webgpu',
    // Of scratch, tensors say how much there is.
    buffers: plan.buffers.map((b) => (b.role === 'prepared' ? { ...b, elements: { ...b.elements, fixed: 2 * b.elements.fixed } } : b)),
    tensors: plan.tensors.map((t) => ({ ...t, type: t.type === 'f16' ? 'f32' : t.type })),
    kernels: plan.kernels.map((k) => ({ ...k, bindings: k.bindings.map((b) => ({ ...b, type: b.type === 'f16' ? 'f32' : b.type })) })),
  }
  return { ...bundle, manifest: { ...bundle.manifest, plans: { webgpu: widened } }, files }
}

/**
 * To the nearest f16, ties to even: 10 bits of fraction, steps of 2^-24 below 2^-14. WGSL's quantizeToF16 may take either
 * neighbour, and SwiftShader's cuts off.
 */
const ROUND = `fn round_to_half(v: f32) -> f32 {
  let bits = bitcast<u32>(v);
  let normal = bitcast<f32>((bits + 0xfffu + ((bits >> 13u) & 1u)) & 0xffffe000u);
  return select(normal, round(v * 16777216.0) / 16777216.0, abs(v) < 6.103515625e-05);
}
`

function emulated(code: string): string {
  // A section is a module of its own, and so wants its own function.
  const text = code.replaceAll('enable f16;\n', ROUND).replaceAll('array<f16>', 'array<f32>').replace(/\bf16\(/g, 'round_to_half(')
  if (/\bf16\b/.test(text.replace(/^\/\/.*$/gm, ''))) throw new Error(`f16 stands where it is not expected:\n${text}`)
  return text
}
