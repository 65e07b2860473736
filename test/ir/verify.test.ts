import { describe, expect, test } from 'vitest'
import { axis, plus, times } from '../../compiler/ir/affine.ts'
import { count, equation, type Equation, type SideReduction, store } from '../../compiler/ir/equation.ts'
import { add, guard, load, mul, sum, within } from '../../compiler/ir/expression.ts'
import { tensor } from '../../compiler/ir/tensor.ts'
import { verifyEquation, verifyKernels } from '../../compiler/ir/verify.ts'

const [x, y, w] = [tensor('x', ['n', 2, 4]), tensor('y', ['n', 2, 4]), tensor('w', [2, 2, 3])]
const [n, c, h] = [axis('n', 'n'), axis('c', 2), axis('h', 4)]
const at = [n, c, h]
const [i, k] = [axis('i', 2), axis('k', 3)]
const row = plus(h, k, -1)
const padded = guard([within(row, 4)], load(x, n, i, row))
const value = sum([i, k], mul(padded, load(w, c, i, k)))
const conv = equation('conv', ['conv'], at, [store(y, at, value)])
const partials = tensor('partials', ['n', 2, 2, 4])
const side: SideReduction = { kind: 'moments', source: y, keptAxis: c, blocks: [{ axis: n, size: 1 }, { axis: h, size: 2 }], partials }
const carrying = { ...conv, sides: [side] }
const withSide = (changes: Partial<SideReduction>): Equation => ({ ...conv, sides: [{ ...side, ...changes } as SideReduction] })
const stores = (...all: Equation['stores']): Equation => ({ ...conv, stores: all })
const terms = [load(y, n, c, h)]

test('sound: a padded convolution, alone and with statistics in blocks', () => {
  expect(verifyEquation(conv)).toEqual([])
  expect(verifyEquation(carrying, 4)).toEqual([])
  const tiles = { blocks: [{ axis: n, size: 1 }, { axis: h, size: 6 }], partials: tensor('partials', ['n', 1, 2, 4]) }
  expect(verifyEquation(withSide(tiles))).toEqual([])
  const axes = [axis('n', 'n'), axis('c', 2), axis('h', 4)]
  const sums = { at: axes, terms: [mul(load(y, ...axes), load(x, ...axes))], partials: tensor('sums', ['n', 2, 2, 1]) }
  expect(verifyEquation(withSide({ kind: 'sums', ...sums }))).toEqual([])
  expect(verifyEquation(equation('update', [], at, [store(y, at, add(load(y, n, c, h), 1))]))).toEqual([])
})

test('sound: an element of the frame of a padded map, which no point loads', () => {
  const frame = (place: number, column: number): Equation => stores(store(y, at, guard([within(place, 4)], load(x, n, c, column))))
  expect(verifyEquation(frame(-1, -1))).toEqual([])
  expect(verifyEquation(frame(4, 4))).toEqual([])
  expect(verifyEquation(frame(3, 4))).toEqual(['conv reaches beyond dimension 2 of x'])
})

