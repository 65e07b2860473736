import { expect, test } from 'vitest'
import { chunkOf } from '../../runtime/wasm/memory-layout.ts'

test('one thread takes all items at once', () => {
  expect(chunkOf(30, 5, 6, 1)).toBe(30)
  expect(chunkOf(0, 5, 0, 1)).toBe(1)
})

test('of several threads each takes whole samples where there are enough', () => {
  expect(chunkOf(5 * 64, 5, 64, 2)).toBe(20)
  expect(chunkOf(5 * 33, 5, 33, 2)).toBe(10)
  // Few samples, as many for each.
  expect(chunkOf(5 * 8, 5, 8, 2)).toBe(5)
})

test('few samples are cut, so that all threads have work', () => {
  expect(chunkOf(5, 5, 1, 2)).toBe(1)
  expect(chunkOf(5 * 9, 5, 9, 2)).toBe(2)
  expect(chunkOf(3 * 8, 8, 3, 2)).toBe(1)
})

test('items that are samples, or no matter of samples, are cut as before', () => {
  expect(chunkOf(64, 1, 64, 2)).toBe(4)
  expect(chunkOf(640, 0, 64, 2)).toBe(40)
})
