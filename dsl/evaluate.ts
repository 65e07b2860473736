import { type ArgumentContext, bindArguments } from './arguments.ts'
import type { Block, Call, Expression, FileAst, InputStatement, Name, Net, Statement } from './ast.ts'
import type { InputDeclaration, LayerCall, NamedValue, Program, ValueRef } from './program.ts'
import type { Reporter } from './reporter.ts'
import type { Signature, Vocabulary } from './signature.ts'
import type { Span } from './source.ts'
import { suggest } from './suggest.ts'
import { type Binding, describe, type Evaluated } from './values.ts'

/** What no text of a person's exceeds; beyond it something runs away. */
const MOST_LAYERS = 100_000
const MOST_ROUNDS = 100_000
const MOST_DEPTH = 64

export type NetParts = Pick<Program, 'name' | 'span' | 'inputs' | 'layers' | 'outputs' | 'losses' | 'metrics'> & { readonly style?: 'merged' | 'split' }

export interface Definitions {
  readonly blocks: ReadonlyMap<string, Block>
  readonly constants: readonly FileAst['constants'][number][]
  readonly vocabulary: Vocabulary
}

/** Expands blocks, loops and conditions of a net into a flat list of layer calls. Mistakes go to the reporter. */
export function evaluateNet(net: Net, definitions: Definitions, report: Reporter): NetParts {
  return new Evaluator(definitions, report).net(net)
}

/** One block instance, or the net itself: names, and how layers without a name are counted. */
interface Frame {
  readonly scope: Map<string, Binding>
  readonly prefix: string
  readonly counts: Map<string, number>
  /** The block calls around, innermost first. */
  readonly expandedFrom: readonly Span[]
  readonly blocks: readonly string[]
}

/** How a body ended: with a `return`, or with the value of its last expression. */
interface Outcome {
  readonly returned: boolean
  readonly value: Evaluated | undefined
  /** Whether any value was there at all: an empty body has none. */
  readonly some: boolean
}

class Runaway extends Error {}

export class Evaluator {
  private readonly report: Reporter
  private readonly blocks: ReadonlyMap<string, Block>
  private readonly signatures: ReadonlyMap<string, Signature>
  private readonly constants: Definitions['constants']
  private readonly layers: LayerCall[] = []
  private readonly names = new Map<string, Span>()
  private readonly inputs: InputDeclaration[] = []
  private readonly results = { output: [] as NamedValue[], loss: [] as NamedValue[], metric: [] as NamedValue[] }
  private style: 'merged' | 'split' | undefined
  private rounds = 0

  constructor({ blocks, constants, vocabulary }: Definitions, report: Reporter) {
    this.report = report
    this.blocks = blocks
    this.constants = constants
    this.signatures = new Map(vocabulary.layers.map((s) => [s.name, s]))
  }

  net(net: Net): NetParts {
    const frame = this.frame('', [], [])
    try {
      this.constantsInto(frame)
      this.run(net.body, frame, true)
    } catch (error) {
      if (!(error instanceof Runaway)) throw error
    }
    return {
      name: net.name.text, span: net.name.span, inputs: this.inputs, layers: this.layers,
      outputs: this.results.output, losses: this.results.loss, metrics: this.results.metric, ...(this.style && { style: this.style }),
    }
  }

  /** A number, list and the like outside of any net: train settings. */
  constantContext(): ArgumentContext {
    const frame = this.frame('', [], [])
    this.constantsInto(frame)
    return { report: this.report, evaluate: (e) => this.value(e, frame) }
  }

  private constantsInto(frame: Frame): void {
    for (const { name, value } of this.constants) frame.scope.set(name.text, { value: this.value(value, frame), span: name.span })
  }

  private frame(prefix: string, expandedFrom: readonly Span[], blocks: readonly string[]): Frame {
    return { scope: new Map(), prefix, counts: new Map(), expandedFrom, blocks }
  }

