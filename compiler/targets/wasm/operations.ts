import type { Operand } from '../../codegen/kernel-function.ts'
import type { Code } from './code.ts'
import { SCALAR, VECTOR } from './instructions.ts'
import type { Locals } from './locals.ts'
import { type Keep, MATH, type MathName, SHORT, writeOut } from './math.ts'
import type { PlainOp } from './opcodes.ts'
import { lanesOfArguments } from './uses.ts'

type Operation = Extract<Operand, { kind: 'operation' }>

/** Prints the operations of a kernel, for one lane or for four. */
export class Operations {
  private readonly code: Code
  private readonly locals: Locals
  private readonly firstMath: number
  private readonly callsNone: boolean
  private readonly value: (operand: Operand, lanes: 1 | 4) => void

  /** `firstMath` is the index of the first function of `math.ts`; with `callsNone` vectors take none of them; `value` leaves an operand on the stack. */
  constructor(code: Code, locals: Locals, firstMath: number, callsNone: boolean, value: (operand: Operand, lanes: 1 | 4) => void) {
    this.code = code
    this.locals = locals
    this.firstMath = firstMath
    this.callsNone = callsNone
    this.value = value
  }

  /** Calls a function of `math.ts`, whose arguments are on the stack. */
  math(name: MathName): void {
    this.code.call(this.firstMath + MATH.indexOf(name))
  }

  /** Leaves the result on the stack. */
  print(operand: Operation): void {
    const { code } = this
    const { op, args, lanes } = operand
    const four = lanesOfArguments(operand) === 4
    const [a, b, c] = args as [Operand, Operand, Operand]
    const push = (...operands: readonly Operand[]): void => {
      for (const o of operands) this.value(o, four ? 4 : 1)
    }
    switch (op) {
      case 'fma':
        if (four) {
          push(a, b)
          code.multiplyAdd(() => push(c))
        } else {
          push(c, a, b)
          code.op('f32.mul').op('f32.add')
        }
        return
      case 'finite':
        push(a)
        // Neither NaN, which no comparison holds for, nor infinite.
        if (four) code.op('f32x4.abs').f32x4(Infinity, Infinity, Infinity, Infinity).op('f32x4.lt')
        else code.op('f32.abs').f32(Infinity).op('f32.lt')
        return
      case 'andnot':
        if (four) {
          push(a, b)
          code.op('v128.andnot')
        } else if (a.kind === 'truth') {
          push(b)
          code.op('i32.eqz')
        } else {
          push(a, b)
          code.op('i32.eqz').op('i32.and')
        }
        return
      case 'select': {
        const mask = four ? lanesThatHold(a) : undefined
        if (mask) {
          // One instruction, where engines would make the vector of a mask anew each time.
          push(b, c)
          code.shuffle(...mask)
        } else if (four && isZero(c)) {
          push(b, a)
          code.op('v128.and')
        } else if (four && isZero(b)) {
          push(c, a)
          code.op('v128.andnot')
        } else if (!four && operand.type === 'f32' && comparesNumbers(a)) {
          this.print({ ...operand, args: [inLanes(a), b, c], lanes: 4 })
          code.lane('f32x4.extract_lane', 0)
        } else {
          push(b, c, a)
          if (four) code.chooseLanes()
          else code.op('select')
        }
        return
      }
      case 'sign':
        if (four) {
          code.f32x4(1, 1, 1, 1)
          push(a)
          code.f32x4(0, 0, 0, 0).op('f32x4.gt').op('v128.and')
          code.f32x4(1, 1, 1, 1)
          push(a)
          code.f32x4(0, 0, 0, 0).op('f32x4.lt').op('v128.and').op('f32x4.sub')
          push(a, a)
          code.op('f32x4.ne').op('v128.or')
        } else {
          push(a, a)
          code.f32(0).op('f32.gt').op('f32.convert_i32_s')
          push(a)
          code.f32(0).op('f32.lt').op('f32.convert_i32_s').op('f32.sub')
          push(a, a)
          code.op('f32.ne').op('select')
        }
        return
      case 'imin':
        push(a, b, a, b)
        code.op('i32.lt_s').op('select')
        return
      case 'rounded':
        return push(a)
      case 'lanesum':
      case 'lanemax':
        return this.acrossLanes(op, a)
      case 'lanesums':
        return this.sums(args)
      case 'exp':
      case 'tanh':
      case 'erf':
      case 'log':
      case 'pow':
        if (lanes === 4 && (this.callsNone || SHORT.has(op))) return this.writeOut(op, args)
        for (const arg of args) this.value(arg, 4)
        this.math(op)
        if (lanes === 1) code.lane('f32x4.extract_lane', 0)
        return
    }
    if (op === 'min' || op === 'max') {
      this.extreme(VECTOR[op], a, b)
      if (!four) code.lane('f32x4.extract_lane', 0)
      return
    }
    push(...args)
    code.op(four ? VECTOR[op] : SCALAR[op])
  }

