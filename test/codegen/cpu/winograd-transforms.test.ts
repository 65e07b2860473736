import { describe, expect, test } from 'vitest'
import { type Matrix, transformed } from '../../../compiler/codegen/cpu/winograd/matrix.ts'
import { chooseTiling, tilingFor, transformsOf } from '../../../compiler/codegen/cpu/winograd/transforms.ts'
import { load, type Expression } from '../../../compiler/ir/expression.ts'
import { tensor } from '../../../compiler/ir/tensor.ts'

const times = (a: Matrix, b: Matrix): number[][] => a.map((row) => b[0]!.map((_, j) => row.reduce((s, v, k) => s + v * b[k]![j]!, 0)))
const transposed = (a: Matrix): number[][] => a[0]!.map((_, j) => a.map((row) => row[j]!))
const both = (a: Matrix, x: Matrix): number[][] => times(times(a, x), transposed(a))
const matrix = (rows: number, columns: number, seed: number): number[][] =>
  Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => Math.sin(seed + 3 * i + 7.3 * j)))

describe.each([[4, 2], [2, 3], [4, 3], [4, 4], [2, 5], [4, 5]])('F(%i x %i windows of %i)', (m, r) => {
  const n = m + r - 1
  const { input, weight, output } = transformsOf(m, r)
  const [d, g, e] = [matrix(n, n, 1), matrix(r, r, 2), matrix(m, m, 3)]

  test('is the convolution of a tile: y = A [(G g G^T) * (B d B^T)] A^T', () => {
    const [u, v] = [both(weight, g), both(input, d)]
    const got = both(output, u.map((row, i) => row.map((x, j) => x * v[i]![j]!)))
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < m; j++) {
        let want = 0
        for (let k = 0; k < r; k++) for (let l = 0; l < r; l++) want += d[i + k]![j + l]! * g[k]![l]!
        expect(got[i]![j]).toBeCloseTo(want, 11)
      }
    }
  })

  test('transposed it is the gradient of the filter: dg = G^T [(B d B^T) * (A^T e A)] G', () => {
    const [v, w] = [both(input, d), both(transposed(output), e)]
    const got = both(transposed(weight), v.map((row, i) => row.map((x, j) => x * w[i]![j]!)))
    for (let k = 0; k < r; k++) {
      for (let l = 0; l < r; l++) {
        let want = 0
        for (let i = 0; i < m; i++) for (let j = 0; j < m; j++) want += d[i + k]![j + l]! * e[i]![j]!
        expect(got[k]![l]).toBeCloseTo(want, 11)
      }
    }
  })

  test('shared sums give the same as the matrices', () => {
    const x = tensor('x', [n])
    const valueOf = (v: Expression): number => {
      if (v.kind === 'constant') return v.value
      if (v.kind === 'load') return d[0]![v.at[0]!.constant]!
      if (v.kind !== 'binary') throw new Error(v.kind)
      const [a, b] = [valueOf(v.a), valueOf(v.b)]
      return v.op === 'add' ? a + b : v.op === 'sub' ? a - b : v.op === 'mul' ? a * b : NaN
    }
    for (const by of [input, output]) {
      const want = times(by, d[0]!.map((v) => [v]))
      transformed(by, d[0]!.map((_, i) => load(x, i))).forEach((v, i) => expect(valueOf(v)).toBeCloseTo(want[i]![0]!, 10))
    }
  })
})

describe('tiles of a map', () => {
  test('side by side, or evenly so that the last ends where the map does', () => {
    expect(tilingFor(4, 3, 8, 16)).toEqual({ m: 4, down: 2, across: 4, stepDown: 4, stepAcross: 4, overlaps: false })
    expect(tilingFor(4, 3, 7, 7)).toEqual({ m: 4, down: 2, across: 2, stepDown: 3, stepAcross: 3, overlaps: true })
    expect(chooseTiling(3, 16, 16, false)?.m).toBe(4)
    expect(chooseTiling(3, 10, 10, false)?.m).toBe(2)
    expect(chooseTiling(3, 7, 13, true)).toMatchObject({ m: 4, down: 2, across: 4, overlaps: true })
  })
  test('such that the last ones end behind the map where its input is zero there', () => {
    expect(chooseTiling(3, 9, 9, true, true)).toEqual({
      m: 4,
      down: 3,
      across: 3,
      stepDown: 4,
      stepAcross: 4,
      overlaps: false,
      isPadded: true,
    })
    expect(chooseTiling(3, 7, 7, true, true)).toMatchObject({ m: 4, stepDown: 3, overlaps: true })
    expect(chooseTiling(3, 5, 5, true, true)).toBeUndefined()
    expect(chooseTiling(3, 4, 4, false, true)).toBeUndefined()
    expect(chooseTiling(7, 9, 9, true, true)).toBeUndefined()
  })
  test.each<[string, number, number, number, boolean]>([
    ['windows without transformations', 7, 16, 16, true],
    ['what would be computed twice in place', 3, 7, 7, false],
    ['maps that no number of tiles covers evenly', 3, 9, 9, true],
    ['maps that overlapping tiles would cover too often', 3, 5, 5, true],
    ['fewer pixels than pay for the transformations', 3, 4, 4, false],
  ])('not for %s', (_, filterSize, height, width, mayOverlap) => {
    expect(chooseTiling(filterSize, height, width, mayOverlap)).toBeUndefined()
  })
})
