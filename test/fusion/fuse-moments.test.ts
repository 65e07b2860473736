import { describe, expect, test } from 'vitest'
import type { FusionContext } from '../../compiler/fusion/kernel-pass.ts'
import { axis, plus, times } from '../../compiler/ir/affine.ts'
import { type Equation, equation, store } from '../../compiler/ir/equation.ts'
import { load, mul } from '../../compiler/ir/expression.ts'
import { momentsEquations } from '../../compiler/ir/moments.ts'
import { tensor } from '../../compiler/ir/tensor.ts'
import { BATCH, conv, fuse, map, namesOf, remarksOf, run } from './hand-built.ts'

const PASS = 'fuse-moments'
const [x, y] = [map('x'), map('y')]
const result = tensor('bn.moments', [4, 2])
const statistics = momentsEquations({ name: 'bn', layers: ['bn'], source: y, result, eps: 1e-5 })
const equations: readonly Equation[] = [conv(y, x), ...statistics]

/** Blocks of so many rows of one image. */
const rows =
  (count: number): FusionContext['statisticsBlock'] => (e) => (a) => (a.extent === 'n' ? 1 : a === e.axes[2] ? count : (a.extent as number))

test('the equations mean what statistics are: mean and biased variance of each channel', () => {
  const memory = run(equations)
  for (const channel of [0, 1]) {
    const values = [...memory.get(y)!].filter((_, i) => Math.floor(i / 16) % 2 === channel)
    expect(values).toHaveLength(16 * BATCH)
    const mean = values.reduce((total, v) => total + v, 0) / values.length
    const variance = values.reduce((total, v) => total + (v - mean) ** 2, 0) / values.length
    const [m0, m1, found] = [0, 1, 2].map((row) => memory.get(result)![2 * row + channel]!)
    expect(m0! + m1!).toBeCloseTo(mean, 10)
    expect(found).toBeCloseTo(variance, 10)
  }
})

test('joins the statistics of an image to the convolution that stores it', () => {
  const kernels = fuse(PASS, equations)
  expect(namesOf(kernels)).toEqual(['y', 'bn.statistics'])
  expect(kernels[0]!.equation).toMatchObject({ layers: ['y', 'bn'], sides: [{ kind: 'moments', source: y }] })
  expect(kernels.map(({ why }) => why)).toEqual([['gathers the statistics of bn as it stores'], ['merges the statistics of all tiles']])
  const memory = run(kernels.map(({ equation }) => equation))
  const want = run(equations).get(result)!
  // Another reference is rounded to another m0; m0 + m1 is the mean all the same.
  for (const c of [0, 1]) expect(memory.get(result)![c]! + memory.get(result)![2 + c]!).toBeCloseTo(want[c]! + want[2 + c]!, 10)
  for (let i = 4; i < 8; i++) expect(memory.get(result)![i]).toBeCloseTo(want[i]!, 8)
})

test.each([1, 2])('joins the statistics of each sample in %i groups of channels, of blocks of rows too', (groups) => {
  const [wide, source] = [tensor('y', ['n', 4, 8, 8]), tensor('x', ['n', 2, 8, 8])]
  const table = tensor('gn.statistics', ['n', groups, 3])
  const samples = { groups, perChannel: false }
  const program = [conv(wide, source), ...momentsEquations({ name: 'gn', layers: ['gn'], source: wide, result: table, eps: 1e-5, samples })]
  const kernels = fuse(PASS, program, { statisticsBlock: rows(4) })
  expect(namesOf(kernels)).toEqual(['y', 'gn.statistics'])
  const [memory, alone] = [run(kernels.map(({ equation }) => equation)), run(program)]
  const values = [...alone.get(wide)!]
  for (let row = 0; row < BATCH * groups; row++) {
    const own = values.slice(row * (256 / groups), (row + 1) * (256 / groups))
    const mean = own.reduce((total, v) => total + v, 0) / own.length
    const variance = own.reduce((total, v) => total + (v - mean) ** 2, 0) / own.length
    for (const found of [memory, alone]) {
      const [m0, m1, inverse] = [0, 1, 2].map((k) => found.get(table)![3 * row + k]!)
      expect(m0! + m1!).toBeCloseTo(mean, 8)
      expect(inverse).toBeCloseTo(1 / Math.sqrt(variance + 1e-5), 8)
    }
  }
})

test('joins the statistics of channels that are stored group by group', () => {
  const [wide, source, table] = [map('y', 6), map('x', 3), tensor('bn.moments', [4, 6])]
  const axes = [axis('n', 'n'), axis('g', 3), axis('o', 2), axis('h', 4), axis('w', 4)] as const
  const [n, g, o, h, w] = axes
  const channel = plus(times(g, 2), o)
  const value = mul(load(source, n, g, h, w), load(tensor('k', [6]), channel))
  const program = [
    equation('y', ['y'], axes, [store(wide, [n, channel, h, w], value)]),
    ...momentsEquations({ name: 'bn', layers: ['bn'], source: wide, result: table, eps: 1e-5 }),
  ]
  const kernels = fuse(PASS, program)
  expect(namesOf(kernels)).toEqual(['y', 'bn.statistics'])
  const [memory, alone] = [run(kernels.map((k) => k.equation)), run(program)]
  for (let c = 0; c < 6; c++) {
    const [got, want] = [memory, alone].map((m) => m.get(table)![c]! + m.get(table)![6 + c]!)
    expect(got).toBeCloseTo(want!, 10)
    expect(memory.get(table)![12 + c]).toBeCloseTo(alone.get(table)![12 + c]!, 8)
  }
})

test('merges first within an image where it is cut into blocks', () => {
  const [wide, moments] = [tensor('y', ['n', 2, 8, 8]), tensor('bn.moments', [4, 2])]
  const source = tensor('x', ['n', 2, 8, 8])
  const request = { name: 'bn', layers: ['bn'], source: wide, result: moments, eps: 1e-5 }
  const program = [conv(wide, source), ...momentsEquations(request)]
  const kernels = fuse(PASS, program, { statisticsBlock: rows(4) })
  expect(namesOf(kernels)).toEqual(['y', 'bn.merge_images', 'bn.statistics'])
  expect(kernels[0]!.equation.sides[0]!.partials.shape).toEqual(['n', 2, 1, 2, 4])
  const [got, want] = [kernels.map(({ equation }) => equation), program].map((e) => run(e).get(moments)!)
  for (const c of [0, 1]) expect(got![4 + c]).toBeCloseTo(want![4 + c]!, 8)
})

describe('refuses', () => {
  test.each<[string, readonly Equation[], Partial<FusionContext>, string]>([
    ['a layer of style split', equations, { unfusedLayers: new Set(['bn']) }, 'bn is of style split'],
    ['a map that nobody computes', statistics, {}, 'y is not made by one kernel'],
    [
      'what a target takes no statistics of',
      equations,
      { statisticsBlock: () => 'y stores one point at a time' },
      'y stores one point at a time',
    ],
    ['blocks as small as rows', equations, { statisticsBlock: rows(1) }, 'y works in parts too small to gather the moments of bn'],
    [
      'more bindings than are granted',
      equations,
      { maxBindings: 3 },
      'y would bind 4 buffers with the moments of bn, 3 are granted everywhere',
    ],
  ])('%s', (_, program, changes, reason) => {
    const kernels = fuse(PASS, program, changes)
    expect(kernels.map(({ equation }) => equation)).toEqual(program)
    expect(remarksOf(kernels)).toBe(reason)
  })
})
