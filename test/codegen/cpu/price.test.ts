import { describe, expect, test } from 'vitest'
import { applySchedule } from '../../../compiler/codegen/cpu/apply-schedule.ts'
import { CpuScheduler } from '../../../compiler/codegen/cpu/choose.ts'
import { countWork } from '../../../compiler/codegen/cpu/count-work.ts'
import { axis, plus, times } from '../../../compiler/ir/affine.ts'
import { equation, type Equation, store } from '../../../compiler/ir/equation.ts'
import { add, div, exp, type Expression, guard, load, max, mul, sub, sum, within } from '../../../compiler/ir/expression.ts'
import { isSlower } from '../../../compiler/ir/price.ts'
import { type Tensor, tensor } from '../../../compiler/ir/tensor.ts'

const scheduler = new CpuScheduler()
const workOf = (e: Equation, batch: number) => countWork(e, applySchedule(e, scheduler.scheduleOf(e)), batch)

const x = tensor('x', ['n', 8, 17, 16])
const mapped = (result: Tensor, value: (at: ReturnType<typeof axis>[]) => Expression) => {
  const axes = result.shape.map((extent, d) => axis('nchw'[d]!, extent))
  return equation(result.name, [result.name], axes, [store(result, axes, value(axes))])
}
const logistic = (result: Tensor, source: Tensor): Equation => mapped(result, (at) => div(1, add(1, exp(sub(0, load(source, ...at))))))
/** Sums of windows of so many rows and columns, two apart. */
const windows = (result: Tensor, source: Tensor, size: number): Equation =>
  mapped(result, ([n, c, h, w]) => {
    const [kh, kw] = [axis('kh', size), axis('kw', size)]
    return sum([kh, kw], load(source, n!, c!, plus(times(h!, 2), kh), plus(times(w!, 2), kw)))
  })

describe('work', () => {
  test('of a pass: each vector is loaded, computed and stored once', () => {
    const vectors = 3 * 8 * 17 * 16 / 4
    const { loads, stores, functions, bytes } = workOf(logistic(tensor('y', x.shape), x), 3)
    expect({ loads, stores, functions, bytes }).toEqual({ loads: vectors, stores: vectors, functions: vectors, bytes: 2 * 16 * vectors })
  })

  test('of a sum that a sum around it does not change with: taken once', () => {
    const flat = tensor('x', ['n', 64])
    const out = tensor('y', ['n'])
    const [n, i, j] = [axis('n', 'n'), axis('i', 64), axis('j', 64)]
    const mean = mul(sum([i], load(flat, n, i)), 1 / 64)
    const apart = sub(load(flat, n, j), mean)
    const { loads } = workOf(equation('y', ['y'], [n], [store(out, [n], sum([j], mul(apart, apart)))]), 2)
    expect(loads).toBe(2 * 2 * 64 / 4)
  })
})

describe('prices', () => {
  const s = tensor('s', x.shape)
  const price = (size: number) => {
    const y = tensor('y', ['n', 8, Math.floor((17 - size) / 2) + 1, Math.floor((16 - size) / 2) + 1])
    const joined = mapped(y, ([n, c, h, w]) => {
      const [kh, kw] = [axis('kh', size), axis('kw', size)]
      return sum([kh, kw], div(1, add(1, exp(sub(0, load(x, n!, c!, plus(times(h!, 2), kh), plus(times(w!, 2), kw)))))))
    })
    return scheduler.price([joined], [windows(y, s, size)], [logistic(s, x)])!
  }

  test('an exponential in windows that do not overlap costs what it costs in a pass', () => {
    expect(isSlower(price(2), 'functions')).toBe(false)
  })

  test('in windows that overlap it is computed again, and slower', () => {
    expect(isSlower(price(3), 'functions')).toBe(true)
  })
})

describe('a prologue is packed', () => {
  const source = tensor('source', ['n', 16, 16, 16])
  const out = tensor('out', ['n', 16, 16, 16])
  const convolution = (size: number, of: (e: Expression) => Expression): Equation =>
    mapped(out, ([n, o, h, w]) => {
      const [c, kh, kw] = [axis('c', 16), axis('kh', size), axis('kw', size)]
      const [row, column] = [plus(h!, kh, -(size >> 1)), plus(w!, kw, -(size >> 1))]
      const seen = guard([within(row, 16), within(column, 16)], of(load(source, n!, c, row, column)))
      return sum([c, kh, kw], mul(seen, load(tensor('weight', [16, 16, size, size]), o!, c, kh, kw)))
    })
  const isPacked = (size: number) => scheduler.packsPrologue(() => convolution(size, (e) => max(e, 0)), convolution(size, (e) => e))

  test('by Winograd, which packs its tiles in any case; not by register tiles that read a map as it lies', () => {
    expect([isPacked(3), isPacked(1)]).toEqual([true, false])
  })
})