  private run(body: readonly Statement[], frame: Frame, inNet: boolean): Outcome {
    let last: Outcome = { returned: false, value: { kind: 'nothing' }, some: false }
    for (const s of body) {
      switch (s.kind) {
        case 'let': {
          const value = this.value(s.value, frame)
          frame.scope.set(s.name.text, { value, span: s.name.span })
          last = { returned: false, value, some: true }
          break
        }
        case 'expression': {
          if (s.value.kind === 'if') {
            const outcome = this.conditional(s.value, frame, inNet)
            if (outcome.returned) return outcome
            last = outcome
          } else last = { returned: false, value: this.value(s.value, frame), some: true }
          break
        }
        case 'for': {
          const outcome = this.loop(s, frame, inNet)
          if (outcome) return outcome
          break
        }
        case 'return': {
          if (inNet) this.report.error('block/return', 'a net returns nothing', s.span, { hint: 'write output NAME = ...' })
          return { returned: true, value: this.value(s.value, frame), some: true }
        }
        default:
          if (inNet) this.declare(s, frame)
          else this.report.error('block/statement', `a block holds no ${s.kind === 'result' ? s.role : s.kind}`, s.span, { hint: 'it belongs into the net' })
      }
    }
    return last
  }

  private declare(s: Extract<Statement, { kind: 'style' | 'input' | 'result' }>, frame: Frame): void {
    if (s.kind === 'style') {
      if (s.word.text === 'merged' || s.word.text === 'split') this.style = s.word.text
      else this.report.error('style/unknown', `there is no style ${s.word.text}`, s.word.span, { hint: 'style merged, or style split' })
    } else if (s.kind === 'input') this.input(s, frame)
    else this.result(s, frame)
  }

  private result(s: Extract<Statement, { kind: 'result' }>, frame: Frame): void {
    const value = this.value(s.value, frame)
    if (!s.name && s.role !== 'loss') {
      this.report.error('result/name', `an ${s.role} has a name`, s.span, { hint: `${s.role} NAME = ...` })
      return
    }
    const list = this.results[s.role]
    const unnamed = list.length === 0 ? 'loss' : `loss_${list.length + 1}`
    const name = s.name?.text ?? unnamed
    if (s.name) frame.scope.set(name, { value, span: s.name.span })
    if (!value) return
    if (value.kind === 'tensor') list.push({ name, value: value.ref, span: s.span })
    else this.report.error('result/kind', `${s.role} ${name} is a tensor, not ${describe(value)}`, s.value.span)
  }

  private input(s: InputStatement, frame: Frame): void {
    const { report } = this
    const lists = s.dimensions.map((list) => list.map((e) => this.dimension(e, frame)))
    const declare = (declaration: Omit<InputDeclaration, 'name' | 'span' | 'batched'>): void => {
      if (this.inputs.some((input) => input.name === s.name.text)) {
        report.error('name/taken', `there are two inputs called ${s.name.text}`, s.name.span)
        return
      }
      this.inputs.push({ name: s.name.text, span: s.span, batched: !s.whole, ...declaration })
    }
    frame.scope.set(s.name.text, { value: { kind: 'tensor', ref: { kind: 'input', name: s.name.text } }, span: s.name.span })
    const complete = (list: readonly (number | undefined)[] | undefined): list is readonly number[] => list !== undefined && list.every((d) => d !== undefined)
    if (s.type.text === 'f32') {
      if (lists.length !== 1) return void report.error('input/shape', `the shape of ${s.name.text} is one list`, s.span, { hint: `input ${s.name.text}: f32[1, 28, 28]` })
      if (complete(lists[0])) declare({ type: 'f32', shape: lists[0] })
    } else if (s.type.text === 'class') {
      const [classes, space] = lists
      if (!classes || classes.length !== 1 || lists.length > 2) return void report.error('input/classes', `${s.name.text} says how many classes there are`, s.span, { hint: `input ${s.name.text}: class[10], or class[10][32, 32] for a label a pixel` })
      if (complete(classes) && (space === undefined || complete(space))) declare({ type: 'class', classes: classes[0]!, shape: space ?? [] })
    } else {
      const meant = suggest(s.type.text, ['f32', 'class'])
      report.error('input/type', `there is no type ${s.type.text}`, s.type.span, { hint: meant ? `did you mean \`${meant}\`?` : 'f32[...] for numbers, class[10] for labels' })
    }
  }

