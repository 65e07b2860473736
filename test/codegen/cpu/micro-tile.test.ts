import { describe, expect, test } from 'vitest'
import { CPU, tailWaste } from '../../../compiler/codegen/cpu/cost-model.ts'
import { accumulatorsOf, gemmAxes, rankTiles, unrollSteps } from '../../../compiler/codegen/cpu/micro-tile.ts'
import { simplify } from '../../../compiler/codegen/cpu/simplify.ts'
import { axis } from '../../../compiler/ir/affine.ts'
import { equation, store } from '../../../compiler/ir/equation.ts'
import { load, mul, sum } from '../../../compiler/ir/expression.ts'
import { tensor } from '../../../compiler/ir/tensor.ts'

/** c[m, n] = sum over k of a[m, k] b[k, n]. */
function product(rows: number, columns: number, terms: number) {
  const [m, n, k] = [axis('m', rows), axis('n', columns), axis('k', terms)]
  const [a, b, c] = [tensor('a', [rows, terms]), tensor('b', [terms, columns]), tensor('c', [rows, columns])]
  const { contraction } = simplify(equation('gemm', [], [m, n], [store(c, [m, n], sum([k], mul(load(a, m, k), load(b, k, n))))]))
  return { contraction: contraction!, m, n, k }
}

describe('register tiles of a matrix product', () => {
  const { contraction, m, n, k } = product(64, 64, 64)

  test('each factor has its axis', () => {
    expect(gemmAxes(contraction, 'b')).toEqual({ vector: [n], broadcast: [m] })
    expect(gemmAxes(contraction, 'a')).toEqual({ vector: [m], broadcast: [n] })
  })
  test('the best one loads along memory and fills the registers', () => {
    const [best] = rankTiles(contraction, new Set(), 1)
    expect(best).toMatchObject({ vectorFactor: 'b', vectorAxis: n, broadcastAxis: m })
    expect(accumulatorsOf(best!)).toBe(CPU.accumulators)
  })
  test('all fit into the registers, none twice, and more of them begin with the same', () => {
    const tiles = rankTiles(contraction, new Set(), 40)
    expect(tiles.filter((tile) => accumulatorsOf(tile) > CPU.accumulators)).toEqual([])
    expect(new Set(tiles.map((tile) => JSON.stringify(tile))).size).toBe(40)
    for (const most of [1, 3, 6]) expect(rankTiles(contraction, new Set(), most)).toEqual(tiles.slice(0, most))
  })
  test('a sum over a batch, which keeps nothing of a step for the next one, fills one more register by three vectors of three', () => {
    const [m, n, k, image] = [axis('m', 24), axis('n', 12), axis('k', 64), axis('image', 'n')]
    const [a, b, c] = [tensor('a', ['n', 24, 64]), tensor('b', ['n', 64, 12]), tensor('c', [24, 12])]
    const e = equation('dw', [], [m, n], [store(c, [m, n], sum([image, k], mul(load(a, image, m, k), load(b, image, k, n))))])
    const [best] = rankTiles(simplify(e).contraction!, new Set(), 1)
    expect(best).toMatchObject({ vectorAxis: n, vectorCount: 3, broadcastAxis: m, broadcastCount: 3 })
    expect(accumulatorsOf(best!)).toBe(CPU.gradientAccumulators)
    // Without a batch two vectors of four: nine would not fit beside what windows share.
    expect(accumulatorsOf(rankTiles(product(24, 12, 64).contraction, new Set(), 1)[0]!)).toBeLessThanOrEqual(CPU.accumulators)
  })
  test('one column leaves the reduced axis for the lanes', () => {
    const narrow = product(64, 1, 64)
    expect(rankTiles(narrow.contraction, new Set(), 1)[0]).toMatchObject({ vectorReduction: narrow.k })
  })
  test('a long reduction is unrolled by four, a short one whole', () => {
    const [best] = rankTiles(contraction, new Set(), 1)
    expect([...unrollSteps(contraction.main, best!)]).toEqual([[k, 4]])
    const short = product(64, 64, 9)
    expect([...unrollSteps(short.contraction.main, rankTiles(short.contraction, new Set(), 1)[0]!)]).toEqual([[short.k, 9]])
  })
})

test('no tile where there is no sum of products', () => {
  const { m, n } = product(4, 4, 4)
  const [x, y] = [tensor('x', [4, 4]), tensor('y', [4, 4])]
  expect(simplify(equation('copy', [], [m, n], [store(y, [m, n], load(x, m, n))])).contraction).toBeUndefined()
})

test('waste of tiles: the last one overlaps the one before', () => {
  expect([[16, 8], [12, 8], [3, 4], [6, 8]].map(([extent, size]) => tailWaste(axis('a', extent!), size!))).toEqual([1, 4 / 3, 4 / 3, 8 / 6])
  expect(tailWaste(undefined, 8)).toBe(1)
})
