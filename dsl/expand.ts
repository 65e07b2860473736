import { type ArgumentContext, bindArguments } from './argument-values.ts'
import { binary, range, unary } from './arithmetic.ts'
import type { Call, Expression, FileAst, If, Name, NameTemplate, Net, Statement } from './ast.ts'
import { blockArguments } from './block-arguments.ts'
import { Budget, MOST_BLOCKS_DEEP, MOST_ROUNDS } from './budget.ts'
import { Declarations } from './declarations.ts'
import type { DefinedBlock, Definitions } from './definitions.ts'
import { MadeLayers, type SharedWeights } from './made-layers.ts'
import { filledTemplate, Names, type NameSpace, type OwnName } from './naming.ts'
import type { Program } from './program.ts'
import { isIndex, PARTS } from './fix-hints.ts'
import type { Reporter } from './reporter.ts'
import { NUMBERS, type Signature } from './signature.ts'
import { type Span, textOf } from './source.ts'
import { type Fed, takeTensors } from './tensors.ts'
import { UnknownNames } from './unknown-names.ts'
import { type Binding, describe, type Evaluated } from './values.ts'
import { assignedIn, eachStatement, holdsBroken } from './walk.ts'

/** One instance of a block, or the net itself. */
interface Frame extends NameSpace {
  readonly scope: Map<string, Binding>
  readonly body: readonly Statement[]
  /** The calls of the blocks around, innermost first, and their names, outermost first. */
  readonly expandedFrom: readonly Span[]
  readonly blocks: readonly string[]
}

/** The place of a body, which decides the statements that it may hold. */
type Place = 'net' | 'block' | 'value'

/** The end of a body, and the value that it gives. */
interface Outcome {
  readonly returned: boolean
  /** Whether it has a value at all: an expression at its end, or a return. */
  readonly some: boolean
  readonly value: Evaluated | undefined
}

/** Expands blocks, loops and conditions of a net into a flat list of layer calls. Mistakes go to the reporter. */
export class Expander {
  /** Every call and name that was evaluated. */
  readonly seen = new Set<Expression>()
  private readonly report: Reporter
  private readonly budget: Budget
  private readonly definitions: Definitions
  private readonly declarations: Declarations
  private readonly names: Names
  private readonly layers: MadeLayers
  private readonly constantsOf = new Map<FileAst, ReadonlyMap<string, Binding>>()
  private readonly unknown: UnknownNames

  constructor(definitions: Definitions, report: Reporter) {
    this.definitions = definitions
    this.report = report
    this.budget = new Budget(report)
    this.declarations = new Declarations(report)
    this.names = new Names(report)
    this.layers = new MadeLayers(this.names, this.budget)
    this.unknown = new UnknownNames(definitions, report)
  }

  expand(net: Net, file: FileAst): Omit<Program, 'train'> {
    const frame = this.frame('', file, net.body, [], [])
    this.budget.within(() => this.run(net.body, frame, 'net'))
    return { name: net.name.text, span: net.name.span, ...this.declarations.made(), layers: this.layers.all() }
  }

  /** Numbers, lists and the like outside of a net, where a file's own constants are known. */
  constants(file: FileAst): ArgumentContext {
    const frame = this.frame('', file, [], [], [])
    return {
      report: this.report,
      evaluate: (e) => this.budget.within(() => this.value(e, frame)),
      isBound: (name) => frame.scope.has(name),
    }
  }

  private frame(
    prefix: string,
    file: FileAst,
    body: readonly Statement[],
    expandedFrom: readonly Span[],
    blocks: readonly string[],
  ): Frame {
    return { scope: new Map(this.fileScope(file)), prefix, counts: new Map(), body, expandedFrom, blocks }
  }

