import { describe, expect, test } from 'vitest'
import { isFaster, judge } from '../../measure/verdict.ts'

describe('which of two is faster', () => {
  test('the one that is in nearly every turn, by what is wanted', () => {
    expect(isFaster([8, 8, 9, 8, 8, 8, 8, 8, 8], [10, 10, 10, 10, 10, 10, 10, 10, 10], 0.97)).toBe(true)
    expect(isFaster([9.8, 9.8, 9.8], [10, 10, 10], 0.97)).toBe(false)
    expect(isFaster([10, 10, 10], [8, 8, 8], 0.97)).toBe(false)
    expect(isFaster([], [], 0.97)).toBe(false)
  })

  test('not one that was lucky once', () => {
    expect(isFaster([5, 11, 11, 11, 11, 11, 11, 11, 11], [10, 10, 10, 10, 10, 10, 10, 10, 10], 0.97)).toBe(false)
    // Half of the turns each.
    expect(isFaster([9, 11, 9, 11, 9, 11, 9, 11], [10, 10, 10, 10, 10, 10, 10, 10], 0.97)).toBe(false)
  })

  test('whatever else the machine does in some turns', () => {
    const others = [10, 10, 31, 10, 10, 10, 25, 10, 10, 10]
    expect(isFaster(others.map((ms) => 0.8 * ms), others, 0.97)).toBe(true)
    // A turn in which only one of them was held up.
    expect(isFaster([8, 8, 8, 40, 8, 8, 8, 8, 8, 8], others, 0.97)).toBe(true)
  })
})

describe('schedules that are not kept', () => {
  const of = (...programs: string[]) => ({ programs })
  const contestant = (ms: number) => ({ times: Array.from({ length: 13 }, (_, i) => ms + 0.001 * (i % 3)) })
  const report = (program: string, before: number, after: number) =>
    ({ program, contestants: [contestant(before), contestant(after)] }) as never
  const [infer, train, both, other] = [of('infer'), of('train'), of('infer', 'train'), of('step')]
  const all = [infer, train, both, other]

  test.each([
    ['both faster', 8, 8, []],
    ['one faster, the other as before', 8, 10, [train]],
    ['one faster, the other slower', 8, 12, [train, both]],
    ['neither', 10, 10, [infer, train, both]],
    ['both slower', 12, 12, [infer, train, both]],
  ])('%s', (_, inferMs, trainMs, wanted) => {
    expect(judge(all, [report('infer', 10, inferMs), report('train', 10, trainMs)])).toEqual({ givenUp: wanted, undecided: [] })
  })

  test('those of a program that computes something else, however fast', () => {
    const { contestants: [before, after] } = report('infer', 10, 5) as any
    expect(judge([infer, train], [{ program: 'infer', contestants: [before, { ...after, wrong: true }] }])).toEqual({
      givenUp: [infer],
      undecided: [],
    })
  })

  test('not yet those of a program whose shortest times are far apart while turns do not agree', () => {
    const busy = (least: number, most: number) => ({ times: Array.from({ length: 12 }, (_, i) => i % 2 ? most : least) })
    const train = { program: 'train', contestants: [busy(10, 20), busy(5, 30)] } as never
    const worse = { program: 'train', contestants: [busy(5, 30), busy(10, 20)] } as never
    for (const one of [train, worse]) {
      expect(judge(all, [report('infer', 10, 10), one])).toEqual({ givenUp: [infer], undecided: [all[1], both] })
      // Slower in one is slower, whatever the other is.
      expect(judge(all, [report('infer', 10, 12), one])).toEqual({ givenUp: [infer, both], undecided: [all[1]] })
    }
    // By 3 %: no more than chance.
    const near = { program: 'train', contestants: [busy(10, 20), busy(9.7, 30)] } as never
    expect(judge(all, [near])).toEqual({ givenUp: [all[1], both], undecided: [] })
  })

  test('where nothing was measured, all are', () => {
    expect(judge(all, [])).toEqual({ givenUp: [], undecided: [] })
  })
})
