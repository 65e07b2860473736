import { PbfWriter } from 'pbf'
import { describe, expect, test } from 'vitest'
import { bytesSource, type ByteSource } from '../../../import/byte-source.ts'
import { ImportError } from '../../../import/import-error.ts'
import { WireReader } from '../../../import/protobuf/wire-reader.ts'

const written = (write: (to: PbfWriter) => void): Uint8Array => {
  const to = new PbfWriter()
  write(to)
  return to.finish().slice()
}

const reader = (bytes: Uint8Array): WireReader => new WireReader(bytesSource('m.onnx', bytes))

const told = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    if (error instanceof ImportError) return error.message.split('\n')[0]!
    throw error
  }
  return 'nothing'
}

describe('fields of a message', () => {
  test('numbers of all kinds, packed and one by one', () => {
    const m = reader(written((to) => {
      to.writeVarintField(1, 300)
      to.writeVarintField(2, -7)
      to.writeFloatField(3, 0.5)
      to.writeDoubleField(4, 0.1)
      to.writePackedVarint(5, [1, 2 ** 40, -1])
      to.writePackedFloat(6, [1.5, -2])
      to.writePackedDouble(7, [0.1])
      to.writeStringField(70_000, 'Grüße')
    }))
    const got: unknown[] = []
    while (m.next()) {
      got.push([
        m.field,
        m.field < 3 ? m.int() : m.field === 3 ? m.float() : m.field === 4 ? m.double()
          : m.field === 5 ? m.ints([]) : m.field === 6 ? m.floats([]) : m.field === 7 ? m.doubles([]) : m.text(),
      ])
    }
    expect(got).toEqual([[1, 300], [2, -7], [3, 0.5], [4, 0.1], [5, [1, 2 ** 40, -1]], [6, [1.5, -2]], [7, [0.1]], [70_000, 'Grüße']])
  })

  test('messages in messages, read piece by piece', () => {
    const bytes = written((to) => {
      to.writeBytesField(9, new Uint8Array(1 << 20))
      to.writeMessage(1, (_, inner) => {
        inner.writeVarintField(2, 5)
        inner.writeMessage(3, (_, most) => most.writeStringField(1, 'deep'), undefined)
      }, undefined)
    })
    let read = 0
    const source: ByteSource = { ...bytesSource('m.onnx', bytes), read: (from, to) => ((read += to - from), bytes.subarray(from, to)) }
    const m = new WireReader(source)
    m.next()
    expect([m.field, m.value.to - m.value.from]).toEqual([9, 1 << 20])
    m.next()
    const inner = m.message()
    inner.next()
    expect(inner.int()).toBe(5)
    inner.next()
    const most = inner.message()
    most.next()
    expect([most.text(), most.next(), inner.next(), m.next()]).toEqual(['deep', false, false, false])
    // The window at the start of the file, that behind the array, and the text.
    expect(read).toBeLessThan((1 << 16) + 200)
  })
})

describe('a file that is damaged', () => {
  const message = written((to) => to.writeMessage(1, (_, inner) => inner.writeStringField(2, 'a text'), undefined))

  test.each([
    ['cut off in a message', message.slice(0, -1), 'm.onnx at byte 0: field 1 wants 8 bytes, and 7 are left of the file'],
    ['cut off in a length', message.slice(0, 1), 'm.onnx at byte 0: the file ends within the length of field 1'],
    [
      'of a message longer than the one around it',
      Uint8Array.of(10, 2, 18, 9, 0, 0),
      'm.onnx at byte 2: field 2 wants 9 bytes, and 0 are left of the message around it',
    ],
    [
      'with a length of 2^60',
      Uint8Array.of(10, 128, 128, 128, 128, 128, 128, 128, 128, 16),
      'm.onnx at byte 0: field 1 wants 1152921504606847000 bytes, and 0 are left of the file',
    ],
    ['with a number of eleven bytes', Uint8Array.of(8, ...new Array(11).fill(255)), 'm.onnx at byte 0: field 1 has more than ten bytes'],
    ['with a group', Uint8Array.of(11, 12), "m.onnx at byte 0: field 1 is of kind 3, which is none of protobuf's that are in use"],
    ['with a field 0', Uint8Array.of(2, 0), 'm.onnx at byte 0: a field of number 0, which protobuf has not'],
    [
      'with a number where a message should be',
      Uint8Array.of(8, 1),
      'm.onnx at byte 0: field 1 should be a message, and is of kind 0 on the wire',
    ],
  ])('%s', (_, bytes, want) => {
    expect(told(() => {
      const m = reader(bytes)
      while (m.next()) {
        const inner = m.message()
        while (inner.next()) inner.text()
      }
    })).toBe(want)
  })

  test('of packed floats that are no multiple of four bytes, of a text beyond its limit', () => {
    const m = reader(Uint8Array.of(10, 3, 1, 2, 3))
    m.next()
    expect(told(() => m.floats([]))).toBe('m.onnx at byte 0: field 1 has 3 bytes of numbers that take 4 each')
    expect(told(() => m.text(2))).toBe('m.onnx at byte 0: field 1 has 3 bytes; at most 2 make sense here')
  })
})