  private fileScope(file: FileAst): ReadonlyMap<string, Binding> {
    const known = this.constantsOf.get(file)
    if (known) return known
    const scope = new Map<string, Binding>()
    this.constantsOf.set(file, scope)
    const frame: Frame = { scope, prefix: '', counts: new Map(), body: [], expandedFrom: [], blocks: [] }
    for (const { assigned, span } of file.broken) for (const name of assigned) scope.set(name, { value: undefined, span })
    for (const { name, value } of file.constants) {
      const made = this.budget.within(() => this.value(value, frame))
      if (made?.kind === 'tensor')
        this.report.error('name/constant', `${name.text} is no constant: tensors are made inside a net`, value.span)
      scope.set(name.text, { value: made?.kind === 'tensor' ? undefined : made, span: name.span })
    }
    return scope
  }

  // ---- statements --------------------------------------------------------------------------------------------------------

  private run(body: readonly Statement[], frame: Frame, place: Place): Outcome {
    let last: Outcome = { returned: false, some: false, value: undefined }
    for (const [i, s] of body.entries()) {
      this.budget.step(s.span)
      last = { returned: false, some: false, value: undefined }
      switch (s.kind) {
        case 'let':
          frame.scope.set(s.name.text, { value: this.value(s.value, frame), span: s.name.span })
          break
        case 'expression':
          last = s.value.kind === 'if' ? this.branch(s.value, frame, place)
            : { returned: false, some: true, value: this.value(s.value, frame) }
          if (last.returned) return last
          // A branch has the value that it ends with, and of a block that ends so it is told that it returns nothing.
          if (place === 'net' || i < body.length - 1) this.refuseIdle(s.value, last.value, body[i - 1], frame)
          break
        case 'for': {
          const outcome = this.loop(s, frame, place)
          if (outcome) return outcome
          break
        }
        case 'return': {
          if (place !== 'block') {
            this.report.error(
              'block/return',
              place === 'net' ? 'only blocks return something' : 'return is a statement, and stands in no expression',
              s.span,
              { hint: place === 'net' ? 'a net gives out: output NAME = ...' : undefined },
            )
          }
          return { returned: true, some: true, value: this.value(s.value, frame) }
        }
        case 'broken':
          this.forget(s.assigned, s.span, frame)
          for (const word of s.words) if (!frame.scope.has(word)) this.forget([word], s.span, frame)
          break
        default:
          this.declare(s, frame, place)
      }
    }
    return last
  }

  /**
   * Refuses a statement that is a value and no layer: nothing is done with it. Lines end nowhere in this language, so that it is mostly the end of the
   * statement `before`, which was read without it: `x -> relu - 1`, `conv(8, 3) as c-1`.
   */
  private refuseIdle(e: Expression, value: Evaluated | undefined, before: Statement | undefined, frame: Frame): void {
    if (!value || e.kind === 'if' || e.kind === 'chain' || (e.kind === 'call' && !(e.bare && frame.scope.has(e.callee.text)))) return
    const name = before && 'value' in before ? nameBehind(before.value) : undefined
    this.report.error('statement/idle', `nothing is done with ${describe(value)}`, e.span, {
      hint: name?.span.end === e.span.start ?
        `names consist of letters, digits and _: as ${textOf(name.span)}_${textOf(e.span).replace(/\W/g, '')}`
        : e.kind === 'list' && isIndex(e.span) ? PARTS
        : e.kind === 'unary' && value.kind === 'number' ? `a number is subtracted by a layer: -> sub(${-value.value})`
        : value.kind === 'tensor' ? `a net gives out: output NAME = ${textOf(e.span)}`
        : 'is a name, a sign or a layer missing in front of it?',
    })
  }

  /** Marks names as unknown from here on: errors about them would follow from another error. */
  private forget(names: Iterable<string>, span: Span, frame: Frame): void {
    for (const name of names) frame.scope.set(name, { value: undefined, span })
  }