describe('a planted fault', () => {
  const z = axis('z', 2)
  test.each<[string, Equation, string]>([
    ['an axis that nobody counts', stores(store(y, at, load(x, n, z, h))), 'conv uses axis z, which nothing counts there'],
    ['an axis of a sum that is over', stores(store(y, at, add(value, load(x, n, i, h)))), 'conv uses axis i, which nothing counts there'],
    ['an axis that is counted twice', stores(store(y, at, sum([c], load(x, n, c, h)))), 'conv counts axis c twice'],
    ['an axis that goes nowhere', { ...conv, axes: [...at, axis('none', 0)] }, 'conv counts axis none to 0'],
    ['a load past the end', stores(store(y, at, load(x, n, c, plus(h, 1)))), 'conv reaches beyond dimension 2 of x'],
    ['a load in front of the start', stores(store(y, at, load(x, n, c, plus(h, -1)))), 'conv reaches beyond dimension 2 of x'],
    ['a store past the end', stores(store(y, [n, c, times(h, 2)], value)), 'conv reaches beyond dimension 2 of y'],
    ['the batch in a dimension that has an end', stores(store(y, at, load(x, 0, n, h))), 'conv reaches beyond dimension 1 of x'],
    ['an index too few', stores(store(y, at, load(x, n, c))), 'conv has 2 indices for x of 3 dimensions'],
    ['points that meet in one element', stores(store(y, [n, c, 0], value)), 'conv stores every point along h in one element of y'],
    [
      'a point that reads what another one writes',
      stores(store(y, at, load(y, n, c, 0))),
      'conv reads elements of y that other points of it write',
    ],
    ['a counter of many numbers', stores(count(tensor('bad', [2], 'i32'), value)), 'conv counts in bad, which is not one whole number'],
    ['a counter that is no whole number', stores(count(tensor('bad', [1]), value)), 'conv counts in bad, which is not one whole number'],
    ['nothing stored', stores(), 'conv stores nothing'],
    ['statistics of what is not stored', withSide({ source: x }), 'conv takes the moments of x, which it does not store'],
    [
      'statistics of what is stored in another order',
      { ...carrying, stores: [store(y, [n, 0, h], value)] },
      'conv takes the moments of y, which it does not store in the order of its axes',
    ],
    [
      'a channel that the statistics do not start at',
      withSide({ channelOffset: 1 }),
      'conv takes the moments of y, which it does not store in the order of its axes',
    ],
    [
      'blocks along too few axes',
      withSide({ blocks: [{ axis: n, size: 1 }] }),
      'conv takes the moments of y in blocks that are not along all axes but one',
    ],
    [
      'blocks that are more than a tile longer than their axis',
      withSide({ blocks: [{ axis: n, size: 1 }, { axis: h, size: 8 }], partials: tensor('partials', ['n', 1, 2, 4]) }),
      'conv takes the moments of y in blocks of 8 along h',
    ],
    [
      'sums over the first channels of what is stored',
      withSide({ kind: 'sums', at: [n, axis('c', 1), h], terms, partials: tensor('sums', ['n', 2, 2, 1]) }),
      'conv takes the sums of y over other places than it stores',
    ],
    [
      'blocks of several images',
      withSide({ blocks: [{ axis: n, size: 2 }, { axis: h, size: 2 }] }),
      'conv takes the moments of y in blocks of 2 along n',
    ],
    [
      'room for fewer blocks than there are',
      withSide({ blocks: [{ axis: n, size: 1 }, { axis: h, size: 1 }] }),
      'conv leaves the moments of y in partials, which is not of the shape of its blocks',
    ],
    [
      'terms of another point than the one that is stored',
      withSide({ kind: 'sums', at, terms: [load(y, n, c, 0)], partials: tensor('sums', ['n', 2, 2, 1]) }),
      'conv reads elements of y that other points of it write',
    ],
    [
      'terms of a point that nobody knows',
      withSide({ kind: 'sums', at: [axis('n', 'n'), axis('c', 2), axis('h', 4)], terms, partials: tensor('sums', ['n', 2, 2, 1]) }),
      'conv uses axis n, which nothing counts there',
    ],
    [
      'a fused producer that nobody loads',
      { ...conv, fusedProducer: { axes: at, store: store(tensor('z', ['n', 2, 4]), at, load(x, n, c, h)) } },
      'conv never loads z, which it computes as it loads it',
    ],
    [
      'a fused producer that stores half',
      { ...conv, fusedProducer: { axes: at, store: store(tensor('x', ['n', 4, 4]), at, load(x, n, c, h)) } },
      'conv does not compute each element of x once as it loads it',
    ],
  ])('%s', (_, e, problem) => {
    expect(verifyEquation(e)).toContain(problem)
  })

  test('more buffers than are granted', () => {
    expect(verifyEquation(carrying, 3)).toEqual(['conv binds 4 buffers, 3 are granted'])
  })

  test('a kernel that reads what nothing has written, or only later', () => {
    const input = { ...x, storage: { role: 'input' as const, slot: 'x', offset: 0 } }
    const first = equation('first', [], at, [store(x, at, load(input, n, c, h))])
    const next = equation('next', [], at, [store(y, at, load(x, n, c, h))])
    const [a, b] = [{ equation: first }, { equation: next }]
    expect(verifyKernels([a, b], new Map(), 8)).toEqual([])
    expect(verifyKernels([b, a], new Map(), 8)).toEqual(['next reads x, which nothing has written'])
    const view = tensor('view', ['n', 2, 4])
    const viewer = { equation: equation('viewer', [], at, [store(y, at, load(view, n, c, h))]) }
    expect(verifyKernels([a, viewer], new Map([[view, x]]), 8)).toEqual([])
    expect(verifyKernels([a, viewer], new Map(), 8)).toEqual(['viewer reads view, which nothing has written'])
  })
})
