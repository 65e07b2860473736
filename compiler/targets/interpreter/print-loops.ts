import { freeAxes } from '../../ir/analysis.ts'
import { children, constant, type Expression, type Guard, type Reduction } from '../../ir/expression.ts'
import { type Atom, type Axis, axesOf, type Extent, type Index, isAxis, rangeOf } from '../../ir/affine.ts'
import { strides, type Tensor } from '../../ir/tensor.ts'

/** A block of the text that is being written: what a function, a loop or a condition holds. */
interface Scope {
  readonly kind: 'function' | 'loop' | 'guard'
  readonly axes: readonly Axis[]
  readonly lines: string[]
  /** The names of values and conditions that are computed here. */
  readonly known: Map<Expression | string, string>
}

/**
 * Prints an equation as a JavaScript loop nest: every value exactly as it is written, sums in the order of their axes. What does not change
 * within a loop is computed in front of it, once: the same numbers, in a fraction of the time.
 */
export class LoopPrinter {
  private readonly top: string[] = []
  private readonly names = new Map<Axis, string>()
  private readonly scopes: Scope[] = []
  private readonly tensors: readonly Tensor[]
  private count = 0

  constructor(tensors: readonly Tensor[]) {
    this.tensors = tensors
  }

  /** The body of a function of `T`, the arrays, and `s`, the scalars. An element of `T` might be another array at each use; a constant is not. */
  text(): string {
    return ['const batch = s.batch;', ...this.tensors.map((_, i) => `const T${i} = T[${i}];`), ...this.top].join('\n')
  }

  /** Adds a line to the innermost scope. */
  line(text: string): void {
    this.scopes.at(-1)!.lines.push(text)
  }

  /**
   * A function of a point, and loops that call it: engines optimize as a whole what is called often, and from within, level by level, a nest
   * that runs once.
   */
  points(axes: readonly Axis[], inside: () => void): void {
    const names = axes.map((a) => this.named(a))
    const point = `point${this.count++}`
    const lines = this.scope('function', axes, inside)
    this.top.push(
      `const ${point} = (${names.join(', ')}) => {`,
      ...lines,
      '};',
      `${axes.map((a, i) => loopText(names[i]!, a)).join(' ')} ${point}(${names.join(', ')});`,
    )
  }

  /**
   * An element of a tensor. Its place is summed up from the outermost loop to the innermost: each adds what changes with it. `| 0`: engines need
   * not watch for sums beyond an integer.
   */
  element(t: Tensor, at: readonly Index[]): string {
    const step = strides(t.shape)
    const start = at.reduce((sum, { constant }, i) => sum + step[i]! * constant, 0)
    const parts = new Map<number, string[]>()
    for (const [i, { terms }] of at.entries()) {
      for (const { atom, coefficient } of terms) {
        const axes = atom.kind === 'axis' ? [atom.axis] : axesOf(atom.of)
        const depth = this.depthOf((a) => axes.includes(a), true)
        parts.set(depth, [...(parts.get(depth) ?? []), times(step[i]! * coefficient, this.atom(atom))])
      }
    }
    const name = `T${this.tensors.indexOf(t)}`
    if (parts.size === 0) return `${name}[${start}]`
    const [outermost, ...inner] = [...parts.keys()].sort((a, b) => a - b)
    let place = [...(start === 0 ? [] : [String(start)]), ...parts.get(outermost!)!].join(' + ')
    let depth = outermost!
    for (const next of inner) {
      const sum = `(${place}) | 0`
      place = [this.once(sum, depth, (name) => this.line(`const ${name} = ${sum};`)), ...parts.get(next)!].join(' + ')
      depth = next
    }
    return `${name}[(${place}) | 0]`
  }

  /** The name that holds a value, computed in the outermost scope where it can be. */
  value(e: Expression): string {
    if (e.kind === 'constant')
      return e.value < 0 || Object.is(e.value, -0) ? `(${Object.is(e.value, -0) ? '-0' : e.value})` : String(e.value)
    if (e.kind === 'unary' && e.op === 'rounded') return this.value(e.a)
    return this.once(e, this.depthOf((a) => freeAxes(e).has(a), loadsInside(e)), (name) => this.compute(e, name))
  }

  private compute(e: Exclude<Expression, { kind: 'constant' }>, name: string): void {
    if (e.kind === 'reduce') this.reduction(e, name)
    else if (e.kind === 'guard') this.guarded(e, name)
    else this.line(`const ${name} = ${this.simple(e)};`)
  }

  /**
   * The scope where a value is computed: the innermost loop that has one of its axes, or the innermost condition, since what is behind one may
   * lie outside of its tensor. What never does (`inside`) leaves a condition together with a loop around it.
   */
  private depthOf(has: (a: Axis) => boolean, inside: boolean): number {
    let depth = this.scopes.length - 1
    while (depth > 0 && (this.scopes[depth]!.kind === 'loop' ? !this.scopes[depth]!.axes.some(has) : inside)) depth--
    while (this.scopes[depth + 1]?.kind === 'guard') depth++
    return depth
  }

