import { expect, test } from 'vitest'
import { countOf, say } from '../../bundle/plain.ts'

test.each([
  [0, 'sample', 'no samples'],
  [1, 'class', '1 class'],
  [2, 'class', '2 classes'],
  [7, 'output', '7 outputs'],
])('%i %s is told as %s', (count, noun, told) => {
  expect(countOf(count, noun)).toBe(told)
})

test.each([
  [{}, 'an object'],
  [Object.create(null), 'an object'],
  [new Float64Array(3), 'a Float64Array'],
  [new Int16Array(3), 'an Int16Array'],
  [new Uint8Array(3), 'a Uint8Array'],
  [new ArrayBuffer(8), 'an ArrayBuffer'],
  [new DataView(new ArrayBuffer(8)), 'a DataView'],
  [new Map(), 'a Map'],
  [new Date(0), 'a Date'],
  [[1, 2], 'a list of 2'],
  [null, 'null'],
  [{ [Symbol.toStringTag]: 'a\nb' }, 'a a\\u000ab'],
])('%o is told by what it is', (value, told) => {
  expect(say(value)).toBe(told)
})
