import { expect, test } from 'vitest'
import { countOf } from '../../bundle/plain.ts'

test.each([
  [0, 'sample', 'no samples'],
  [1, 'class', '1 class'],
  [2, 'class', '2 classes'],
  [7, 'output', '7 outputs'],
])('%i %s is told as %s', (count, noun, told) => {
  expect(countOf(count, noun)).toBe(told)
})
