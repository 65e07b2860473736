import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bundle, TensorData } from '../../bundle/format.ts'
import { compile, interpreter } from '../../compiler/index.ts'
import { exportOnnx, type ExportedOnnx, type OnnxOptions } from '../../export/index.ts'
import { open } from '../../runtime/index.ts'
import { generator, normals } from '../support/random-net.ts'

/** The part of onnxruntime-node that is used here. */
interface Runtime {
  readonly InferenceSession: {
    create(
      file: string | Uint8Array,
      options?: { readonly logSeverityLevel?: number },
    ): Promise<{ run(feeds: object): Promise<Record<string, { data: Float32Array; dims: number[] }>>; release(): Promise<void> }>
  }
  readonly Tensor: new(type: string, data: Float32Array | Int32Array, dims: readonly number[]) => object
}

/** The folder whose packages have onnxruntime-node. */
export const onnxRuntimeFolder = (): string => process.env['ONNXRUNTIME'] ?? process.cwd()

/** onnxruntime-node, where it is installed (`ONNXRUNTIME`: a folder that has it); these tests pass without it. */
export const onnxRuntime = (): Runtime | undefined => {
  try {
    return createRequire(join(onnxRuntimeFolder(), 'package.json'))('onnxruntime-node') as Runtime
  } catch {
    return undefined
  }
}

export const bytesOf = (exported: Pick<ExportedOnnx, 'model'>): Uint8Array => Buffer.concat([...exported.model.parts()])

/** Parameters as a training leaves them: no statistics are 0 or 1, no slope is what it started with. */
export function trained(bundle: Bundle, seed = 1): Map<string, TensorData> {
  const r = generator(seed)
  return new Map(bundle.manifest.parameters.map(({ name, shape }): [string, TensorData] => {
    const count = shape.reduce((a, b) => a * b, 1)
    const fan = Math.max(1, count / (shape[0] ?? 1))
    const of = (make: (normal: number) => number): TensorData => ({
      shape,
      type: 'f32',
      data: normals(count, Math.floor(r() * 2 ** 31)).map(make),
    })
    if (name.endsWith('scale_factor') || name.endsWith('count')) return [name, of(() => 2.5)]
    if (name.endsWith('running_var')) return [name, of((x) => 0.5 + 0.3 * Math.abs(x))]
    if (name.endsWith('gamma')) return [name, of((x) => 1 + 0.2 * x)]
    return [name, of((x) => (shape.length > 1 ? x * Math.sqrt(2 / fan) : 0.2 * x))]
  }))
}

export interface Compared {
  /** The largest difference of any output, over the largest value of that output. */
  readonly worst: number
  readonly exported: ExportedOnnx
}

/** The text as a model in onnxruntime beside the float64 interpreter: random weights and inputs, two samples; `made` of a normal each. */
export async function compare(
  text: string,
  options: OnnxOptions = {},
  seed = 1,
  runtime = onnxRuntime()!,
  made: (normal: number) => number = (normal) => normal,
  weightsOf: typeof trained = trained,
): Promise<Compared> {
  const bundle = compile(text, { targets: [], programs: ['infer'] })
  const weights = weightsOf(bundle, seed)
  const exported = exportOnnx({ ...bundle, weights }, options)
  const batch = 2
  const inputs = Object.fromEntries(exported.graph.inputs.map(({ name, shape }, i) => {
    const dims = shape.map((dim) => (typeof dim === 'number' ? dim : batch))
    return [name, { dims, data: Float32Array.from(normals(dims.reduce((a, b) => a * b, 1), 100 * seed + i), made) }]
  }))
  const session = await runtime.InferenceSession.create(bytesOf(exported))
  const got = await session.run(
    Object.fromEntries(Object.entries(inputs).map(([name, { dims, data }]) => [name, new runtime.Tensor('float32', data, dims)])),
  )
  await session.release()
  const net = await open(bundle, { device: interpreter(), batch, programs: ['infer'], weights: weights as never })
  const want = await net.run(
    Object.fromEntries(Object.entries(inputs).map(([name, { data }]) => [name, data])) as never,
  ) as unknown as Record<string, Float64Array>
  net.close()
  const worst = Math.max(...exported.graph.outputs.map(({ name }) => {
    const [a, b] = [got[name]!.data, want[name]!]
    if (a.length !== b.length) return Infinity
    const scale = b.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-30)
    return a.reduce((most, x, i) => Math.max(most, Number.isNaN(x) && Number.isNaN(b[i]!) ? 0 : Math.abs(x - b[i]!)), 0) / scale
  }))
  return { worst, exported }
}

export const temporaryFile = (name: string, data: string | Uint8Array): string => {
  const file = join(mkdtempSync(join(tmpdir(), 'fusenet-export-')), name)
  writeFileSync(file, data)
  return file
}

export const hasPythonOnnx = (): boolean => existsSync('/usr/lib/python3/dist-packages/onnx')
