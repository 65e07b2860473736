import type { KernelFunction, Operand, Statement } from '../../compiler/codegen/kernel-function.ts'
import { type Equation, reads, writes } from '../../compiler/ir/equation.ts'
import { LOWEST } from '../../compiler/ir/expression.ts'
import type { Tensor } from '../../compiler/ir/tensor.ts'
import { elementCount, evaluateEquation, type Numbers } from '../../compiler/targets/interpreter/evaluate.ts'

type Value = number | readonly number[]
type Names = ReadonlyMap<string, Value>

/**
 * Runs a kernel function in float64, straight from its statements: the invocations of a workgroup go on one after the other from barrier to
 * barrier, each with names of its own. It covers what kernels for GPUs without subgroups contain and throws on anything else, and on an
 * address outside of memory that is written.
 */
export function runKernelFunction(f: KernelFunction, storage: ReadonlyMap<Tensor, Numbers>, batch: number): void {
  const extents = f.grid.map(({ extent: e }) => (typeof e === 'number' ? e : e === 'n' ? batch : Math.ceil(batch / e.chunks)))
  const group = f.group ?? []
  for (const point of coordinates(extents)) {
    const at = new Map<string, Value>(f.grid.map(({ name }, i) => [name, point[i]!]))
    const shared = (f.shared ?? []).map(({ elements, lanes }) => ({ numbers: new Float64Array(elements * lanes).fill(NaN), lanes }))
    const memory = [...f.bindings.map(({ tensor }) => ({ numbers: storage.get(tensor)!, lanes: 1 as const })), ...shared]
    let going = coordinates(group.map(({ extent }) => extent)).map((inside, local) => {
      const names = new Map([...at, ['local', local] as const, ...group.map(({ name }, i) => [name, inside[i]!] as const)])
      return new Invocation(memory, batch).run(f.body, names)
    })
    while (going.length > 0) {
      const arrived = going.filter((invocation) => !invocation.next().done)
      if (arrived.length > 0 && arrived.length < going.length) throw new Error(`${f.name}: some invocations miss a barrier`)
      going = arrived
    }
  }
}

const coordinates = (extents: readonly number[]): number[][] =>
  extents.reduce<number[][]>((before, e) => before.flatMap((c) => Array.from({ length: e }, (_, i) => [...c, i])), [[]])

interface Memory {
  readonly numbers: Numbers
  readonly lanes: 1 | 4
}

class Invocation {
  private readonly memory: readonly Memory[]
  private readonly batch: number

  constructor(memory: readonly Memory[], batch: number) {
    this.memory = memory
    this.batch = batch
  }

  *run(body: readonly Statement[], names: Map<string, Value>): Generator<void> {
    for (const s of body) {
      if (s.kind === 'let' || s.kind === 'var' || s.kind === 'set') {
        const value = this.value(s.value, names)
        names.set(s.name, s.kind !== 'set' && s.lanes === 4 && typeof value === 'number' ? [value, value, value, value] : value)
      } else if (s.kind === 'for') {
        const extent = this.number(s.extent, names)
        for (let i = s.from ? this.number(s.from, names) : 0; i < extent; i += s.by ?? 1) yield* this.run(s.body, names.set(s.name, i))
      } else if (s.kind === 'if') {
        if (this.number(s.condition, names)) yield* this.run(s.body, names)
      } else if (s.kind === 'step') yield* this.run(s.body, names)
      else if (s.kind === 'barrier') yield
      else if (s.kind === 'store') this.store(s, names)
      else throw new Error(`no ${s.kind} here`)
    }
  }

  private store({ binding, at, value, lanes, step = 1 }: Extract<Statement, { kind: 'store' }>, names: Names): void {
    const { numbers, lanes: width } = this.memory[binding]!
    const stored = this.value(value, names)
    const first = this.number(at, names) * width
    const elements = width === 4 || lanes === 4 ? (stored as readonly number[]) : [stored as number]
    elements.forEach((x, i) => {
      const place = first + i * step
      if (!(place >= 0 && place < numbers.length)) throw new Error(`a store to element ${place} of ${numbers.length}`)
      numbers[place] = x
    })
  }

  private number(operand: Operand, names: Names): number {
    const value = this.value(operand, names)
    if (typeof value !== 'number') throw new Error('four lanes where one is wanted')
    return value
  }

