import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InputError } from '../../bundle/errors.ts'
import type { TensorData } from '../../bundle/format.ts'
import { readSafetensors, writeSafetensors } from '../../runtime/loading/safetensors.ts'
import { decodeSnapshot } from '../../runtime/snapshot.ts'

const file = (header: unknown, data: readonly number[] = []): Uint8Array => {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header))
  const bytes = new Uint8Array(8 + text.length + data.length)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true)
  bytes.set(text, 8)
  bytes.set(data, 8 + text.length)
  return bytes
}

test('what is written comes back, of every type', () => {
  const anyTensor = fc.oneof(
    fc.float32Array({ noNaN: false }).map((data): TensorData => ({ type: 'f32', shape: [data.length], data })),
    fc.float64Array().map((data): TensorData => ({ type: 'f64', shape: [1, data.length], data })),
    fc.int32Array().map((data): TensorData => ({ type: 'i32', shape: [data.length, 1], data })),
    fc.uint8Array().map((data): TensorData => ({ type: 'u8', shape: [data.length], data })),
    fc.bigInt64Array().map((data): TensorData => ({ type: 'i64', shape: [data.length], data })),
    fc.constant<TensorData>({ type: 'f32', shape: [], data: Float32Array.of(7) }),
  )
  const name = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom('__proto__', 'constructor', 'dtype', 'shape')).filter((n) =>
    n !== '__metadata__'
  )
  fc.assert(fc.property(fc.array(fc.tuple(name, anyTensor)), (entries) => {
    const tensors = new Map(entries)
    const bytes = writeSafetensors(tensors, { note: 'é' })
    const read = readSafetensors(bytes)
    expect(new Map([...read.tensors].sort())).toEqual(new Map([...tensors].sort()))
    expect(read.metadata).toEqual({ note: 'é' })
    // Node's Buffers share memory at odd places.
    const shifted = Buffer.concat([Buffer.of(1, 2, 3), bytes]).subarray(3)
    expect(readSafetensors(shifted).tensors).toEqual(read.tensors)
  }))
})

test('bytes as the format says', () => {
  const bytes = writeSafetensors(new Map([['a', { type: 'f32', shape: [2], data: Float32Array.of(1, -2) }]]))
  const header = new DataView(bytes.buffer).getUint32(0, true)
  expect(JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + header)))).toEqual({
    a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
  })
  expect((8 + header) % 8).toBe(0)
  expect([...bytes.subarray(8 + header)]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0])
})

test('tensors that all claim the whole file are refused before they are copied', () => {
  const entries = Array.from({ length: 5000 }, (_, i) => [`t${i}`, { dtype: 'U8', shape: [2 ** 22], data_offsets: [0, 2 ** 22] }])
  const header = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)))
  const bytes = new Uint8Array(8 + header.length + 2 ** 22)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true)
  bytes.set(header, 8)
  // Copied, they would take 20 GB.
  expect(() => readSafetensors(bytes)).toThrow(/starts at byte 0, the one before ends at 4194304/)
})

test('the name of the header is none for a tensor', () => {
  const tensor: TensorData = { type: 'f32', shape: [1], data: Float32Array.of(1) }
  expect(() => writeSafetensors(new Map([['__metadata__', tensor]]))).toThrow(InputError)
})

