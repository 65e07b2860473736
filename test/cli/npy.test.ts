import { describe, expect, test } from 'vitest'
import { encodeNpy, parseNpy } from '../../runtime/loading/npy.ts'

/** A file as NumPy writes it: `numpy.lib.format`, version 1.0. */
function file(header: string, body: readonly number[], version = 1): Uint8Array {
  const text = `${header}\n`
  const length = version === 1 ? [text.length & 255, text.length >> 8] : [text.length & 255, text.length >> 8, 0, 0]
  return Uint8Array.from([
    0x93,
    ...[...'NUMPY'].map((c) => c.charCodeAt(0)),
    version,
    0,
    ...length,
    ...[...text].map((c) => c.charCodeAt(0)),
    ...body,
  ])
}

describe('parseNpy', () => {
  test('reads little and big endian float32', () => {
    const bytes = [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0] // 1, -2
    const little = parseNpy(file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", bytes), 'x.npy')
    expect(little.shape).toEqual([2])
    expect([...(little.data as Float32Array)]).toEqual([1, -2])
    const big = parseNpy(file("{'descr': '>f4', 'fortran_order': False, 'shape': (1, 2), }", [0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0]), 'x.npy')
    expect(big.shape).toEqual([1, 2])
    expect([...(big.data as Float32Array)]).toEqual([1, -2])
  })

  test('reads half precision, subnormal and infinite too', () => {
    const { data } = parseNpy(
      file("{'descr': '<f2', 'fortran_order': False, 'shape': (4,), }", [0x00, 0x3c, 0x01, 0x00, 0x00, 0xfc, 0xff, 0x7b]),
      'x.npy',
    )
    expect([...(data as Float32Array)]).toEqual([1, 2 ** -24, -Infinity, 65504])
  })

  test('turns column order into row order', () => {
    // numpy.asfortranarray([[1, 2, 3], [4, 5, 6]]) as bytes
    const { shape, data } = parseNpy(file("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", [1, 4, 2, 5, 3, 6]), 'x.npy')
    expect(shape).toEqual([2, 3])
    expect([...(data as Int32Array)]).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('reads int64 labels and a scalar, version 2', () => {
    const { shape, type, data } = parseNpy(
      file("{'descr': '<i8', 'fortran_order': False, 'shape': (), }", [7, 0, 0, 0, 0, 0, 0, 0], 2),
      'x.npy',
    )
    expect({ shape, type, data: [...(data as Int32Array)] }).toEqual({ shape: [], type: 'i32', data: [7] })
  })

  test.each([
    ['a text', new TextEncoder().encode('hello, world'), /does not start as one/],
    ['complex numbers', file("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", new Array(8).fill(0)), /c8 are not supported/],
    ['a truncated body', file("{'descr': '<f4', 'fortran_order': False, 'shape': (9,), }", [0, 0]), /cut off/],
    ['a large integer', file("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", [0, 0, 0, 0, 1, 0, 0, 0]), /32 bits/],
    ['a broken header', file('{}', []), /header is not understood/],
  ])('refuses %s with the reason', (_, bytes, reason) => {
    expect(() => parseNpy(bytes, 'x.npy')).toThrow(reason)
  })
})

test('encodeNpy writes what parseNpy reads, numbers at a multiple of 64', () => {
  const tensor = { shape: [2, 2], type: 'f32', data: Float32Array.of(0.5, -1, 3, 1e-10) } as const
  const bytes = encodeNpy(tensor)
  expect((bytes.length - 16) % 64).toBe(0)
  expect(parseNpy(bytes, 'y.npy')).toEqual(tensor)
  expect(new TextDecoder('latin1').decode(bytes)).toContain("'shape': (2, 2)")
  expect(new TextDecoder('latin1').decode(encodeNpy({ shape: [2], type: 'i32', data: Int32Array.of(1, 2) }))).toContain("'shape': (2,)")
})
