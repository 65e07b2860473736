import { describe, expect, test } from 'vitest'
import { didYouMean, editDistance, suggest } from '../../bundle/nearest.ts'

describe('the distance of words', () => {
  test.each([['conv', 'cnov', 1], ['', 'abc', 3], ['kitten', 'sitting', 3], ['ca', 'abc', 3]])(
    '%s and %s',
    (a, b, want) => expect(editDistance(a, b)).toBe(want),
  )
  test('no further than asked', () =>
    expect([editDistance('kitten', 'sitting', 2), editDistance('kitten', 'sitting', 3)]).toEqual([Infinity, 3]))
  test('of long words', () => {
    expect(editDistance('ab'.repeat(4000), 'ba'.repeat(4000), 8)).toBe(2)
    expect(suggest('x'.repeat(8000), ['y'.repeat(8000)])).toBeUndefined()
  })
})

describe('the name that is meant', () => {
  const names = ['conv', 'deconv', 'fc', 'batch_norm', 'infer', 'x']
  test.each([
    ['a slip', 'cnov', 'conv'],
    ['capitals', 'Conv', 'conv'],
    ['a word that goes on after the right one', 'inference', 'infer'],
    ['the beginning of one', 'batch', 'batch_norm'],
    ['its words in another order', 'Norm_batch', 'batch_norm'],
    ['another word', 'pooling', undefined],
    ['the name itself', 'fc', undefined],
    ['another letter, which shares nothing', 'z', undefined],
  ])('%s: %s', (_, wrong, want) => expect(suggest(wrong, names)).toBe(want))

  test('as the end of a sentence', () => {
    expect([didYouMean('cnov', names), didYouMean('pooling', names)]).toEqual(['; did you mean conv?', ''])
  })
})
