import { invariant } from '../../invariant.ts'
import type { Expression, Guard } from '../../loops/expression.ts'
import type { Axis, Extent, Index } from '../../loops/index-expression.ts'
import { type Equation, reads, type SideMoments, type Store, writes } from '../../loops/kernel.ts'
import { randomUniform } from '../../loops/random.ts'
import { sumsEquation } from '../../loops/side-sums.ts'
import { elementsPerSample, isBatched, strides, type Tensor } from '../../tensor.ts'
import { erf } from './erf.ts'

export type Numbers = Float64Array | Float32Array | Int32Array

export interface Scalars {
  readonly batch: number
  readonly step?: number
  readonly seed?: number
  readonly rate?: number
  readonly correction1?: number
  readonly correction2?: number
}

/** Elements of a tensor at a batch size. */
export const elementCount = (t: Tensor, batch: number): number => elementsPerSample(t.shape) * (isBatched(t.shape) ? batch : 1)

/**
 * Runs an equation in float64, point by point, exactly as it is written: no schedule, no tiles. The reference that every
 * other target is compared with. Tensors that are written and not in `storage` are added to it.
 */
export function evaluateEquation(equation: Equation, storage: Map<Tensor, Numbers>, scalars: Scalars): void {
  for (const t of writes(equation)) {
    if (!storage.has(t)) storage.set(t, new Float64Array(elementCount(t, scalars.batch)))
  }
  const { tensors, run } = compileEquation(equation)
  run(tensors.map((t) => {
    const data = storage.get(t)
    invariant(data, `${equation.name} reads ${t.name}, which nothing has written`)
    return data
  }), scalars)
}

export interface CompiledEquation {
  /** In the order in which `run` wants their storage. */
  readonly tensors: readonly Tensor[]
  readonly run: (data: readonly Numbers[], scalars: Scalars) => void
}

/** Prints an equation as a JavaScript loop nest. The text comes from the compiler, never from a bundle. */
export function compileEquation(equation: Equation): CompiledEquation {
  const tensors = [...new Set([...reads(equation), ...writes(equation)])]
  const printer = new Printer(tensors)
  const compute = (axes: readonly Axis[], stores: readonly Store[]): void => printer.loops(axes, () => {
    const values = stores.map((s) => printer.value(s.value))
    stores.forEach((s, i) => printer.line(`${printer.element(s.tensor, s.at)} ${s.counts ? '+' : ''}= ${values[i]};`))
  })
  if (equation.onLoad) compute(equation.onLoad.axes, [equation.onLoad.store])
  compute(equation.axes, equation.stores)
  const sums = equation.sides.flatMap((side) => (side.kind === 'sums' ? [compileEquation(sumsEquation(side))] : []))
  const body = new Function('T', 's', 'random', 'erf', printer.text()) as
    (data: readonly Numbers[], scalars: Scalars, random: typeof randomUniform, erf: (x: number) => number) => void
  return {
    tensors,
    run: (data, scalars) => {
      body(data, scalars, randomUniform, erf)
      const dataOf = (t: Tensor): Numbers => data[tensors.indexOf(t)]!
      for (const side of equation.sides) if (side.kind === 'moments') runMoments(equation, side, dataOf, scalars.batch)
      for (const side of sums) side.run(side.tensors.map(dataOf), scalars)
    },
  }
}

class Printer {
  private lines: string[] = []
  private names = new Map<Axis, string>()
  private scopes: Map<Expression, string>[] = [new Map()]
  private count = 0
  private readonly tensors: readonly Tensor[]

  constructor(tensors: readonly Tensor[]) {
    this.tensors = tensors
  }

  text(): string {
    return this.lines.join('\n')
  }

  line(text: string): void {
    this.lines.push(text)
  }

  loops(axes: readonly Axis[], inside: () => void): void {
    this.scopes.push(new Map())
    for (const a of axes) {
      const name = `i${this.count++}`
      this.names.set(a, name)
      this.line(`for (let ${name} = 0; ${name} < ${extentText(a.extent)}; ${name}++) {`)
    }
    inside()
    this.line('}'.repeat(axes.length))
    this.scopes.pop()
  }

  element(t: Tensor, at: readonly Index[]): string {
    const step = strides(t.shape)
    const parts = at.map((position, i) => `${step[i]} * (${this.index(position)})`)
    return `T[${this.tensors.indexOf(t)}][${parts.join(' + ') || '0'}]`
  }

  index(at: Index): string {
    const parts = at.terms.map(({ atom, coefficient }) => {
      if (atom.kind === 'axis') return `${coefficient} * ${this.names.get(atom.axis)}`
      const inner = this.index(atom.of)
      return atom.kind === 'div'
        ? `${coefficient} * Math.floor((${inner}) / ${atom.by})`
        : `${coefficient} * (((${inner}) % ${atom.by} + ${atom.by}) % ${atom.by})`
    })
    return [at.constant, ...parts].join(' + ')
  }

  guard(g: Guard): string {
    const at = this.index(g.at)
    return g.kind === 'divides' ? `(${at}) % ${g.by} === 0` : `(${at}) >= 0 && (${at}) < ${extentText(g.extent)}`
  }