  private declare(s: Extract<Statement, { kind: 'style' | 'input' | 'result' }>, frame: Frame, place: Place): void {
    if (place !== 'net') {
      this.report.error('block/statement', `${s.kind === 'result' ? s.role : s.kind} belongs to the net itself`, s.span, {
        hint: place === 'block' ? 'a block takes parameters and returns one value' : undefined,
      })
    }
    if (s.kind === 'style') {
      this.declarations.style(s)
      return
    }
    if (s.kind === 'input') {
      const value: Evaluated = { kind: 'tensor', ref: { kind: 'input', name: s.name.text } }
      if (!this.declarations.areSizes(s, (name) => frame.scope.has(name))) {
        frame.scope.set(s.name.text, { value: undefined, span: s.name.span })
        return
      }
      const sizes = s.dimensions.map((list) => list.map((e) => ({ value: this.value(e, frame), span: e.span })))
      frame.scope.set(s.name.text, { value: this.declarations.input(s, sizes) ? value : undefined, span: s.name.span })
      return
    }
    const value = this.value(s.value, frame)
    this.declarations.result(s, value)
    if (s.name) frame.scope.set(s.name.text, { value, span: s.name.span })
  }

  private loop(s: Extract<Statement, { kind: 'for' }>, frame: Frame, place: Place): Outcome | undefined {
    const over = this.value(s.over, frame)
    if (over?.kind !== 'list') {
      if (over)
        this.report.error('for/list', `for goes through a list or a range, not ${describe(over)}`, s.over.span, {
          hint: over.kind === 'number' ? `for ${s.variable.text} in 0..${over.value}` : 'for i in 0..3, or for c in [16, 32]',
        })
      this.forget(assignedIn(s.body).keys(), s.span, frame)
      return undefined
    }
    // Its variables are the loop's own.
    const own = [s.variable.text, ...(s.counter ? [s.counter.text] : [])]
    const before = own.map((name) => frame.scope.get(name))
    let returned: Outcome | undefined
    for (const [i, item] of over.items.entries()) {
      this.budget.round(s.span)
      frame.scope.set(s.variable.text, { value: item, span: s.variable.span })
      if (s.counter) frame.scope.set(s.counter.text, { value: { kind: 'number', value: i }, span: s.counter.span })
      const outcome = this.run(s.body, frame, place)
      if (outcome.returned) {
        returned = outcome
        break
      }
    }
    own.forEach((name, i) => (before[i] ? frame.scope.set(name, before[i]) : frame.scope.delete(name)))
    return returned
  }

  private branch(e: If, frame: Frame, place: Place): Outcome {
    const condition = this.value(e.condition, frame)
    if (condition?.kind !== 'boolean') {
      if (condition)
        this.report.error('if/condition', `a condition is true or false, not ${describe(condition)}`, e.condition.span, {
          hint: condition.kind === 'number' ? 'compare it: if x != 0 { ... }' : undefined,
        })
      this.forget(assignedIn([...e.yes, ...(e.no ?? [])]).keys(), e.span, frame)
      let returns = false
      eachStatement([...e.yes, ...(e.no ?? [])], (s) => {
        returns ||= s.kind === 'return'
      })
      return { returned: returns && place === 'block', some: true, value: undefined }
    }
    const taken = condition.value ? e.yes : e.no
    return taken ? this.budget.deeper(e.span, () => this.run(taken, frame, place)) : { returned: false, some: false, value: undefined }
  }

  // ---- expressions -------------------------------------------------------------------------------------------------------

  private value(e: Expression, frame: Frame): Evaluated | undefined {
    this.budget.step(e.span)
    return this.budget.deeper(e.span, () => this.valueOf(e, frame))
  }

