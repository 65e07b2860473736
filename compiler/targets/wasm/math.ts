import { Code, type ValueType } from './code.ts'
import type { WasmFunction } from './encode.ts'
import { CONTROL } from '../../../bundle/wasm-abi.ts'
import type { PlainOp } from './opcodes.ts'

/*
 * Functions that WebAssembly has no instructions for, four lanes at a time. Polynomials of the Cephes library (Moshier):
 * within 2 units in the last place.
 */

/** Writes instructions that leave a value on the stack. */
export type Value = (c: Code) => void

const constant = (value: number): Value => (c) => c.f32x4(value, value, value, value)
const bits = (value: number): Value => (c) => c.i32x4(value, value, value, value)
const local = (index: number): Value => (c) => c.get(index)
const op = (name: PlainOp, ...args: readonly Value[]): Value => (c) => {
  for (const arg of args) arg(c)
  c.op(name)
}
const add = (a: Value, b: Value): Value => op('f32x4.add', a, b)
const sub = (a: Value, b: Value): Value => op('f32x4.sub', a, b)
const mul = (a: Value, b: Value): Value => op('f32x4.mul', a, b)
const div = (a: Value, b: Value): Value => op('f32x4.div', a, b)
const and = (a: Value, b: Value): Value => op('v128.and', a, b)
const or = (a: Value, b: Value): Value => op('v128.or', a, b)
const shift = (name: 'i32x4.shl' | 'i32x4.shr_s' | 'i32x4.shr_u', a: Value, by: number): Value => (c) => {
  a(c)
  c.i32(by).op(name)
}
/** A mask chooses, lane by lane: the bits of each of its lanes are equal. */
const choose = (mask: Value, yes: Value, no: Value): Value => (code) => {
  for (const arg of [yes, no, mask]) arg(code)
  code.chooseLanes()
}
/** a b + c: one instruction in engines that have it. */
const madd = (a: Value, b: Value, c: Value): Value => (code) => {
  a(code)
  b(code)
  code.multiplyAdd(() => c(code))
}
/** c0 x^k + c1 x^(k-1) + ... */
const polynomial = (x: Value, coefficients: readonly number[]): Value =>
  coefficients.slice(1).reduce<Value>((sum, c) => madd(sum, x, constant(c)), constant(coefficients[0]!))

const SIGN = 0x80000000 | 0
const LOG2_HIGH = 0.693359375
const LOG2_LOW = -2.12194440e-4
const SMALLEST_NORMAL = 1.1754943508222875e-38

/** Takes a value that is used more than once into a local. */
export type Keep = (value: Value) => Value

class Body {
  readonly code = new Code()
  readonly locals: ValueType[] = []
  private readonly params: readonly ValueType[]

  constructor(params: readonly ValueType[]) {
    this.params = params
  }

  /** Keeps a value that is used more than once. */
  readonly keep = (value: Value, type: ValueType = 'v128'): Value => {
    const index = this.params.length + this.locals.push(type) - 1
    value(this.code)
    this.code.set(index)
    return local(index)
  }

  function(result: Value, type: ValueType = 'v128'): WasmFunction {
    result(this.code)
    return { type: { params: this.params, results: [type] }, locals: this.locals, code: this.code }
  }
}

/** Added to a number below 2^22, it leaves the nearest whole number in the lowest bits. */
const MAGIC = 1.5 * 2 ** 23

/**
 * The series is summed up in pairs (Estrin), since Horner's steps wait for each other: 0.8 of the time. The nearest whole number is found by an addition, since
 * V8 makes seven instructions of a conversion that knows NaN.
 */