  private dimension(e: Expression, frame: Frame): number | undefined {
    const value = this.value(e, frame)
    if (!value) return undefined
    if (value.kind === 'number' && Number.isSafeInteger(value.value) && value.value > 0 && value.value <= 2 ** 31) return value.value
    return this.report.error('input/size', `a size is a positive integer, not ${describe(value)}`, e.span)
  }

  private loop(s: Extract<Statement, { kind: 'for' }>, frame: Frame, inNet: boolean): Outcome | undefined {
    const over = this.value(s.over, frame)
    if (!over) return undefined
    if (over.kind !== 'list') return void this.report.error('for/list', `for goes through a list or a range, not ${describe(over)}`, s.over.span, { hint: 'for i in 0..3, or for c in [16, 32]' })
    for (const [i, item] of over.items.entries()) {
      if (++this.rounds > MOST_ROUNDS) this.runAway(`loops of more than ${MOST_ROUNDS} rounds`, s.span)
      frame.scope.set(s.variable.text, { value: item, span: s.variable.span })
      if (s.counter) frame.scope.set(s.counter.text, { value: { kind: 'number', value: i }, span: s.counter.span })
      const outcome = this.run(s.body, frame, inNet)
      if (outcome.returned) return outcome
    }
    return undefined
  }

  private conditional(e: Extract<Expression, { kind: 'if' }>, frame: Frame, inNet: boolean): Outcome {
    const condition = this.value(e.condition, frame)
    const nothing: Outcome = { returned: false, value: { kind: 'nothing' }, some: false }
    if (!condition) return { returned: false, value: undefined, some: true }
    if (condition.kind !== 'boolean') {
      this.report.error('if/condition', `a condition is true or false, not ${describe(condition)}`, e.condition.span, { hint: 'compare: if i > 0 { ... }' })
      return { returned: false, value: undefined, some: true }
    }
    const taken = condition.value ? e.yes : e.no
    return taken ? this.run(taken, frame, inNet) : nothing
  }

  private runAway(what: string, span: Span): never {
    this.report.error('limit/too-large', `${what}: that is more than a net needs`, span)
    throw new Runaway()
  }

  private value(e: Expression, frame: Frame): Evaluated | undefined {
    switch (e.kind) {
      case 'number': return { kind: 'number', value: e.value }
      case 'string': return { kind: 'string', value: e.value }
      case 'boolean': return { kind: 'boolean', value: e.value }
      case 'list': {
        const items = e.items.map((item) => this.value(item, frame))
        return items.every((item) => item !== undefined) ? { kind: 'list', items } : undefined
      }
      case 'range': return this.range(e, frame)
      case 'duration': {
        const count = this.value(e.count, frame)
        if (!count) return undefined
        if (count.kind === 'number' && count.value >= 0 && Number.isFinite(count.value)) return { kind: 'duration', value: { count: count.value, unit: e.unit } }
        return this.report.error('duration/count', `${describe(count)} is no number of ${e.unit}`, e.span)
      }
      case 'unary': return this.unary(e, frame)
      case 'binary': return this.binary(e, frame)
      case 'if': {
        const { value, some } = this.conditional(e, frame, false)
        if (some || value === undefined) return value
        return this.report.error('if/nothing', 'this condition gives no value', e.span, { hint: 'add else { ... }' })
      }
      case 'chain': {
        let before = this.value(e.head, frame)
        let span = e.head.span
        for (const link of e.links) {
          before = this.apply(link, { value: before, span }, frame)
          span = link.span
        }
        return before
      }
      case 'call': {
        const bound = e.bare ? frame.scope.get(e.callee.text) : undefined
        if (bound && e.as) return this.report.error('name/alias', `${e.callee.text} is a value and has a name already`, e.span, { hint: `write ${e.as.text} = ${e.callee.text}` })
        return bound ? bound.value : this.apply(e, undefined, frame)
      }
    }
  }