  private valueOf(e: Expression, frame: Frame): Evaluated | undefined {
    switch (e.kind) {
      case 'number':
      case 'string':
      case 'boolean':
        return e
      case 'list': {
        const items = e.items.map((item) => this.value(item, frame))
        return items.every((item) => item !== undefined) ? { kind: 'list', items } : undefined
      }
      case 'range': {
        const [from, to] = [this.value(e.from, frame), this.value(e.to, frame)]
        return from && to && range(e, from, to, MOST_ROUNDS, this.report)
      }
      case 'duration': {
        const count = this.value(e.count, frame)
        if (!count || count.kind === 'number') return count && { kind: 'duration', value: { count: count.value, unit: e.unit } }
        return this.report.error('argument/kind', `${e.unit} are counted by a number, not ${describe(count)}`, e.count.span)
      }
      case 'unary': {
        const operand = this.value(e.operand, frame)
        return operand && unary(e, operand, this.definitions.layers, this.report)
      }
      case 'binary': {
        const left = this.value(e.left, frame)
        // The side that a condition guards is not evaluated: i > 0 and 8 / i > 2.
        if (left?.kind === 'boolean' && left.value === (e.op === 'or') && (e.op === 'or' || e.op === 'and')) return left
        const right = this.value(e.right, frame)
        return left && right && binary(e, left, right, this.definitions.layers, this.report)
      }
      case 'if': {
        const outcome = this.branch(e, frame, 'value')
        if (outcome.some || holdsBroken([...e.yes, ...(e.no ?? [])])) return outcome.value
        return this.report.error('if/nothing', 'a value is wanted here, and this branch has none', e.span, {
          hint: e.no ? 'each branch ends with a value' : 'add else { ... }',
        })
      }
      case 'chain': {
        let fed: Fed = { value: this.value(e.head, frame), span: e.head.span }
        for (const link of e.links) fed = { value: this.apply(link, fed, frame), span: link.span }
        return fed.value
      }
      case 'call': {
        this.seen.add(e)
        const bound = e.bare ? frame.scope.get(e.callee.text) : undefined
        if (!bound) return this.apply(e, undefined, frame)
        if (e.as)
          return this.report.error('name/alias', `${e.callee.text} is a value, and 'as' names layers`, e.as.span, {
            hint: `to give it another name: ${textOf(e.as.span)} = ${e.callee.text}`,
          })
        return bound.value
      }
    }
  }

  // ---- calls -------------------------------------------------------------------------------------------------------------

  private apply(call: Call, fed: Fed | undefined, frame: Frame): Evaluated | undefined {
    this.seen.add(call)
    const { text } = call.callee
    const block = this.definitions.blocks.get(text)
    const signature = this.definitions.layers.get(text)
    const reads = block ? block.parameters.some(({ value }) => !value) : signature && signature.values?.min !== 0
    // `fc` behind `x -> fc(4) as fc`: a call without anything to work on, if it is not that layer's value.
    if (reads && !fed && call.bare && this.names.has(frame.prefix + text)) return this.layerAsValue(call.callee)
    if (block) return this.instance(block, call, fed, frame)
    if (signature) return this.layer(signature, call, fed, frame)
    // Its arguments may hold mistakes of their own; bare words among them may be words of what it was to be.
    for (const e of [...call.positional, ...call.named.map((n) => n.value)]) if (e.kind !== 'call' || !e.bare) this.value(e, frame)
    return this.unknownName(call, fed !== undefined, frame)
  }

  private unknownName(call: Call, fed: boolean, frame: Frame): undefined {
    const { callee, bare } = call
    const { text, span } = callee
    const bound = frame.scope.get(text)
    if (this.definitions.unread.has(text) || (bound && !bound.value)) return undefined
    if (bound)
      return this.report.error('call/value', `${text} is a value, not a layer`, span, { labels: [{ span: bound.span, text: 'made here' }] })
    // A value that could not be made is likely a tensor too.
    const isTensor = (e: Expression): boolean =>
      e.kind === 'chain' || (e.kind === 'call' && (!e.bare || (frame.scope.get(e.callee.text)?.value?.kind ?? 'tensor') === 'tensor'))
    if (fed || !bare) return this.definitions.incomplete ? undefined : this.unknown.callable(call, isTensor)
    if (this.names.has(frame.prefix + text)) return this.layerAsValue(callee)
    return this.unknown.value(callee, frame.body, frame.scope.keys())
  }

  /** The error about a layer's name where a value is wanted. */
  private layerAsValue({ text, span }: Name): undefined {
    return this.report.error('name/undefined', `${text} names a layer, not a value`, span, {
      hint: `give its value a name: NAME = ... as ${text}`,
    })
  }