  /** Emits what the value needs and returns the name that holds it. */
  value(e: Expression): string {
    for (const scope of this.scopes) {
      const known = scope.get(e)
      if (known) return known
    }
    const name = `v${this.count++}`
    if (e.kind === 'reduce') this.reduction(e, name)
    else if (e.kind === 'guard') {
      this.line(`let ${name} = ${e.otherwise};\nif (${e.guards.map((g) => this.guard(g)).join(' && ')}) {`)
      this.scopes.push(new Map())
      const inner = this.value(e.value)
      this.scopes.pop()
      this.line(`${name} = ${inner};\n}`)
    } else this.line(`const ${name} = ${this.simple(e)};`)
    this.scopes.at(-1)!.set(e, name)
    return name
  }

  private simple(e: Exclude<Expression, { kind: 'reduce' | 'guard' }>): string {
    switch (e.kind) {
      case 'constant': return String(e.value)
      case 'load': return this.element(e.tensor, e.at)
      case 'position': return this.index(e.at)
      case 'scalar': return `s.${e.name}`
      case 'random': return `random(s.seed, s.step, ${e.key}, ${this.index(e.at)})`
      case 'unary': {
        const a = this.value(e.a)
        if (e.op === 'rounded') return a
        return e.op === 'neg' ? `-${a}` : e.op === 'erf' ? `erf(${a})` : `Math.${e.op}(${a})`
      }
      case 'binary': {
        const a = this.value(e.a)
        const b = this.value(e.b)
        const signs = { add: '+', sub: '-', mul: '*', div: '/' } as const
        return e.op in signs ? `${a} ${signs[e.op as keyof typeof signs]} ${b}` : `Math.${e.op}(${a}, ${b})`
      }
      case 'select': {
        if (e.test === 'finite') return `Number.isFinite(${this.value(e.a)}) ? ${this.value(e.yes)} : ${this.value(e.no)}`
        const sign = { lt: '<', le: '<=', eq: '===' }[e.test]
        return `${this.value(e.a)} ${sign} ${this.value(e.b)} ? ${this.value(e.yes)} : ${this.value(e.no)}`
      }
    }
  }

  private reduction(e: Extract<Expression, { kind: 'reduce' }>, name: string): void {
    const at = `${name}_at`
    this.line(`let ${name} = ${e.combine === 'sum' ? 0 : '-Infinity'};`)
    if (e.combine === 'argmax') this.line(`let ${at} = 0, ${at}_next = 0;`)
    this.loops(e.axes, () => {
      const body = this.value(e.body)
      if (e.combine === 'sum') this.line(`${name} += ${body};`)
      else if (e.combine === 'max') this.line(`if (${beats(body, name)}) ${name} = ${body};`)
      else this.line(`if (${beats(body, name)}) { ${name} = ${body}; ${at} = ${at}_next; } ${at}_next++;`)
    })
    if (e.combine === 'argmax') this.line(`${name} = ${at};`)
  }
}

/** Whether a value takes the place of the largest so far: the first NaN does, and stays. */
const beats = (value: string, most: string): string => `!(${value} <= ${most}) && ${most} === ${most}`

const extentText = (extent: Extent): string =>
  typeof extent === 'number' ? String(extent) : extent === 'n' ? 's.batch' : `Math.ceil(s.batch / ${extent.chunks})`

/** Moments of each block of what was stored: see `SideReduction`. */
function runMoments(equation: Equation, side: SideMoments, dataOf: (t: Tensor) => Numbers, batch: number): void {
  const source = dataOf(side.source)
  const into = dataOf(side.into)
  const step = strides(side.source.shape)
  const size = (a: Axis): number => (a.extent === 'n' ? batch : (a.extent as number))
  const visitBlocks = (depth: number, ranges: { start: number; end: number; stride: number }[], slot: number): void => {
    if (depth < side.blocks.length) {
      const block = side.blocks[depth]!
      const total = size(block.axis)
      const stride = step[equation.axes.indexOf(block.axis)]!
      const count = Math.ceil(total / block.size)
      for (let b = 0; b < count; b++) {
        const range = { start: b * block.size, end: Math.min(total, (b + 1) * block.size), stride }
        visitBlocks(depth + 1, [...ranges, range], slot * count + b)
      }
      return
    }
    const kept = size(side.kept)
    const keptStride = step[equation.axes.indexOf(side.kept)]!
    for (let k = 0; k < kept; k++) {
      const values: number[] = []
      const collect = (depth2: number, position: number): void => {
        const range = ranges[depth2]
        if (!range) values.push(source[position]!)
        else for (let i = range.start; i < range.end; i++) collect(depth2 + 1, position + i * range.stride)
      }
      collect(0, (k + (side.from ?? 0)) * keptStride)
      const reference = values[0]!
      const mean = values.reduce((total, x) => total + (x - reference), 0) / values.length
      const squares = values.reduce((total, x) => total + (x - reference - mean) ** 2, 0)
      into.set([reference, mean, squares, values.length], (slot * kept + k) * 4)
    }
  }
  visitBlocks(0, [], 0)
}
