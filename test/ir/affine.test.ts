import { expect, test } from 'vitest'
import { axis, plus } from '../../compiler/ir/affine.ts'

// Otherwise two equal windows look different where the hundredth axis falls between, and what is compiled depends on what was before.
test('terms stand in the order in which their axes were made, however many were made before', () => {
  for (let i = 0; i < 1000; i++) {
    const [a, b, c] = [axis('a', 2), axis('b', 3), axis('c', 5)]
    expect(plus(c, b, a).terms.map(({ atom }) => (atom.kind === 'axis' ? atom.axis : undefined))).toEqual([a, b, c])
  }
})