  private range(e: Extract<Expression, { kind: 'range' }>, frame: Frame): Evaluated | undefined {
    const from = this.value(e.from, frame)
    const to = this.value(e.to, frame)
    if (!from || !to) return undefined
    if (from.kind !== 'number' || to.kind !== 'number' || !Number.isSafeInteger(from.value) || !Number.isSafeInteger(to.value)) {
      return this.report.error('for/range', 'a range goes from one integer to another', e.span, { hint: '0..3 is 0, 1, 2' })
    }
    if (to.value - from.value > MOST_ROUNDS) this.runAway(`a range of ${to.value - from.value} numbers`, e.span)
    const first = from.value
    return { kind: 'list', items: Array.from({ length: Math.max(0, to.value - first) }, (_, i) => ({ kind: 'number', value: first + i })) }
  }

  private unary(e: Extract<Expression, { kind: 'unary' }>, frame: Frame): Evaluated | undefined {
    const operand = this.value(e.operand, frame)
    if (!operand) return undefined
    if (e.op === '-' && operand.kind === 'number') return { kind: 'number', value: -operand.value }
    if (e.op === 'not' && operand.kind === 'boolean') return { kind: 'boolean', value: !operand.value }
    return this.report.error('arithmetic/kind', `${e.op} of ${describe(operand)} is nothing`, e.span)
  }

  private binary(e: Extract<Expression, { kind: 'binary' }>, frame: Frame): Evaluated | undefined {
    const left = this.value(e.left, frame)
    if (left?.kind === 'boolean' && ((e.op === 'and' && !left.value) || (e.op === 'or' && left.value))) return left
    const right = this.value(e.right, frame)
    if (!left || !right) return undefined
    const truth = (value: boolean): Evaluated => ({ kind: 'boolean', value })
    if (left.kind === 'number' && right.kind === 'number') {
      const [a, b] = [left.value, right.value]
      if ((e.op === '/' || e.op === '%') && b === 0) return this.report.error('arithmetic/zero', 'this divides by zero', e.span)
      switch (e.op) {
        case '+': return { kind: 'number', value: a + b }
        case '-': return { kind: 'number', value: a - b }
        case '*': return { kind: 'number', value: a * b }
        case '/': return { kind: 'number', value: a / b }
        case '%': return { kind: 'number', value: a % b }
        case '<': return truth(a < b)
        case '>': return truth(a > b)
        case '<=': return truth(a <= b)
        case '>=': return truth(a >= b)
        default:
      }
    }
    if ((e.op === '==' || e.op === '!=') && left.kind === right.kind && (left.kind === 'number' || left.kind === 'boolean' || left.kind === 'string')) {
      return truth((left.value === (right as typeof left).value) === (e.op === '=='))
    }
    if (left.kind === 'boolean' && right.kind === 'boolean' && (e.op === 'and' || e.op === 'or')) return right
    const hint = left.kind === 'tensor' || right.kind === 'tensor' ? { hint: e.op === '+' ? 'tensors are added by add(a, b)' : e.op === '*' ? 'tensors are multiplied by mul(a, b)' : 'tensors are joined by layers: add, mul, max, concat' } : {}
    return this.report.error('arithmetic/kind', `${describe(left)} ${e.op} ${describe(right)} is nothing that is known at compile time`, e.span, hint)
  }

  /** A layer or block on what stands before it in a chain (if anything) and its own arguments. */
  private apply(call: Call, before: { value: Evaluated | undefined; span: Span } | undefined, frame: Frame): Evaluated | undefined {
    const block = this.blocks.get(call.callee.text)
    if (block) return this.expand(block, call, before, frame)
    const signature = this.signatures.get(call.callee.text)
    if (signature) return this.layer(signature, call, before, frame)
    const { callee } = call
    if (frame.scope.has(callee.text)) return this.report.error('call/value', `${callee.text} is a value, not a layer`, callee.span, { labels: [{ span: frame.scope.get(callee.text)!.span, text: 'made here' }] })
    const callable = [...this.signatures.keys(), ...this.blocks.keys()]
    const isCall = before !== undefined || !call.bare
    const meant = suggest(callee.text, isCall ? callable : [...frame.scope.keys(), ...callable])
    // What it was to be applied to may hold mistakes of its own.
    for (const e of call.positional) if (e.kind !== 'call' || !e.bare) this.value(e, frame)
    return this.report.error(isCall ? 'call/unknown' : 'name/undefined', isCall ? `there is no layer or block ${callee.text}` : `${callee.text} is not defined`, callee.span, meant ? { hint: `did you mean \`${meant}\`?` } : {})
  }