function exp(given: Value, keep: Keep): Value {
  const x = keep(op('f32x4.pmin', op('f32x4.pmax', given, constant(-104)), constant(89)))
  const shifted = keep(madd(x, constant(Math.LOG2E), constant(MAGIC)))
  const n = keep(sub(shifted, constant(MAGIC)))
  const r = keep(madd(n, constant(-LOG2_LOW), madd(n, constant(-LOG2_HIGH), x)))
  const square = keep(mul(r, r))
  const pair = (first: number, second: number): Value => madd(r, constant(first), constant(second))
  const late = madd(square, pair(1.9875691500e-4, 1.3981999507e-3), pair(8.3334519073e-3, 4.1665795894e-2))
  const tail = madd(square, late, pair(1.6666665459e-1, 5.0000001201e-1))
  const y = madd(tail, square, add(r, constant(1)))
  // 2^n in two steps: n reaches beyond the exponents that a float32 has, on both sides. The bits of MAGIC are shifted out.
  const half = keep(shift('i32x4.shl', shift('i32x4.shr_s', shifted, 1), 23))
  const whole = shift('i32x4.shl', shifted, 23)
  const power = (exponent: Value): Value => op('i32x4.add', exponent, constant(1))
  return mul(mul(y, power(half)), power(op('i32x4.sub', whole, half)))
}

function log(given: Value, keep: Keep): Value {
  const tiny = keep(op('f32x4.lt', given, constant(SMALLEST_NORMAL)))
  const x = keep(choose(tiny, mul(given, constant(2 ** 23)), given))
  const mantissa = keep(or(and(x, bits(0x7fffff)), bits(0x3f000000)))
  const below = keep(op('f32x4.lt', mantissa, constant(Math.SQRT1_2)))
  const exponent = op('i32x4.sub', shift('i32x4.shr_u', x, 23), bits(126))
  const e = keep(sub(sub(op('f32x4.convert_i32x4_s', exponent), and(tiny, constant(23))), and(below, constant(1))))
  const m = keep(sub(add(mantissa, and(below, mantissa)), constant(1)))
  const z = keep(mul(m, m))
  const series = polynomial(m, [
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
  ])
  const y = sub(add(mul(mul(series, m), z), mul(e, constant(LOG2_LOW))), mul(z, constant(0.5)))
  const usual = keep(add(add(m, y), mul(e, constant(LOG2_HIGH))))
  const beyond = choose(
    op('f32x4.eq', given, constant(0)),
    constant(-Infinity),
    choose(op('f32x4.eq', given, constant(Infinity)), constant(Infinity), constant(NaN)),
  )
  const inside = op('v128.and', op('f32x4.lt', constant(0), given), op('f32x4.lt', given, constant(Infinity)))
  return choose(inside, usual, beyond)
}

function tanh(x: Value, keep: Keep): Value {
  const size = keep(op('f32x4.abs', x))
  const z = keep(mul(x, x))
  const near = add(
    mul(mul(polynomial(z, [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1]), z), x),
    x,
  )
  const e = exp(add(size, size), keep)
  const far = or(sub(constant(1), div(constant(2), add(e, constant(1)))), and(x, bits(SIGN)))
  return choose(op('f32x4.lt', size, constant(0.625)), near, far)
}

/** x P(x^2) / Q(x^2) on [-4, 4], beyond which erf is 1 in float32: the rational approximation that Eigen uses, 2e-7. */
function erf(given: Value, keep: Keep): Value {
  const x = keep(op('f32x4.pmin', op('f32x4.pmax', given, constant(-4)), constant(4)))
  const y = keep(mul(x, x))
  const p = polynomial(y, [
    -2.72614225801306e-10,
    2.77068142495902e-8,
    -2.10102402082508e-6,
    -5.69250639462346e-5,
    -7.34990630326855e-4,
    -2.95459980854025e-3,
    -1.60960333262415e-2,
  ])
  const q = polynomial(y, [-1.45660718464996e-5, -2.13374055278905e-4, -1.68282697438203e-3, -7.37332916720468e-3, -1.42647391514189e-2])
  return div(mul(x, p), q)
}

