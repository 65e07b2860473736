import { expect, test } from 'vitest'
import { chooseDropped, type WeighedProgram } from '../../compiler/plan/drop-search.ts'

/**
 * A chain of equal layers, forth and back: the forward pass keeps the values that are not dropped; the backward pass makes each run of dropped
 * values again, all at once, from the value kept before it.
 */
function chain(layers: number, flops: number): WeighedProgram {
  const numbers = Array.from({ length: layers }, (_, i) => i)
  return {
    values: numbers.map(() => ({})) as unknown as WeighedProgram['values'],
    bytes: numbers.map(() => 1),
    flops: numbers.map(() => flops),
    candidates: numbers,
    weigh: (dropped) => {
      const runs = numbers.map((i) => (dropped[i] ? 1 : 0)).join('').split('0').map((run) => run.length)
      const kept = numbers.filter((i) => !dropped[i]).length
      return { alive: Float64Array.from(runs, (run) => kept + run), flops: flops * (layers - kept) }
    },
  }
}

test('of a chain of n equal layers about 2 sqrt(n) values are alive', () => {
  for (const layers of [16, 64, 100]) {
    const program = chain(layers, 1)
    const { alive } = program.weigh(chooseDropped(program))!
    expect(Math.max(...alive)).toBeLessThanOrEqual(2 * Math.sqrt(layers) + 1)
  }
})

test('nothing is dropped where that saves nothing, or cannot be undone', () => {
  const flat = { ...chain(8, 1), weigh: (dropped: Uint8Array) => ({ alive: Float64Array.of(8), flops: dropped.filter((d) => d).length }) }
  expect(chooseDropped(flat).every((d) => d === 0)).toBe(true)
  const fixed = { ...flat, weigh: (dropped: Uint8Array) => (dropped.some((d) => d) ? undefined : flat.weigh(dropped)) }
  expect(chooseDropped(fixed).every((d) => d === 0)).toBe(true)
})