  private layer(signature: Signature, call: Call, before: { value: Evaluated | undefined; span: Span } | undefined, frame: Frame): Evaluated | undefined {
    const { min, max } = signature.values ?? { min: 1, max: 1 }
    const tensors: { ref: ValueRef; span: Span }[] = []
    let good = true
    const take = (value: Evaluated | undefined, span: Span): void => {
      if (value?.kind === 'tensor') tensors.push({ ref: value.ref, span })
      else {
        good = false
        if (value) this.report.error('argument/kind', `${signature.name} works on a tensor, not ${describe(value)}`, span)
      }
    }
    if (before) take(before.value, before.span)
    const known = new Map<Expression, Evaluated | undefined>()
    const rest = [...call.positional]
    let taken = before ? 1 : 0
    while (rest.length > 0 && taken < max && this.mayBeTensor(rest[0]!, frame, taken < min)) {
      const e = rest[0]!
      const value = this.value(e, frame)
      if (value && value.kind !== 'tensor') { known.set(e, value); break }
      rest.shift()
      taken++
      take(value, e.span)
    }
    const context: ArgumentContext = {
      report: this.report,
      evaluate: (e) => (known.has(e) ? known.get(e) : this.value(e, frame)),
      layerNamed: (name) => (this.names.has(frame.prefix + name) ? frame.prefix + name : name),
    }
    const bound = bindArguments(signature, { positional: rest, named: call.named, span: call.span }, context)
    if (taken < min) {
      this.report.error('values/too-few', `${signature.name} works on ${min === max ? min : `at least ${min}`} tensor${min === 1 ? '' : 's'}, here ${taken === 0 ? 'is none' : `are ${taken}`}`, call.span, {
        hint: min === 1 ? `x -> ${signature.name}` : `${signature.name}(${Array.from({ length: min }, (_, i) => 'abcdefgh'[i]).join(', ')})`,
      })
      return undefined
    }
    const name = this.layerName(call, signature.name, frame)
    if (!good || !bound || name === undefined) return undefined
    if (this.layers.length >= MOST_LAYERS) this.runAway(`more than ${MOST_LAYERS} layers`, call.span)
    this.layers.push({
      name, op: signature.name, inputs: [...tensors.map((t) => t.ref), ...bound.tensors.map((t) => (t.value as { ref: ValueRef }).ref)],
      inputSpans: [...tensors.map((t) => t.span), ...bound.tensors.map((t) => t.span)],
      attributes: bound.attributes, attributeSpans: bound.spans, span: call.span, expandedFrom: frame.expandedFrom,
    })
    return { kind: 'tensor', ref: { kind: 'layer', index: this.layers.length - 1 } }
  }

  /** Words that no name is bound to are arguments (`approximate: tanh`), unless a tensor is still missing. */
  private mayBeTensor(e: Expression, frame: Frame, missing: boolean): boolean {
    if (e.kind === 'call') return !e.bare || frame.scope.has(e.callee.text) || missing
    return e.kind === 'chain' || e.kind === 'if' || (missing && e.kind !== 'number' && e.kind !== 'list' && e.kind !== 'boolean' && e.kind !== 'string')
  }