  private value(o: Operand, names: Names): Value {
    switch (o.kind) {
      case 'number':
        return o.value
      case 'truth':
        return Number(o.value)
      case 'name': {
        const value = names.get(o.name)
        if (value === undefined) throw new Error(`${o.name} is not there`)
        return value
      }
      case 'load': {
        const { numbers, lanes } = this.memory[o.binding]!
        const first = this.number(o.at, names) * lanes
        const elements = Array.from({ length: lanes === 4 ? 4 : o.lanes ?? 1 }, (_, i) => numbers[first + i * (o.step ?? 1)] ?? NaN)
        return elements.length === 1 ? elements[0]! : elements
      }
      case 'vector':
        return o.parts.map((part) => this.number(part, names))
      case 'lane':
        return (this.value(o.of, names) as readonly number[])[o.lane]!
      case 'batch':
        return Math.ceil(this.batch / o.chunks)
      case 'scalar':
        if (o.name !== 'batch') throw new Error(`no ${o.name} here`)
        return this.batch
      case 'operation': {
        const args = o.args.map((a) => this.value(a, names))
        if (o.op === 'lanesum') return (args[0] as readonly number[]).reduce((a, b) => a + b)
        if (o.op === 'lanesums') return (args as (readonly number[])[]).map((lanes) => lanes.reduce((a, b) => a + b))
        if (o.op === 'lanemax') return Math.max(...args[0] as readonly number[])
        if (args.every((a) => typeof a === 'number')) return apply(o.op, args)
        return [0, 1, 2, 3].map((lane) => apply(o.op, args.map((a) => (typeof a === 'number' ? a : a[lane]!))))
      }
      default:
        throw new Error(`no ${o.kind} here`)
    }
  }
}

function apply(op: Extract<Operand, { kind: 'operation' }>['op'], [a = 0, b = 0, c = 0]: readonly number[]): number {
  switch (op) {
    case 'fma':
      return a * b + c
    case 'select':
      return a ? b : c
    case 'lt':
      return Number(a < b)
    case 'le':
      return Number(a <= b)
    case 'eq':
    case 'ieq':
      return Number(a === b)
    case 'finite':
      return Number(Math.abs(a) <= -LOWEST)
    case 'and':
      return Number(a !== 0 && b !== 0)
    case 'within':
      return Number(a >= 0 && a < b)
    case 'add':
    case 'iadd':
      return a + b
    case 'sub':
      return a - b
    case 'mul':
    case 'imul':
      return a * b
    case 'div':
      return a / b
    case 'idiv':
      return Math.trunc(a / b)
    case 'irem':
      return a % b
    case 'imin':
    case 'min':
      return Math.min(a, b)
    case 'max':
      return Math.max(a, b)
    case 'pow':
      return a ** b
    case 'neg':
      return -a
    case 'sqrt':
      return Math.sqrt(a)
    case 'exp':
      return Math.exp(a)
    case 'log':
      return Math.log(a)
    case 'tanh':
      return Math.tanh(a)
    case 'abs':
      return Math.abs(a)
    case 'sign':
      return Math.sign(a)
    case 'floor':
      return Math.floor(a)
    case 'float':
    case 'rounded':
      return a
    default:
      throw new Error(`no ${op} here`)
  }
}

/** The largest difference, relative to 1 + the value, between what a kernel function stores and what the interpreter makes of its equation. */
export function differenceFrom(e: Equation, f: KernelFunction, batch: number): number {
  const fill = (t: Tensor, k: number): Numbers =>
    Float64Array.from({ length: elementCount(t, batch) }, (_, i) => 1.5 + Math.sin(1 + 1.7 * i + 13 * k))
  const inputs = reads(e).map((t, k) => [t, fill(t, k)] as const)
  const outputs = writes(e).filter((t) => !inputs.some(([u]) => u === t)).map((t) => [t, new Float64Array(elementCount(t, batch))] as const)
  const fresh = (): Map<Tensor, Numbers> => new Map([...inputs, ...outputs].map(([t, numbers]) => [t, numbers.slice()]))
  const [want, got] = [fresh(), fresh()]
  evaluateEquation(e, want, { batch })
  runKernelFunction(f, got, batch)
  let worst = 0
  for (const t of writes(e)) {
    want.get(t)!.forEach((x, i) => {
      const difference = Math.abs(x - got.get(t)![i]!) / (1 + Math.abs(x))
      worst = difference <= worst ? worst : difference
    })
  }
  return worst
}