describe('refuses', () => {
  const one = { dtype: 'F32', shape: [1], data_offsets: [0, 4] }
  test.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(3), /3 bytes are too few/],
    ['a header longer than the file', file({ a: one }).subarray(0, 20), /truncated/],
    // How files begin that torch.save 1.13 and numpy.save wrote.
    [
      'what torch.save writes',
      Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 8, 8, 0, 0),
      /PyTorch saves them are code, and not read: safetensors\.torch/,
    ],
    [
      'a file cut off whose header is of 640 bytes',
      Uint8Array.of(0x80, 2, 0, 0, 0, 0, 0, 0, 0x7b, 0x22),
      /truncated: its first 8 bytes say a header of 640 bytes/,
    ],
    ['what it wrote before 1.6', Uint8Array.of(0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20), /PyTorch saves them are code/],
    ['what numpy.save writes', Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 0x76, 0), /an array of NumPy has no names/],
    ['a header of absurd length', new Uint8Array(16).fill(255), /not safetensors/],
    ['text that is no JSON', file('{'), /not JSON/],
    ['a list', file([]), /not an object/],
    ['metadata that is no text', file({ __metadata__: { a: 1 } }), /must hold texts/],
    ['an entry that is null', file({ a: null }), /a: has no type \(dtype\)/],
    ['an entry without a type', file({ a: { shape: [1], data_offsets: [0, 4] } }, [0, 0, 0, 0]), /a: has no type/],
    ['a type that is no text', file({ a: { ...one, dtype: 3 } }, [0, 0, 0, 0]), /a: has no type/],
    [
      'two of one name',
      file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', [0, 0, 0, 0]),
      /two tensors have one name/,
    ],
    ['metadata that are a list', file({ __metadata__: ['a'] }), /must hold texts/],
    ['a size beyond all numbers', file({ a: { ...one, shape: [2 ** 53 - 1, 2 ** 53 - 1] } }, [0, 0, 0, 0]), /takes 3\.24\d*e\+32 bytes/],
    ['a name that commands a terminal', file({ '\u001b[31m': { ...one, dtype: 'X' } }), /^safetensors: \\u001b\[31m: type X is not read/],
    ['a very long name', file({ ['a'.repeat(1e6)]: { ...one, dtype: 'X' } }), /^safetensors: a{300}\.\.\.$/],
    ['a type', file({ a: { ...one, dtype: 'F8_E4M3' } }), /a: type F8_E4M3 is not read here \(F32/],
    ['a type by inheritance', file({ a: { ...one, dtype: 'constructor' } }), /type constructor is not read/],
    ['a shape', file({ a: { ...one, shape: [-1] } }), /list of counts/],
    ['offsets', file({ a: { ...one, data_offsets: [0] } }), /two counts/],
    ['a size that does not agree', file({ a: { ...one, shape: [2] } }, [0, 0, 0, 0]), /f32\[2\] takes 8 bytes/],
    ['missing data', file({ a: one }, [0, 0]), /ends at byte 4 of 2/],
    ['overlaps', file({ a: one, b: one }, [0, 0, 0, 0]), /b: starts at byte 0, the one before ends at 4/],
    ['gaps', file({ a: { ...one, data_offsets: [4, 8] } }, [0, 0, 0, 0, 0, 0, 0, 0]), /a: starts at byte 4/],
    ['data of nobody', file({ a: one }, [0, 0, 0, 0, 0]), /1 bytes belong to no tensor/],
  ])('%s', (_, bytes, message) => {
    expect(() => readSafetensors(bytes)).toThrow(message)
  })

  test('any bytes, without tripping', () => {
    const good = writeSafetensors(new Map([['a', { type: 'f32', shape: [2], data: Float32Array.of(1, 2) }]]))
    fc.assert(fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.tuple(fc.nat(good.length - 1), fc.nat(255)).map(([at, value]) => {
          const bytes = good.slice()
          bytes[at] = value
          return bytes
        }),
      ),
      (bytes) => {
        try {
          readSafetensors(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(InputError)
        }
      },
    ))
  })

  test('weights as a snapshot', () => {
    expect(() => decodeSnapshot(writeSafetensors(new Map()), 'x.safetensors')).toThrow(/x\.safetensors: not a snapshot/)
  })
})

// Bits by hand: binary16 0x3c00 = 1, 0xc000 = -2, 0x3555 = 0.333251953125, 0x0001 = 2^-24, 0x7bff = 65504, 0xfc00 = -Infinity;
// bfloat16 0x3f80 = 1, 0xc040 = -3, 0x4049 = 3.140625, 0x0001 = 2^-133.
test.each([
  ['F16', [0x3c00, 0xc000, 0x3555, 0x0001, 0x7bff, 0xfc00, 0x8000], [1, -2, 0.333251953125, 2 ** -24, 65504, -Infinity, -0]],
  ['BF16', [0x3f80, 0xc040, 0x4049, 0x0001, 0xff80], [1, -3, 3.140625, 2 ** -133, -Infinity]],
])('%s is widened', (dtype, bits, values) => {
  const header = new TextEncoder().encode(JSON.stringify({ a: { dtype, shape: [bits.length], data_offsets: [0, 2 * bits.length] } }))
  const bytes = new Uint8Array(8 + header.length + 2 * bits.length)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, BigInt(header.length), true)
  bytes.set(header, 8)
  bits.forEach((half, i) => view.setUint16(8 + header.length + 2 * i, half, true))
  const { type, data } = readSafetensors(bytes).tensors.get('a')!
  expect(type).toBe('f32')
  expect([...data as Float32Array]).toEqual(values)
})