  private expand(block: Block, call: Call, before: { value: Evaluated | undefined; span: Span } | undefined, frame: Frame): Evaluated | undefined {
    const { report } = this
    const path = [...frame.blocks, block.name.text]
    if (frame.blocks.includes(block.name.text)) return report.error('block/recursion', `block ${block.name.text} is built of itself: ${path.join(' -> ')}`, call.span)
    if (path.length > MOST_DEPTH) this.runAway(`blocks within ${MOST_DEPTH} others`, call.span)
    const given: { value: Evaluated | undefined; span: Span }[] = [...(before ? [before] : []), ...call.positional.map((e) => ({ value: this.value(e, frame), span: e.span }))]
    const inner = this.frame(`${frame.prefix}${this.instanceName(call, block.name.text, frame)}.`, [call.span, ...frame.expandedFrom], path)
    this.constantsInto(inner)
    if (given.length > block.parameters.length) {
      return report.error('argument/too-many', `block ${block.name.text} takes ${block.parameters.length} arguments`, given[block.parameters.length]!.span, { text: 'one too many', labels: [{ span: block.name.span, text: 'defined here' }] })
    }
    let good = true
    for (const { name } of call.named) {
      if (block.parameters.some((p) => p.name.text === name.text)) continue
      good = false
      const meant = suggest(name.text, block.parameters.map((p) => p.name.text))
      report.error('argument/unknown', `block ${block.name.text} has no parameter ${name.text}`, name.span, { ...(meant && { hint: `did you mean \`${meant}\`?` }), labels: [{ span: block.name.span, text: 'defined here' }] })
    }
    block.parameters.forEach((parameter, i) => {
      const named = call.named.find((argument) => argument.name.text === parameter.name.text)
      const value = given[i] ? given[i].value : named ? this.value(named.value, frame) : parameter.value ? this.value(parameter.value, inner) : undefined
      if (!given[i] && !named && !parameter.value) {
        good = false
        report.error('argument/missing', `block ${block.name.text} needs ${parameter.name.text}`, call.span, { labels: [{ span: parameter.name.span, text: 'defined here' }] })
      }
      inner.scope.set(parameter.name.text, { value, span: parameter.name.span })
    })
    if (!good) return undefined
    const { value, some, returned } = this.run(block.body, inner, false)
    if (value && (value.kind === 'nothing' || !(some || returned))) return report.error('block/no-value', `block ${block.name.text} returns nothing`, block.name.span, { hint: 'end it with return ...' })
    return value
  }

  /** `stage{i}` with what i is here. */
  private template({ text, span }: Name, frame: Frame): string | undefined {
    let good = true
    const filled = text.replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = frame.scope.get(name)?.value
      if (value && (value.kind === 'number' || value.kind === 'boolean' || value.kind === 'string')) return String(value.value)
      good = false
      if (value || !frame.scope.has(name)) this.report.error('name/template', `{${name}} in a name is a number or a text`, span)
      return ''
    })
    return good ? filled : undefined
  }

  private instanceName(call: Call, base: string, frame: Frame): string {
    const own = call.as && this.template(call.as, frame)
    const name = own ?? this.counted(base, frame)
    this.claim(frame.prefix + name, call.as?.span ?? call.span, call.as !== undefined)
    return name
  }

  private layerName(call: Call, base: string, frame: Frame): string | undefined {
    if (!call.as) {
      const name = frame.prefix + this.counted(base, frame)
      this.claim(name, call.span, false)
      return name
    }
    const own = this.template(call.as, frame)
    if (own === undefined) return undefined
    return this.claim(frame.prefix + own, call.as.span, true) ? frame.prefix + own : undefined
  }

  private counted(base: string, frame: Frame): string {
    for (;;) {
      const count = (frame.counts.get(base) ?? 0) + 1
      frame.counts.set(base, count)
      if (!this.names.has(`${frame.prefix}${base}_${count}`)) return `${base}_${count}`
    }
  }

  private claim(name: string, span: Span, chosen: boolean): boolean {
    const before = this.names.get(name)
    if (before && chosen) {
      this.report.error('name/taken', `there are two layers called ${name}`, span, { labels: [{ span: before, text: 'the other one' }], hint: 'in a loop, put the counter into the name: as conv{i}' })
      return false
    }
    this.names.set(name, span)
    return true
  }
}
