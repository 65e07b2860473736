import { InputError } from '../../bundle/errors.ts'
import type { TensorData } from '../../bundle/format.ts'
import { checkBytes } from '../../bundle/options.ts'
import { plain, say } from '../../bundle/plain.ts'

/**
 * safetensors: uint64 length of a JSON header, the header ({name: {dtype, shape, data_offsets}}), raw little-endian
 * values without gaps. F16 and BF16 are widened to f32. Strict, as the format's own reader: every byte belongs to exactly one tensor.
 */

/** IEEE 754 binary16: sign, 5 bits of exponent (bias 15), 10 of fraction. Every value is a float32. */
function fromHalf(bits: number): number {
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  const size = exponent === 31 ? (fraction ? NaN : Infinity) : exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24
  return bits & 0x8000 ? -size : size
}

/** bfloat16: the upper half of a float32. */
const fromBfloat = (halves: Uint16Array): Float32Array => new Float32Array(Uint32Array.from(halves, (bits) => bits << 16).buffer)

const TYPES = {
  F32: { type: 'f32', array: Float32Array, bytes: 4 },
  I32: { type: 'i32', array: Int32Array, bytes: 4 },
  F64: { type: 'f64', array: Float64Array, bytes: 8 },
  I64: { type: 'i64', array: BigInt64Array, bytes: 8 },
  U8: { type: 'u8', array: Uint8Array, bytes: 1 },
  // Widened, without loss: nothing here computes in them.
  F16: { type: 'f32', array: Uint16Array, bytes: 2, widen: (halves: Uint16Array) => Float32Array.from(halves, fromHalf) },
  BF16: { type: 'f32', array: Uint16Array, bytes: 2, widen: fromBfloat },
} as const

export interface Safetensors {
  readonly tensors: Map<string, TensorData>
  readonly metadata: Readonly<Record<string, string>>
}

/** What a file is that people have in the place of weights: PyTorch's, a zip or the pickle of before 1.6, and NumPy's. */
function otherFile([first, second]: Uint8Array, headerBytes: number): string | undefined {
  // No header is so long: a file of ours that was cut off is none of these.
  if (headerBytes < 2 ** 40) return undefined
  if ((first === 0x50 && second === 0x4b) || first === 0x80)
    return 'weights as PyTorch saves them are code, and not read: safetensors.torch.save_file(model.state_dict(), ...) writes what is'
  return first === 0x93 && second === 0x4e ? 'an array of NumPy has no names: weights are .safetensors' : undefined
}

/** Throws InputError, each with the reason, for anything but a well-formed file. */
export function readSafetensors(bytes: Uint8Array, what = 'safetensors'): Safetensors {
  const refuse = (why: string): never => {
    throw new InputError(`${what}: ${plain(why, 300)}`)
  }
  checkBytes('readSafetensors', bytes)
  if (bytes.length < 8) refuse(`${bytes.length} bytes are too few`)
  const headerBytes = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  if (headerBytes > bytes.length - 8)
    refuse(
      otherFile(bytes, headerBytes) ??
        `not safetensors, or truncated: its first 8 bytes say a header of ${headerBytes} bytes, and ${bytes.length - 8} follow`,
    )
  let text = ''
  let header: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, 8 + headerBytes))
    header = JSON.parse(text)
  } catch {
    refuse('the header is not JSON')
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) refuse('the header is not an object')
  const { __metadata__: metadata = {}, ...entries } = header as Record<string, unknown>
  if (
    typeof metadata !== 'object' || metadata === null || Array.isArray(metadata) ||
    Object.values(metadata).some((v) => typeof v !== 'string')
  ) refuse('__metadata__ must hold texts')
  // JSON takes the last of two that have one name.
  const most = Object.keys(entries).length + [entries, metadata].filter((table) => Object.hasOwn(table as object, 'dtype')).length
  if ((text.match(/"dtype"\s*:/g)?.length ?? 0) > most) refuse('two tensors have one name')
  const data = bytes.subarray(8 + headerBytes)
  const spans: { from: number; to: number; name: string; shape: readonly number[]; known: typeof TYPES[keyof typeof TYPES] }[] = []
  for (const [name, entry] of Object.entries(entries)) {
    const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as { dtype?: string; shape?: unknown; data_offsets?: unknown }
    if (typeof dtype !== 'string') return refuse(`${name}: has no type (dtype)`)
    const known = Object.hasOwn(TYPES, dtype) ? TYPES[dtype as keyof typeof TYPES]
      : refuse(`${name}: type ${dtype} is not read here (${Object.keys(TYPES).join(', ')})`)
    if (!isCounts(shape)) return refuse(`${name}: shape must be a list of counts`)
    if (!isCounts(offsets) || offsets.length !== 2) return refuse(`${name}: data_offsets must be two counts`)
    const [from, to] = offsets as [number, number]
    const wanted = shape.reduce((p, d) => p * d, known.bytes)
    if (to - from !== wanted)
      refuse(`${name}: ${dtype.toLowerCase()}[${shape.join(', ')}] takes ${wanted} bytes, its offsets hold ${to - from}`)
    if (to > data.length) refuse(`${name}: ends at byte ${to} of ${data.length}: truncated`)
    spans.push({ from, to, name, shape, known })
  }
  // Before anything is copied: each of many could be all of the file.
  let end = 0
  for (const { from, to, name } of [...spans].sort((a, b) => a.from - b.from || a.to - b.to)) {
    if (from !== end) refuse(`${name}: starts at byte ${from}, the one before ends at ${end}`)
    end = to
  }
  if (end !== data.length) refuse(`${data.length - end} bytes belong to no tensor`)
  // Typed arrays want aligned bytes of their own (and `slice` of Node's Buffer is none).
  const tensors = new Map(spans.map(({ from, to, name, shape, known }): [string, TensorData] => {
    const { buffer } = new Uint8Array(data.subarray(from, to))
    return [name, { shape, type: known.type, data: 'widen' in known ? known.widen(new Uint16Array(buffer)) : new known.array(buffer) }]
  }))
  return { tensors, metadata: metadata as Record<string, string> }
}

const isCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every((v) => Number.isSafeInteger(v) && v >= 0)

/** Wider types first and the header padded, so that every tensor starts aligned; else in the order of the map. */
export function writeSafetensors(tensors: ReadonlyMap<string, TensorData>, metadata?: Readonly<Record<string, string>>): Uint8Array {
  if (!((tensors as unknown) instanceof Map)) throw new InputError(`writeSafetensors takes a Map of tensors, not ${say(tensors)}`)
  // Without a prototype, so that every name is a key like others.
  const header = Object.create(null) as Record<string, unknown>
  if (metadata) header['__metadata__'] = metadata
  if (tensors.has('__metadata__')) throw new InputError('a tensor cannot be called __metadata__ in a safetensors file')
  const sorted = [...tensors].sort(([, a], [, b]) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT)
  let end = 0
  for (const [name, { shape, type, data }] of sorted) {
    if (shape.reduce((p, d) => p * d, 1) !== data.length)
      throw new InputError(`${name}: [${shape.join(', ')}] does not hold ${data.length} values`)
    header[name] = { dtype: type.toUpperCase(), shape, data_offsets: [end, end += data.byteLength] }
  }
  let text = new TextEncoder().encode(JSON.stringify(header))
  text = new TextEncoder().encode(JSON.stringify(header) + ' '.repeat((8 - (text.length % 8)) % 8))
  const bytes = new Uint8Array(8 + text.length + end)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true)
  bytes.set(text, 8)
  let at = 8 + text.length
  for (const [, { data }] of sorted) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at)
    at += data.byteLength
  }
  return bytes
}
