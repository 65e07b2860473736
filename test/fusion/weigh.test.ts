import { expect, test } from 'vitest'
import { exp, load } from '../../compiler/ir/expression.ts'
import { conv, each, fuse, map, namesOf, relu, remarksOf } from './hand-built.ts'

const PASS = 'inline-elementwise'
const [x, a, y] = [map('x'), map('a'), map('y')]
const dear = [conv(a, x), each(y, (at) => exp(load(a, ...at)))]
const kept = new Set([y])

test('an estimate is said with what was joined', () => {
  const kernels = fuse(PASS, dear, { kept, price: () => ({ joinedNs: 1234, apartNs: 2000 }), estimates: true })
  expect(namesOf(kernels)).toEqual(['a+y'])
  expect(remarksOf(kernels)).toContain('a is computed here, its result never stored (estimated: 1.2 us a sample here, 2 us apart)')
})

test('what is estimated to be slower than passes of its own stays apart', () => {
  const kernels = fuse(PASS, dear, { kept, price: () => ({ joinedNs: 3000, apartNs: 2000 }) })
  expect(namesOf(kernels)).toEqual(['a', 'y'])
  expect(remarksOf(kernels)).toContain('y is faster by a pass of its own (estimated: 3 us a sample here, 2 us apart)')
})

test('a difference within the error of estimates is left to the rules, and so is what nothing is estimated of', () => {
  expect(namesOf(fuse(PASS, dear, { kept, price: () => ({ joinedNs: 2200, apartNs: 2000 }) }))).toEqual(['a+y'])
  expect(namesOf(fuse(PASS, dear, { kept, price: () => undefined }))).toEqual(['a+y'])
})

test('of what is cheap to compute estimates are trusted less: memory is what it takes', () => {
  const [cheap, price] = [[conv(a, x), relu(y, a)], (joinedNs: number) => () => ({ joinedNs, apartNs: 2000 })]
  expect(namesOf(fuse(PASS, cheap, { kept, price: price(3000) }))).toEqual(['a+y'])
  expect(namesOf(fuse(PASS, cheap, { kept, price: price(5000) }))).toEqual(['a', 'y'])
})

test('an estimate that changes nothing is said where somebody asks', () => {
  const [cheap, price] = [[conv(a, x), relu(y, a)], () => ({ joinedNs: 3000, apartNs: 2000 })]
  expect(remarksOf(fuse(PASS, cheap, { kept, price }))).not.toContain('estimated')
  expect(remarksOf(fuse(PASS, cheap, { kept, price, estimates: true }))).toContain('(estimated: 3 us a sample here, 2 us apart)')
})
