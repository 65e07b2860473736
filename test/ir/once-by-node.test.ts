import { expect, test } from 'vitest'
import { beginGeneration, endWork, onceAtWork, onceByNodes } from '../../compiler/ir/once-by-node.ts'

test('what was asked of several objects is answered once, for each text and in their order', () => {
  let asked = 0
  const answer = onceByNodes((text, a: object, b: object) => ({ text, a, b, asked: ++asked }))
  const [a, b] = [{}, {}]
  const first = answer('x', a, b)
  expect(answer('x', a, b)).toBe(first)
  expect(answer('y', a, b)).not.toBe(first)
  expect(answer('x', b, a)).toMatchObject({ a: b, b: a })
  expect(answer('x', {}, b)).not.toBe(first)
  expect(answer('x', a, b)).toBe(first)
  expect(asked).toBe(4)
})

test('what two compilations in a row did not ask for makes room for what is new beside a node that stays', () => {
  let asked = 0
  const answer = onceByNodes((_, __: object, ___: object) => ({ number: ++asked }))
  const [stays, gone, kept, fresh] = [{}, {}, {}, {}]
  const [old, used] = [answer('', gone, stays), answer('', kept, stays)]
  beginGeneration()
  expect(answer('', kept, stays)).toBe(used)
  beginGeneration()
  answer('', fresh, stays)
  expect(answer('', kept, stays)).toBe(used)
  expect(answer('', gone, stays)).not.toBe(old)
})

test('what is asked at work is answered once until the work ends', () => {
  let asked = 0
  const answer = onceAtWork((_: object) => ++asked)
  const [a, b] = [{}, {}]
  expect([answer(a), answer(b), answer(a)]).toEqual([1, 2, 1])
  endWork()
  expect([answer(a), answer(a)]).toEqual([3, 3])
})
