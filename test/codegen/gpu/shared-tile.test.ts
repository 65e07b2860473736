import { describe, expect, test } from 'vitest'
import type { Schedule } from '../../../compiler/codegen/gpu/schedule.ts'
import { arrayElements, paddedStrides, type SharedTile } from '../../../compiler/codegen/gpu/shared-tile.ts'
import { axis } from '../../../compiler/ir/affine.ts'
import { constant } from '../../../compiler/ir/expression.ts'

const [row, column] = [axis('row', 32), axis('column', 32)]
const dims = [row, column].map((a) => ({ coordinate: a, parts: [[a, 1]] as const, shift: 0, extent: 32 }))
const tile: SharedTile = { value: constant(0), dims, lanes: undefined }
const schedule = (group: Schedule['group'], registerTile: Schedule['tile'] = new Map()): Schedule => ({
  tile: registerTile,
  serial: [],
  unroll: new Map(),
  ...(group && { group }),
})

/** Memory has 32 banks, element i in bank i mod 32: a warp whose invocations read different elements of one bank waits for each. */
describe('rows of a shared-memory tile are padded', () => {
  test('where invocations read down a column of 32, all in one bank', () => {
    const strides = paddedStrides(schedule(new Map([[row, 32]])), tile)
    expect(strides).toEqual([33, 1])
    expect(new Set(Array.from({ length: 32 }, (_, i) => (i * strides[0]!) % 32)).size).toBe(32)
    expect(arrayElements(tile, strides)).toBe(32 * 33)
  })

  test('so that invocations that step by two rows meet in pairs at most', () => {
    const strides = paddedStrides(schedule(new Map([[row, 16]]), new Map([[row, 2]])), tile)
    expect(new Set(Array.from({ length: 16 }, (_, i) => (2 * i * strides[0]!) % 32)).size).toBe(16)
  })

  test('but not where invocations read along a row', () => {
    expect(paddedStrides(schedule(new Map([[column, 32]])), tile)).toEqual([32, 1])
  })

  test('nor where elements are vectors of four', () => {
    expect(paddedStrides(schedule(new Map([[row, 32]])), { ...tile, lanes: dims[1] })).toEqual([32, 1])
  })
})
