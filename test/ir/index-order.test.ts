import { expect, test } from 'vitest'
import { axis, divide, plus } from '../../compiler/ir/affine.ts'

/**
 * Equal equations are found by their texts, and axes are numbered through the life of a process: an order of names, a1000 before a999,
 * would make what is fused depend on how much was compiled before.
 */
test('terms of an index stand in the order in which their axes were made, however many there were before', () => {
  let before = axis('i', 8)
  for (let count = 0; count < 1100; count++) {
    const next = axis('j', 8)
    expect(plus(next, before).terms.map(({ atom }) => atom.kind === 'axis' && atom.axis.name)).toEqual([before.name, 'j'])
    expect(divide(plus(next, before), 3).terms.flatMap(({ atom }) => (atom.kind === 'axis' ? [] : atom.of.terms.map((t) => t.atom))))
      .toMatchObject([{ axis: before }, { axis: next }])
    before = next
  }
})
