import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One reference case: what its README calls metadata, and its tensors as numbers. */
export interface GoldenCase {
  readonly name: string
  readonly kind: 'net' | 'bn_stats' | 'solver' | 'lr_policy' | 'filler' | 'train'
  readonly layers: readonly GoldenLayer[]
  readonly tolerance: Readonly<Record<string, { scale: number; f32: number; atol: number; atol_careful?: number }>>
  readonly meta: Readonly<Record<string, any>>
  readonly tensors: ReadonlyMap<string, GoldenTensor>
}

export interface GoldenLayer {
  readonly name: string
  readonly type: string
  readonly bottom: readonly string[]
  readonly top: readonly string[]
  readonly param: Readonly<Record<string, string>>
  readonly attrs: Readonly<Record<string, any>>
}

export interface GoldenTensor {
  readonly dtype: 'F64' | 'F32' | 'I32'
  readonly shape: readonly number[]
  readonly data: Float64Array | Float32Array | Int32Array
}

/** Names of all cases of a folder, in the order of its index (or of the files, where there is none). */
export function caseNames(folder: string): string[] {
  const files = readdirSync(folder).filter((file) => file.endsWith('.safetensors')).map((file) => file.slice(0, -'.safetensors'.length))
  return files.sort()
}

export function readCase(folder: string, name: string): GoldenCase {
  const bytes = readFileSync(join(folder, `${name}.safetensors`))
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, any>
  const body = bytes.buffer.slice(bytes.byteOffset + 8 + length, bytes.byteOffset + bytes.length)
  const tensors = new Map<string, GoldenTensor>()
  for (const [key, entry] of Object.entries(header)) {
    if (key === '__metadata__') continue
    const [from, to] = entry.data_offsets as [number, number]
    const part = body.slice(from, to)
    const data = entry.dtype === 'F64' ? new Float64Array(part) : entry.dtype === 'F32' ? new Float32Array(part) : new Int32Array(part)
    tensors.set(key, { dtype: entry.dtype, shape: entry.shape, data })
  }
  const meta = JSON.parse(header['__metadata__'].case)
  return { name, kind: meta.kind, layers: meta.layers ?? [], tolerance: meta.tolerance, meta, tensors }
}

/** Tensors whose name starts with a prefix, by the rest of the name. */
export const tensorsBelow = (golden: GoldenCase, prefix: string): Map<string, GoldenTensor> =>
  new Map([...golden.tensors].filter(([name]) => name.startsWith(prefix)).map(([name, t]) => [name.slice(prefix.length), t]))