  /** Computes what `key` names in the scope of that depth, unless it is known. */
  private once(key: Expression | string, depth: number, compute: (name: string) => void): string {
    for (const { known } of this.scopes) if (known.has(key)) return known.get(key)!
    const deeper = this.scopes.splice(depth + 1)
    const name = `v${this.count++}`
    compute(name)
    this.scopes.at(-1)!.known.set(key, name)
    this.scopes.push(...deeper)
    return name
  }

  private named(a: Axis): string {
    const name = `i${this.count++}`
    this.names.set(a, name)
    return name
  }

  private scope(kind: Scope['kind'], axes: readonly Axis[], inside: () => void): readonly string[] {
    const lines: string[] = []
    this.scopes.push({ kind, axes, lines, known: new Map() })
    inside()
    this.scopes.pop()
    return lines
  }

  private loops(axes: readonly Axis[], inside: () => void): void {
    const [a, ...rest] = axes
    if (!a) return inside()
    const name = this.named(a)
    const lines = this.scope('loop', [a], () => this.loops(rest, inside))
    for (const text of [`${loopText(name, a)} {`, ...lines, '}']) this.line(text)
  }

  private index(at: Index): string {
    const parts = at.terms.map(({ atom, coefficient }) => times(coefficient, this.atom(atom)))
    if (at.constant !== 0 || parts.length === 0) parts.unshift(String(at.constant))
    return parts.join(' + ')
  }

  private atom(atom: Atom): string {
    if (atom.kind === 'axis') return this.names.get(atom.axis)!
    const inner = this.index(atom.of)
    if (atom.kind === 'div') return `Math.floor((${inner}) / ${atom.by})`
    return rangeOf(atom.of).min >= 0 ? `(${inner}) % ${atom.by}` : `(((${inner}) % ${atom.by} + ${atom.by}) % ${atom.by})`
  }

  private guarded(e: Extract<Expression, { kind: 'guard' }>, name: string): void {
    const conditions = e.guards.flatMap((g) => this.condition(g))
    this.line(`let ${name} = ${this.value(constant(e.otherwise))};`)
    const lines = this.scope('guard', [], () => this.line(`${name} = ${this.value(e.value)};`))
    for (const text of [`if (${conditions.join(' && ') || 'true'}) {`, ...lines, '}']) this.line(text)
  }

  /** The names of the tests that a guard needs; those that always hold are none. */
  private condition(g: Guard): readonly string[] {
    const axes = axesOf(g.at)
    const test = (text: string): string =>
      this.once(text, this.depthOf((a) => axes.includes(a), true), (name) => this.line(`const ${name} = ${text};`))
    const at = this.index(g.at)
    if (g.kind === 'divides') return [test(`(${at}) % ${g.by} === 0`)]
    const { min, max } = rangeOf(g.at)
    return [
      ...(min >= 0 ? [] : [test(`${at} >= 0`)]),
      ...(typeof g.extent === 'number' && max < g.extent ? [] : [test(`${at} < ${extentText(g.extent)}`)]),
    ]
  }

  private simple(e: Exclude<Expression, { kind: 'constant' | 'reduce' | 'guard' }>): string {
    switch (e.kind) {
      case 'load':
        return this.element(e.tensor, e.at)
      case 'position':
        return this.index(e.at)
      case 'scalar':
        return `s.${e.name}`
      case 'random':
        return `random(s.seed, s.step, ${e.key}, ${this.index(e.at)})`
      case 'unary': {
        const a = this.value(e.a)
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

  private reduction(e: Reduction, name: string): void {
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

const knownInside = new WeakMap<Expression, boolean>()

/** Whether all that a value loads lies inside of its tensor, whatever conditions hold. Sums are left where they are. */
function loadsInside(e: Expression): boolean {
  const before = knownInside.get(e)
  if (before !== undefined) return before
  const found = e.kind === 'load' ? e.at.every((at, i) => isInside(at, e.tensor.shape[i]!))
    : e.kind !== 'reduce' && e.kind !== 'guard' && children(e).every(loadsInside)
  knownInside.set(e, found)
  return found
}

function isInside(at: Index, extent: Extent): boolean {
  const [term] = at.terms
  if (term?.atom.kind === 'axis' && isAxis(at, term.atom.axis) && term.atom.axis.extent === extent) return true
  const { min, max } = rangeOf(at)
  return min >= 0 && typeof extent === 'number' && max < extent
}

/** Whether a value takes the place of the largest so far: the first NaN does, and stays. */
const beats = (value: string, most: string): string => `!(${value} <= ${most}) && ${most} === ${most}`

const extentText = (extent: Extent): string =>
  typeof extent === 'number' ? String(extent) : extent === 'n' ? 'batch' : `Math.ceil(batch / ${extent.chunks})`

const loopText = (name: string, { extent }: Axis): string => `for (let ${name} = 0; ${name} < ${extentText(extent)}; ${name}++)`

/** A product of a number and an index, which may be a sum. */
const times = (factor: number, index: string): string =>
  factor === 0 || index === '0' ? '0' : factor === 1 ? `(${index})` : `${factor} * (${index})`