  /** Writes a function of `math.ts` out. */
  private writeOut(name: Exclude<MathName, 'random'>, args: readonly Operand[]): void {
    const { code, locals } = this
    const own: number[] = []
    const keep: Keep = (value) => {
      const made = locals.local('v128')
      own.push(made)
      value(code)
      code.set(made)
      return (c) => c.get(made)
    }
    writeOut(name, args.map((arg) => keep(() => this.value(arg, 4))), keep)(code)
    locals.giveBack('v128', own)
  }

  /** The smaller or larger, lane by lane; NaN where either is. */
  private extreme(op: PlainOp, a: Operand, b: Operand): void {
    const { code } = this
    const [first, second] = isNumber(a) ? [b, a] : [a, b]
    this.value(first, 4)
    if (isNumber(second) || isChosenNumber(second)) {
      this.value(second, 4)
      code.op(op)
      return
    }
    const other = this.locals.temporary('v128')
    this.value(second, 4)
    // All bits of a lane that is NaN: they stay so through any further `pmin`, `pmax` and `or`.
    code.tee(other).op(op).get(other).get(other).op('f32x4.ne').op('v128.or')
  }

  /** Halves are put together, then the two that are left. */
  private acrossLanes(op: 'lanesum' | 'lanemax', of: Operand): void {
    const { code } = this
    const whole = this.locals.temporary('v128')
    this.value(of, 4)
    code.tee(whole).get(whole).get(whole).shuffle(2, 3, 0, 1)
    if (op === 'lanesum') {
      code.op('f32x4.add').tee(whole)
      code.lane('f32x4.extract_lane', 0).get(whole).lane('f32x4.extract_lane', 1).op('f32.add')
      return
    }
    const half = this.locals.local('v128')
    code.tee(half).op('f32x4.pmax').get(half).get(half).op('f32x4.ne').op('v128.or')
    code.tee(whole).get(whole).get(whole).shuffle(1, 0, 3, 2)
    code.tee(half).op('f32x4.pmax').get(half).get(half).op('f32x4.ne').op('v128.or').lane('f32x4.extract_lane', 0)
  }

  /** A transposition of four vectors, whose columns are added on the way as `acrossLanes` adds lanes. */
  private sums(vectors: readonly Operand[]): void {
    const { code } = this
    const [first, second] = [this.locals.for('sums first', 'v128'), this.locals.for('sums second', 'v128')]
    // Leaves, for two vectors, the sums of lanes 0 and 2, and those of lanes 1 and 3.
    const halves = (a: Operand, b: Operand): void => {
      this.value(a, 4)
      code.set(first)
      this.value(b, 4)
      code.set(second)
      code.get(first).get(second).shuffle(0, 4, 1, 5).get(first).get(second).shuffle(2, 6, 3, 7).op('f32x4.add')
    }
    const [a, b, c, d] = vectors as [Operand, Operand, Operand, Operand]
    const pair = this.locals.for('sums of a pair', 'v128')
    halves(a, b)
    code.set(pair)
    halves(c, d)
    code.set(first)
    code.get(pair).get(first).shuffle(0, 1, 4, 5).get(pair).get(first).shuffle(2, 3, 6, 7).op('f32x4.add')
  }
}

/** Lanes of the first operand of a choice where its condition holds, else of the second; undefined where it is not known. */
function lanesThatHold(condition: Operand): [number, number, number, number] | undefined {
  if (condition.kind !== 'vector') return undefined
  const lanes = condition.parts.map((part, lane) => (part.kind !== 'truth' ? undefined : part.value ? lane : 4 + lane))
  return lanes.every((lane) => lane !== undefined) ? lanes as [number, number, number, number] : undefined
}

/**
 * Whether a condition depends on numbers of a net rather than on places alone. Engines branch for a scalar `select`, `min` or `max` of such, and processors
 * guess half of these wrong: one lane of a vector takes no branch.
 */
const comparesNumbers = (condition: Operand): boolean =>
  condition.kind === 'operation' && (COMPARISONS.has(condition.op) || (JOINED.has(condition.op) && condition.args.some(comparesNumbers)))
const COMPARISONS: ReadonlySet<string> = new Set(['lt', 'le', 'eq', 'finite'])
const JOINED: ReadonlySet<string> = new Set(['and', 'andnot'])

/** The same condition as a mask of lanes. */
const inLanes = (condition: Operand): Operand =>
  !comparesNumbers(condition) || condition.kind !== 'operation' ? condition
    : { ...condition, lanes: 4, args: JOINED.has(condition.op) ? condition.args.map(inLanes) : condition.args }

const isNumber = (operand: Operand): boolean =>
  operand.kind === 'number' || (operand.kind === 'vector' && operand.parts.every((p) => p.kind === 'number'))
/** One of several numbers, by conditions: never NaN. */
const isChosenNumber = (operand: Operand): boolean =>
  operand.kind === 'operation' && operand.op === 'select' && operand.args.slice(1).every((arg) => isNumber(arg) || isChosenNumber(arg))
const isZero = (operand: Operand): boolean => operand.kind === 'number' && operand.value === 0 && !Object.is(operand.value, -0)
