import type { StepScalars } from './device.ts'

/**
 * The scalars of a step in memory, 4 bytes each: WGSL has them as its uniform, a WebAssembly module at an address of its first page. `n` is the
 * batch. Integers stand before floats.
 */
export const STEP_FIELDS = [
  { name: 'n', type: 'u32' },
  { name: 'step', type: 'u32' },
  { name: 'seed', type: 'u32' },
  { name: 'rate', type: 'f32' },
  { name: 'correction1', type: 'f32' },
  { name: 'correction2', type: 'f32' },
] as const

/** Bytes of all of them: a uniform buffer has a multiple of 16. */
export const STEP_BYTES = 32

const FLOATS_AT = STEP_FIELDS.findIndex(({ type }) => type === 'f32')

/** The byte offset of a scalar. */
export const stepOffset = (name: (typeof STEP_FIELDS)[number]['name']): number => 4 * STEP_FIELDS.findIndex((field) => field.name === name)

/** Writes the scalars of a step at a word of memory, which is seen as integers and as floats. */
export function writeStep(
  integers: Int32Array | Uint32Array,
  floats: Float32Array,
  word: number,
  batch: number,
  { step, seed, rate, correction1, correction2 }: StepScalars,
): void {
  integers.set([batch, step, seed], word)
  floats.set([rate, correction1, correction2], word + FLOATS_AT)
}