/** Computes what Math.pow does: a negative base has powers to whole numbers alone, everything to the power of 0 is 1. */
function pow(base: Value, exponent: Value, keep: Keep): Value {
  const size = keep(exp(mul(exponent, log(keep(op('f32x4.abs', base)), keep)), keep))
  const whole = op('f32x4.eq', op('f32x4.floor', exponent), exponent)
  const half = keep(mul(exponent, constant(0.5)))
  const odd = op('v128.not', op('f32x4.eq', op('f32x4.floor', half), half))
  const negative = choose(whole, or(size, and(odd, bits(SIGN))), constant(NaN))
  const some = choose(op('f32x4.lt', base, constant(0)), negative, size)
  return choose(op('f32x4.eq', exponent, constant(0)), constant(1), some)
}

/**
 * What kernels may write out instead of a call. Those for engines that join neighbouring vectors write out all of it: Node 26 ends a process that it makes
 * join two calls which give a vector each to one of twice the width.
 */
const WRITTEN_OUT = { exp, log, tanh, erf, pow: (base: Value, keep: Keep, exponent: Value) => pow(base, exponent, keep) }
type WrittenOut = keyof typeof WRITTEN_OUT

/** These all kernels write out: a call empties all registers of vectors, and takes as long. Of log and pow inference in a net with softplus loses 5 %. */
export const SHORT: ReadonlySet<MathName> = new Set(['exp', 'tanh', 'erf'])

/** Leaves the function of these arguments, each of which is used more than once, on the stack. */
export const writeOut = (name: WrittenOut, args: readonly Value[], keep: Keep): Value => WRITTEN_OUT[name](args[0]!, keep, args[1]!)

/** Twin of targets/interpreter/random.ts: (key, at) -> [0, 1). */
function random(): WasmFunction {
  const b = new Body(['i32', 'i32'])
  const word = (value: number): Value => (c) => c.i32(value)
  const control = (at: number): Value => (c) => c.i32(0).memory('i32.load', at)
  const mix = (value: Value): Value => {
    let x = b.keep(value, 'i32')
    for (const [by, factor] of [[16, 0x85ebca6b], [13, 0xc2b2ae35]] as const) {
      x = b.keep(op('i32.mul', op('i32.xor', x, op('i32.shr_u', x, word(by))), word(factor)), 'i32')
    }
    return b.keep(op('i32.xor', x, op('i32.shr_u', x, word(16))), 'i32')
  }
  let x = mix(op('i32.xor', control(CONTROL.step + 8), word(0x9e3779b9)))
  x = mix(op('i32.add', x, op('i32.mul', control(CONTROL.step + 4), word(0x85ebca6b))))
  x = mix(op('i32.xor', x, local(0)))
  x = mix(op('i32.add', x, op('i32.mul', local(1), word(0x9e3779b1))))
  const result = op('f32.mul', op('f32.convert_i32_u', op('i32.shr_u', x, word(8))), (c) => c.f32(1 / 16777216))
  return b.function(result, 'f32')
}

/** The functions in the order that they have in every module. */
export const MATH = ['exp', 'log', 'tanh', 'erf', 'pow', 'random'] as const
export type MathName = (typeof MATH)[number]

/** The functions, the first of which will have the index `first`. `users`: what calls them; a function that none of these calls is empty. */
export function mathFunctions(first: number, users?: readonly WasmFunction[]): WasmFunction[] {
  return MATH.map((name, i) => {
    const fn = functionOf(name)
    return !users || users.some(({ code }) => code.calls.has(first + i)) ? fn
      : { type: fn.type, locals: [], code: new Code().op('unreachable') }
  })
}

/** The same in every module, and nobody changes them: a net has a module for each group of programs. */
const known = new Map<MathName, WasmFunction>()

function functionOf(name: MathName): WasmFunction {
  const before = known.get(name)
  if (before) return before
  const made = name === 'random' ? random() : called(name)
  known.set(name, made)
  return made
}

function called(name: WrittenOut): WasmFunction {
  const params: readonly ValueType[] = name === 'pow' ? ['v128', 'v128'] : ['v128']
  const b = new Body(params)
  return b.function(writeOut(name, params.map((_, i) => local(i)), b.keep))
}
