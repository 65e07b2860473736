import { describe, expect, test } from 'vitest'
import { Code } from '../../compiler/targets/wasm/code.ts'
import { encodeModule, type WasmFunction } from '../../compiler/targets/wasm/encode.ts'
import { MATH, type MathName, mathFunctions } from '../../compiler/targets/wasm/math.ts'
import { randomUniform } from '../../compiler/targets/interpreter/random.ts'
import { erf } from '../../compiler/targets/interpreter/erf.ts'

const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
const numbers = new Float32Array(memory.buffer)
const words = new Uint32Array(memory.buffer)

/** One function a name, which takes its arguments from memory and leaves four results there. */
function instance(): Record<string, () => void> {
  const wrap = (name: MathName): WasmFunction => {
    const c = new Code().i32(4096)
    c.i32(1024).memory('v128.load')
    if (name === 'pow') c.i32(1040).memory('v128.load')
    c.call(MATH.indexOf(name)).memory('v128.store')
    return { type: { params: [], results: [] }, locals: [], code: c }
  }
  const vectors = MATH.filter((name) => name !== 'random')
  const draw = new Code().i32(4096).i32(1024).memory('i32.load').i32(1028).memory('i32.load').call(MATH.indexOf('random')).memory(
    'f32.store',
  )
  const functions = [
    ...mathFunctions(0),
    ...vectors.map(wrap),
    { type: { params: [], results: [] }, locals: [], code: draw } satisfies WasmFunction,
  ]
  const exports = [...vectors, 'random' as const].map((name, i) => ({ name, function: MATH.length + i }))
  const bytes = encodeModule({
    types: [],
    functions,
    table: { isImported: false, size: 0, rows: [{ first: 0, functions: [] }] },
    exports,
    maxPages: 65536,
  })
  return new WebAssembly.Instance(new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>), { env: { memory } }).exports as Record<
    string,
    () => void
  >
}
const call = instance()

function evaluate(name: MathName, x: readonly number[], y: readonly number[] = []): number[] {
  numbers.set(x, 256)
  numbers.set(y, 260)
  call[name]!()
  return [...numbers.slice(1024, 1024 + x.length)]
}

const spread = (from: number, to: number, count = 4000): number[] =>
  Array.from({ length: count }, (_, i) => Math.fround(from + ((to - from) * i) / (count - 1)))

describe('mathematics in float32', () => {
  const cases: readonly [MathName, (x: number) => number, readonly number[], number][] = [
    ['exp', Math.exp, spread(-87, 88), 3e-7],
    ['log', Math.log, [...spread(1e-30, 1e-10), ...spread(0.01, 3), ...spread(3, 1e30)], 3e-7],
    ['tanh', Math.tanh, [...spread(-12, 12), ...spread(-1e-3, 1e-3)], 4e-7],
    ['erf', erf, spread(-5, 5), 1e-6],
  ]
  test.each(cases)('%s', (name, exact, points, allowed) => {
    let worst = 0
    for (let i = 0; i < points.length; i += 4) {
      const four = points.slice(i, i + 4)
      evaluate(name, four).slice(0, four.length).forEach((got, k) => {
        const want = exact(four[k]!)
        // Where a logarithm is close to 0, its argument's own rounding counts.
        worst = Math.max(worst, Math.abs(got - want) / Math.max(Math.abs(want), name === 'log' ? 1 : 1e-30))
      })
    }
    expect(worst).toBeLessThan(allowed)
  })

  test('ends and what is no number', () => {
    expect(evaluate('exp', [-1000, 1000, NaN, 0])).toEqual([0, Infinity, NaN, 1])
    expect(evaluate('log', [0, -1, Infinity, 1])).toEqual([-Infinity, NaN, Infinity, 0])
    expect(evaluate('log', [NaN, 1e-40, 1, 1])[0]).toBeNaN()
    expect(evaluate('log', [NaN, 1e-40, 1, 1])[1]).toBeCloseTo(Math.log(1e-40), 2)
    expect(evaluate('tanh', [-100, 100, 0, NaN])).toEqual([-1, 1, 0, NaN])
    expect(evaluate('erf', [-100, 100, 0, 1]).slice(0, 3).map((v) => Math.round(v * 1e6) / 1e6)).toEqual([-1, 1, 0])
  })

  test('pow', () => {
    const bases = [0.001, 0.5, 1, 1.7, 2, 10, 100]
    for (const base of bases) {
      for (const exponent of [-2, -0.75, 0, 0.5, 1, 3]) {
        expect(evaluate('pow', [base, base, base, base], [exponent, exponent, exponent, exponent])[0]! / base ** exponent).toBeCloseTo(1, 5)
      }
    }
    const special = evaluate('pow', [0, 0, -2, -2], [0.5, 0, 3, 0.5])
    expect(special.slice(0, 2)).toEqual([0, 1])
    expect(special[2]).toBeCloseTo(-8, 4)
    expect(special[3]).toBeNaN()
  })
})

test('random numbers are those of every other device', () => {
  for (const [seed, step, key, at] of [[0, 0, 0, 0], [7, 3, 123456, 99], [4294967295, 1000, 2147483647, 1 << 20]] as const) {
    words.set([step, seed], 17)
    words.set([key, at], 256)
    call['random']!()
    expect(numbers[1024]).toBe(randomUniform(seed, step, key, at))
  }
})
