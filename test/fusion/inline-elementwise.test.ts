import { describe, expect, test } from 'vitest'
import { axis, divide, plus, times } from '../../compiler/ir/affine.ts'
import { add, exp, type Expression, load, maximum, mul, sum } from '../../compiler/ir/expression.ts'
import { tensor } from '../../compiler/ir/tensor.ts'
import { conv, each, expectSameValues, fuse, map, namesOf, relu, remarksOf, scaled } from './hand-built.ts'

const PASS = 'inline-elementwise'
const x = map('x')
const a = map('a')
const b = map('b')
const y = map('y')

describe('joins', () => {
  test('a prologue: computed as the convolution loads it, its padding still zero', () => {
    const equations = [each(a, (at) => add(load(x, ...at), 1)), conv(y, a)]
    const kernels = fuse(PASS, equations, { kept: new Set([y]) })
    expect(namesOf(kernels)).toEqual(['a+y'])
    expect(remarksOf(kernels)).toContain('a is computed as it is loaded')
    expectSameValues(kernels, equations, [y])
  })

  test('a prologue of a convolution that packs what it loads, on a target that stores those of others', () => {
    const equations = [each(a, (at) => add(load(x, ...at), 1)), conv(y, a)]
    const changes = { kept: new Set([y]), storesPrologues: true }
    expect(namesOf(fuse(PASS, equations, { ...changes, packsPrologue: (_, plain) => plain.name === 'y' }))).toEqual(['a+y'])
    const stored = fuse(PASS, equations, { ...changes, packsPrologue: () => false })
    expect(namesOf(stored)).toEqual(['a', 'y'])
    expect(remarksOf(stored)).toContain('y is faster where a is stored')
  })

  test('elements of a smaller tensor, repeated: no target stores them for a product of matrices', () => {
    const product = each(y, ([n, c, h, w]) => {
      const k = axis('k', 4)
      return sum([k], mul(load(a, n, c, h, k), load(b, n, c, k, w)))
    })
    const changes = { kept: new Set([y]), storesPrologues: true, packsPrologue: () => false }
    const equations = [each(a, ([n, c, , w]) => load(tensor('s', ['n', 2, 4]), n, c, w)), product]
    const kernels = fuse(PASS, equations, changes)
    expect(namesOf(kernels)).toEqual(['a+y'])
    expectSameValues(kernels, equations, [y])
    // Enlarged to the nearest, they are stored: what loads them would work out their places again and again.
    const enlarged = [each(a, ([n, c, h, w]) => load(tensor('s', ['n', 2, 2, 2]), n, c, divide(h, 2), divide(w, 2))), product]
    expect(namesOf(fuse(PASS, enlarged, changes))).toEqual(['a', 'y'])
  })

  test('an epilogue: the result of a sum flows into the one element-wise equation that reads it', () => {
    const equations = [conv(a, x), scaled(b, a), relu(y, b)]
    const kernels = fuse(PASS, equations, { kept: new Set([y]) })
    expect(namesOf(kernels)).toEqual(['a+b+y'])
    expect(remarksOf(kernels)).toContain('a is computed here, its result never stored')
    expectSameValues(kernels, equations, [y])
  })

  test('a cheap value with two readers: each computes it again', () => {
    const equations = [relu(a, x), conv(b, a), scaled(y, a)]
    const kernels = fuse(PASS, equations, { kept: new Set([b, y]) })
    expect(namesOf(kernels)).toEqual(['a+b', 'a+y'])
    expectSameValues(kernels, equations, [b, y])
  })
})

describe('refuses', () => {
  const kept = new Set([y])
  const pooled = each(y, ([n, c, h, w]) => {
    const k = axis('k', 2)
    return maximum([k], load(a, n, c, h, plus(times(w, 0), k)))
  })
  const summing = each(y, ([n, c, h, w]) => {
    const k = axis('k', 4)
    return add(load(a, n, c, h, w), sum([k], load(b, n, c, h, k)))
  })
  const dear = each(a, (at) => exp(load(x, ...at)))
  const many = (t: string, count: number): Expression[] => Array.from({ length: count }, (_, i) => load(tensor(`${t}${i}`, []), 0))

  test.each([
    ['a result of the program', [relu(a, x), relu(y, a)], { kept: new Set([a, y]) }, 'a is kept in memory: it is a result of the program'],
    ['a tensor with two shapes', [relu(a, x), relu(y, a)], { kept, viewOf: new Map([[b, a]]) }, 'a is read under another shape'],
    ['a layer of style split', [relu(a, x), relu(y, a)], { kept, unfusedLayers: new Set(['y']) }, 'a or its reader is of style split'],
    [
      'a sum with two readers',
      [conv(a, x), relu(b, a), scaled(y, a)],
      { kept: new Set([b, y]) },
      'a is read 2 times: by b, y',
    ],
    ['a sum that windows read', [conv(a, x), pooled], { kept }, 'y reads a in windows or sums'],
    [
      'a sum in front of another one',
      [conv(a, x), summing],
      { kept },
      'y has a reduction of its own',
    ],
    [
      'a sum that is read in other places than those that it is made at',
      [conv(a, x), each(y, ([n, c, h, w]) => load(a, n, c, times(h, 1), times(w, 0)))],
      { kept },
      'y does not read a element by element',
    ],
    ['an exponential in front of a convolution', [dear, conv(y, a)], { kept }, 'a is too dear to repeat in y'],
    [
      'more maps than a prologue may read',
      [each(a, (at) => add(load(x, ...at), load(b, ...at))), conv(y, a)],
      { kept, maxPrologueInputs: 1 },
      'a is too dear to repeat in y',
    ],
    [
      'maps that would be read too often',
      [each(a, (at) => add(load(x, ...at), load(b, ...at), load(map('d'), ...at))), ...['e', 'f', 'g'].map((name) => relu(map(name), a))],
      {},
      'reading 3 tensors 3 times costs more than storing a',
    ],
    [
      'more bindings than are granted',
      [each(a, (at) => add(load(x, ...at), ...many('p', 3))), each(y, (at) => mul(load(a, ...at), add(...many('q', 4))))],
      { kept },
      'a+y would bind 9 buffers, 8 are granted everywhere',
    ],
  ])('%s', (_, equations, changes, reason) => {
    const kernels = fuse(PASS, equations, changes)
    expect(kernels.map(({ equation }) => equation)).toEqual(equations)
    // That y is stored, as a result, is said of every program.
    expect(kernels.find(({ equation }) => equation.name === 'a')!.why).toEqual([reason])
  })
})
