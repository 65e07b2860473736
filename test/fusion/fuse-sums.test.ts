import { describe, expect, test } from 'vitest'
import type { FusionContext } from '../../compiler/fusion/kernel-pass.ts'
import { axis } from '../../compiler/ir/affine.ts'
import { equation, type Equation, store } from '../../compiler/ir/equation.ts'
import { guard, load, mul, within } from '../../compiler/ir/expression.ts'
import { tensor } from '../../compiler/ir/tensor.ts'
import { sumsEquations } from '../../compiler/ops/batch-reduction.ts'
import { conv, each, expectSameValues, fuse, map, namesOf, relu, remarksOf } from './hand-built.ts'

const PASS = 'fuse-sums'
const [x, y, z] = [map('x'), map('y'), map('z')]
const [dBeta, dGamma] = [tensor('dBeta', [2]), tensor('dGamma', [2])]

/** The gradients of beta and gamma: sums of y and of y * x over all but the channel. */
const sums = (source = y, other = x): Equation[] =>
  sumsEquations({
    name: 'sums',
    layers: ['bn'],
    shape: source.shape,
    kept: [1],
    terms: (at) => [load(source, ...at), mul(load(source, ...at), load(other, ...at))],
    stores: (at, [first, second]) => [store(dBeta, at, first!), store(dGamma, at, second!)],
  })
const equations = [conv(y, x), ...sums()]

test('joins sums over the batch to the kernel that stores what they are of', () => {
  const kernels = fuse(PASS, equations)
  expect(namesOf(kernels)).toEqual(['y', 'sums'])
  expect(kernels[0]!.equation).toMatchObject({ layers: ['y', 'bn'], sides: [{ kind: 'sums', source: y }] })
  expect(remarksOf(kernels)).toBe('gathers the sums of bn as it stores')
  expectSameValues(kernels, equations, [dBeta, dGamma])
})

test('joins them to the kernel that stores last what they are of', () => {
  const kernels = fuse(PASS, [conv(y, x), relu(z, x), ...sums(y, z)])
  expect(kernels.map(({ equation }) => equation.sides.length)).toEqual([0, 1, 0])
})

test('a view is made where its storage is', () => {
  // What is summed up is the product of a map that is stored first and of another one's storage, which is stored later.
  const [stored, view] = [tensor('stored', ['n', 32]), map('view')]
  const later = equation('later', ['later'], [], [])
  const n = axis('n', 'n')
  const i = axis('i', 32)
  const stores = { ...later, axes: [n, i], stores: [store(stored, [n, i], load(tensor('w', ['n', 32]), n, i))] }
  const kernels = fuse(PASS, [relu(z, x), stores, ...sums(z, view)], { viewOf: new Map([[view, stored]]) })
  expect(kernels.every(({ equation: e }) => e.sides.length === 0)).toBe(true)
  expect(remarksOf(kernels)).toContain('view is not made by one kernel')
})

describe('refuses', () => {
  const early = each(z, (at) => load(y, ...at))
  const coefficients = tensor('k', [2])
  const shifted = sumsEquations({
    name: 'sums',
    layers: ['bn'],
    shape: y.shape,
    kept: [1],
    terms: (at) => [load(y, at[0]!, at[1]!, at[2]!, 0)],
    stores: (at, [first]) => [store(dBeta, at, first!)],
  })
  const sumsOfPart = (of: typeof y, channels: number): Equation[] =>
    sumsEquations({
      name: 'sums',
      layers: ['bn'],
      shape: ['n', channels, 4, 4],
      kept: [1],
      terms: (at) => [guard([within(at[1]!, of.shape[1] as number)], load(of, ...at))],
      stores: (at, [first]) => [store(tensor('d', [channels]), at, first!)],
    })
  const [narrow, wide] = [map('narrow', 1), map('wide', 3)]
  const scaledSums = sumsEquations({
    name: 'sums',
    layers: ['bn'],
    shape: y.shape,
    kept: [1],
    terms: (at) => [mul(load(y, ...at), load(coefficients, at[1]!))],
    stores: (at, [first]) => [store(dBeta, at, first!)],
  })
  const makes = { ...each(coefficients, ([c]) => load(dBeta, c)) }

  test.each<[string, readonly Equation[], Partial<FusionContext>, string]>([
    ['a layer of style split', equations, { unfusedLayers: new Set(['bn']) }, 'sums.partial is of style split'],
    ['sums of inputs', sums(), {}, 'sums.partial sums up nothing that a kernel stores'],
    [
      'what is made after the map',
      [conv(y, x), makes, ...scaledSums],
      {},
      'sums.partial needs k, which is made after y',
    ],
    ['another place than the one that is stored', [conv(y, x), ...shifted], {}, 'sums.partial does not read y point by point'],
    [
      'a map that is the first channels of what is summed up, as the gradient of a slice is',
      [conv(narrow, x), ...sumsOfPart(narrow, 2)],
      {},
      'sums.partial does not read narrow point by point',
    ],
    [
      'the first channels of a map, as the gradient by what is concatenated is',
      [conv(wide, x), ...sumsOfPart(wide, 2)],
      {},
      'sums.partial does not read wide point by point',
    ],
    ['what a target takes no sums of', equations, { statisticsBlock: () => 'y works alone' }, 'y works alone'],
    [
      'blocks of one element',
      [conv(y, x), early, ...scaledSums],
      { statisticsBlock: () => () => 1 },
      'y works in parts too small to gather the sums of bn',
    ],
    [
      'more bindings than are granted',
      equations,
      { maxBindings: 3 },
      'y would bind 4 buffers with the sums of bn, 3 are granted everywhere',
    ],
  ])('%s', (_, program, changes, reason) => {
    const kernels = fuse(PASS, program, changes)
    expect(kernels.map(({ equation }) => equation)).toEqual(program)
    expect(remarksOf(kernels)).toBe(reason)
  })
})