  private layer(signature: Signature, call: Call, fed: Fed | undefined, frame: Frame): Evaluated | undefined {
    const known = new Map<Expression, Evaluated | undefined>()
    const evaluate = (e: Expression): Evaluated | undefined => {
      if (!known.has(e)) known.set(e, this.value(e, frame))
      return known.get(e)
    }
    const isBound = (name: string): boolean => frame.scope.has(name)
    const { tensors, rest, good, numbers } = takeTensors(signature, call, fed, { report: this.report, evaluate, isBound })
    const bound = bindArguments(signature, { ...call, positional: rest }, {
      report: this.report,
      evaluate,
      isBound,
      layerNamed: (name) => name,
    })
    const own = this.ownName(call, frame)
    const name = call.as && !own ? undefined : this.names.claim(signature.name, own, frame, call.span)
    if (!good || !bound || name === undefined) return undefined
    const all = [...tensors, ...bound.tensors]
    const shares = signature.parameters.flatMap(({ name: parameter, type }): SharedWeights[] => {
      const other = type.kind === 'layer' ? bound.attributes[parameter] : undefined
      return typeof other === 'string' ? [{ parameter, place: frame, from: frame.scope.get(other)?.value }] : []
    })
    const index = this.layers.add({
      name,
      op: signature.name,
      inputs: all.map((t) => t.ref),
      inputSpans: all.map((t) => t.span),
      attributes: numbers ? { ...bound.attributes, ...numbers.attributes } : bound.attributes,
      attributeSpans: numbers ? { ...bound.spans, [NUMBERS.values]: numbers.span } : bound.spans,
      span: call.span,
      expandedFrom: frame.expandedFrom,
    }, shares)
    return { kind: 'tensor', ref: { kind: 'layer', index } }
  }

  /** An instance of a block: its parameters get values, its body runs under a name of its own. */
  private instance(block: DefinedBlock, call: Call, fed: Fed | undefined, frame: Frame): Evaluated | undefined {
    const { report } = this
    const { text: name, span: madeAt } = block.name
    const path = [...frame.blocks, name]
    if (frame.blocks.includes(name)) {
      return report.error(
        'block/recursion',
        `block ${name} is made of itself: ${path.slice(path.indexOf(name)).join(' -> ')}`,
        call.callee.span,
        { labels: [{ span: madeAt, text: 'this block' }] },
      )
    }
    if (path.length > MOST_BLOCKS_DEEP)
      this.budget.exceeded(`blocks stand within more than ${MOST_BLOCKS_DEEP} others`, call.span)
    const { values, good } = blockArguments(block, call, fed, { report, evaluate: (e) => this.value(e, frame) })
    const own = this.ownName(call, frame)
    const instance = call.as && !own ? undefined : this.names.claim(name, own, frame, call.span)
    const inner = this.frame(`${instance ?? name}.`, block.file, block.body, [call.span, ...frame.expandedFrom], path)
    const missing: string[] = []
    block.parameters.forEach(({ name: parameter, value: otherwise }, i) => {
      const from = values[i]
      if (!from && !otherwise) missing.push(parameter.text)
      inner.scope.set(parameter.text, { value: from ? from.value : otherwise && this.value(otherwise, inner), span: parameter.span })
    })
    if (missing.length > 0 && good)
      report.error('argument/missing', `block ${name} needs ${missing.join(', ')}`, call.span, {
        labels: [{ span: madeAt, text: 'defined here' }],
      })
    if (!good || missing.length > 0 || (call.as && instance === undefined)) return undefined
    const { returned, value } = this.run(block.body, inner, 'block')
    if (returned || holdsBroken(block.body)) return value
    return report.error('block/no-value', `block ${name} returns nothing`, madeAt, { hint: 'end it with return ...' })
  }

  // ---- names -------------------------------------------------------------------------------------------------------------

  private ownName(call: Call, frame: Frame): OwnName | undefined {
    return call.as && filledTemplate(call.as, (e) => this.value(e, frame), this.report)
  }
}

/** The name behind the last layer of an expression. */
function nameBehind(e: Expression): NameTemplate | undefined {
  const last = e.kind === 'chain' ? e.links.at(-1) : e
  return last?.kind === 'call' ? last.as : undefined
}
