import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Bundle } from '../bundle/format.ts'
import type { ExportedOnnx } from '../export/index.ts'
import { open, wasm } from '../runtime/index.ts'

/** The optional package that runs models of ONNX. */
const RUNTIME = 'onnxruntime-node'

/** The part of it that is used. */
export interface OnnxRuntime {
  readonly InferenceSession: { create(file: string, options?: { readonly logSeverityLevel?: number }): Promise<Session> }
  readonly Tensor: new(type: 'float32' | 'int32', data: Float32Array | Int32Array, dims: readonly number[]) => object
}

interface Session {
  run(feeds: Readonly<Record<string, object>>): Promise<Readonly<Record<string, { readonly data: ArrayLike<number> }>>>
  release(): Promise<void>
}

/** onnxruntime-node, where it is installed for the project here or beside fusenet. */
export async function findOnnxRuntime(folders: readonly string[]): Promise<OnnxRuntime | undefined> {
  for (const from of [...folders.map((folder) => join(folder, 'package.json')), import.meta.url]) {
    try {
      const file = createRequire(from).resolve(RUNTIME)
      const found = await import(pathToFileURL(file).href) as OnnxRuntime & { readonly default?: OnnxRuntime }
      return found.InferenceSession ? found : found.default
    } catch {
      // Not there, or not for this machine: the next place.
    }
  }
  return undefined
}

/** Samples that a check infers at once, where the batch is open: more than one tells batches from channels. */
const SAMPLES = 2

/** The largest differences of a model's outputs from fusenet's own, each over the largest value of its output. */
export interface Checked {
  readonly output: string
  readonly difference: number
}

/** Runs the model of a file and the bundle that it was made of on the same random inputs. */
export async function checkOnnx(runtime: OnnxRuntime, file: string, exported: ExportedOnnx, bundle: Bundle): Promise<readonly Checked[]> {
  const inputs = exported.graph.inputs.map(({ name, type, shape }, i) => {
    const dims = shape.map((dim) => (typeof dim === 'number' ? dim : SAMPLES))
    const data = noise(dims.reduce((product, dim) => product * dim, 1), i + 1)
    return { name, type, dims, data: type === 'i32' ? Int32Array.from(data, () => 0) : data }
  })
  const session = await runtime.InferenceSession.create(file)
  const net = await open(bundle, { device: await wasm(), batch: SAMPLES, programs: ['infer'], allowOneValue: true })
  try {
    const feeds = Object.fromEntries(inputs.map(({ name, type, dims, data }) => [
      name,
      new runtime.Tensor(type === 'i32' ? 'int32' : 'float32', data, dims),
    ]))
    const found = await session.run(feeds)
    const own = await net.run(Object.fromEntries(inputs.map(({ name, data }) => [name, data]))) as Readonly<
      Record<string, ArrayLike<number>>
    >
    return exported.graph.outputs.map(({ name }) => ({ output: name, difference: difference(found[name]!.data, own[name]!) }))
  } finally {
    net.close()
    await session.release()
  }
}

function difference(found: ArrayLike<number>, own: ArrayLike<number>): number {
  if (found.length !== own.length) return Infinity
  let [most, scale] = [0, 0]
  for (let i = 0; i < own.length; i++) {
    const [a, b] = [found[i]!, own[i]!]
    if (Number.isFinite(b)) scale = Math.max(scale, Math.abs(b))
    if (Object.is(a, b) || (Number.isNaN(a) && Number.isNaN(b))) continue
    const apart = Math.abs(a - b)
    most = Math.max(most, Number.isNaN(apart) ? Infinity : apart)
  }
  return most === 0 ? 0 : most / Math.max(scale, Number.MIN_VALUE)
}

/** Numbers about 0 of about 1, the same every time (an LCG of Numerical Recipes, chapter 7.1). */
export function noise(count: number, seed: number): Float32Array {
  let state = seed * 747796405 >>> 0
  const next = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
  return Float32Array.from({ length: count }, () => 1.7 * (next() + next() + next() + next() - 2))
}
