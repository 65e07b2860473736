import { describe, expect, test } from 'vitest'

const { differences, isSmall, judge } = await import(new URL('../bench/zoo/judge.mjs', import.meta.url).href)

const COUNT = 64
const start = Float32Array.from({ length: COUNT }, (_, i) => 0.1 + 0.03 * Math.sin(3 * i + 1))
const weights = new Map([['beta', { data: start }]])
/** What is read off weights of float32 that moved so: after minus before. */
const readOff = (move: (i: number) => number): Float64Array => Float64Array.from(start, (w, i) => Math.fround(w + move(i)) - w)
const subject = (move: (i: number) => number) => ({ check: [1], moves: new Map([['beta', readOff(move)]]) })
const NOTHING = { losses: [0], moves: { beta: 0 } }
const told = (got: (i: number) => number, want: (i: number) => number): string | undefined => {
  const found = differences(subject(got), subject(want), weights)
  return isSmall(found) ? undefined : judge(found, NOTHING)
}

/** What a step moves such a parameter by in a net whose rate is small. */
const real = (i: number): number => 1e-5 * Math.cos(5 * i)
/** A gradient of 0 but for rounding: at most a last place of what moves. */
const noise = (seed: number) => (i: number): number => 4e-9 * Math.sin(seed + 7 * i)

describe('the move of a parameter', () => {
  test('that is nothing but last places is not another one where others flip', () => {
    expect(readOff(noise(1)).some((m) => m !== 0)).toBe(true)
    expect(told(noise(1), noise(2))).toBeUndefined()
    expect(told(noise(1), () => 0)).toBeUndefined()
    expect(told(() => 0, noise(2))).toBeUndefined()
  })

  test.each<[string, (i: number) => number]>([
    ['a term is missing: 3 %', (i) => 0.97 * real(i)],
    ['it does not move', () => 0],
    ['one of its numbers goes the other way', (i) => (i === 5 ? -real(i) : real(i))],
    ['its numbers are in another order', (i) => real(COUNT - 1 - i)],
    ['no number', () => NaN],
  ])('a fault is told: %s', (_, got) => {
    expect(told(got, real)).toMatch(/^the move of beta differs by/)
    expect(told(real, real)).toBeUndefined()
  })

  test('a move where none should be is told', () => {
    expect(told(real, noise(1))).toMatch(/^the move of beta differs by/)
  })
})
