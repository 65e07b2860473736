import type { Expression } from './ast.ts'
import { callMend } from './elsewhere.ts'
import { nearest } from './fix-hints.ts'
import { type Given, place, placeLeniently, placeMend } from './argument-binding.ts'
import type { ValueRef } from './program.ts'
import type { Reporter } from './reporter.ts'
import type { ArgumentType, Attribute, AttributeCall, Attributes, Duration, Parameter, Signature } from './signature.ts'
import { type Span, textOf } from './source.ts'
import { unitNamed } from './unit.ts'
import { describe, type Evaluated, listed } from './values.ts'

/** The context in which arguments are bound. */
export interface ArgumentContext {
  readonly report: Reporter
  readonly evaluate: (e: Expression) => Evaluated | undefined
  /** Whether a word is the name of a value here. */
  readonly isBound: (name: string) => boolean
  /** Full name of the layer that is called so here. Absent where there are no layers. */
  readonly layerNamed?: (name: string) => string
}

export interface Bound {
  readonly attributes: Attributes
  readonly spans: Readonly<Record<string, Span>>
  /** Tensors that were given by name (`mask: m`), in the order of the signature. */
  readonly tensors: readonly { readonly ref: ValueRef; readonly span: Span }[]
}

/** Binds what a call gives to what its signature takes. Undefined if something was wrong, which then was told. */
export function bindArguments(signature: Signature, given: Given, context: ArgumentContext): Bound | undefined {
  const placed = place(signature, given, context.report)
  // Values are looked at even so: their mistakes are others.
  const values = placed ?? placeLeniently(signature, given)
  const attributes: Record<string, Attribute> = {}
  const spans: Record<string, Span> = {}
  const tensors: Bound['tensors'][number][] = []
  let good = placed !== undefined
  for (const parameter of signature.parameters) {
    const found = values.get(parameter.name)
    if (!found) {
      if (parameter.default !== undefined) attributes[parameter.name] = parameter.default
      continue
    }
    spans[parameter.name] = found.span
    if (parameter.type.kind === 'value') {
      const ref = tensorOf(parameter, found.expression, signature, context)
      if (ref) tensors.push({ ref, span: found.span })
      else good = false
      continue
    }
    const place = given.positional.indexOf(found.expression)
    const mend = (): string | undefined => signature.mends?.[parameter.name] ?? (place < 0 ? undefined : placeMend(signature, place))
    const attribute = convert(parameter.type, found.expression, `${parameter.name} of ${signature.name}`, context, mend)
    if (attribute === undefined) good = false
    else attributes[parameter.name] = attribute
  }
  return good ? { attributes, spans, tensors } : undefined
}

function tensorOf(
  parameter: Parameter,
  expression: Expression,
  signature: Signature,
  { report, evaluate }: ArgumentContext,
): ValueRef | undefined {
  const value = evaluate(expression)
  if (!value || value.kind === 'tensor') return value?.ref
  return report.error('argument/kind', `${parameter.name} of ${signature.name} is a tensor, not ${describe(value)}`, expression.span)
}

/** An argument as its type wants it. Undefined if it is of another kind or out of range, which then was told. `what`: `pad of conv`. */
function convert(
  type: ArgumentType,
  expression: Expression,
  what: string,
  context: ArgumentContext,
  mend: () => string | undefined,
): Attribute | undefined {
  const word = wordOf(expression)
  switch (type.kind) {
    case 'word':
      return wordAmong(type.words, expression, what, context)
    case 'layer':
      return layerName(expression, what, context)
    case 'call':
      return convertCall(what, type.calls, expression, context)
    case 'window':
      if (word !== undefined && type.words?.includes(word)) return word
      if (word !== undefined && type.words && !context.isBound(word)) return wordAmong(type.words, expression, what, context)
      break
    case 'duration':
    case 'durations':
      // `every: epoch`, as in `test every epoch`.
      if (word !== undefined && !context.isBound(word) && unitNamed(word)) {
        const one = { count: 1, unit: unitNamed(word)! }
        return type.kind === 'duration' ? one : [one]
      }
      break
    default:
  }
  const value = context.evaluate(expression)
  return value && fromValue(type, value, expression.span, what, context.report, mend)
}

const wordOf = (e: Expression): string | undefined => (e.kind === 'call' && e.bare && !e.as ? e.callee.text : undefined)

function wordAmong(words: readonly string[], expression: Expression, what: string, context: ArgumentContext): string | undefined {
  const word = wordOf(expression)
  if (word !== undefined && words.includes(word)) return word
  const value = word === undefined || context.isBound(word) ? context.evaluate(expression) : undefined
  if (value?.kind === 'string' && words.includes(value.value)) return value.value
  if (!value && (word === undefined || context.isBound(word))) return undefined
  const found = word !== undefined && !value ? word : describe(value!)
  const mend = nearest(value?.kind === 'string' ? value.value : word ?? '', words)
  return context.report.error('argument/word', `${what} is ${listed(words, 'or')}, not ${found}`, expression.span, { hint: mend })
}

function layerName(expression: Expression, what: string, { report, evaluate, layerNamed }: ArgumentContext): string | undefined {
  const word = wordOf(expression)
  if (word !== undefined) return layerNamed?.(word)
  if (expression.kind === 'string') return expression.value
  const value = evaluate(expression)
  return value &&
    report.error('argument/kind', `${what} is the name of a layer, not ${describe(value)}`, expression.span, {
      hint: "what stands behind a layer's `as`",
    })
}

function fromValue(
  type: ArgumentType,
  value: Evaluated,
  span: Span,
  what: string,
  report: Reporter,
  hint: () => string | undefined,
): Attribute | undefined {
  const wrong = (wanted: string): undefined =>
    report.error('argument/kind', `${what} is ${wanted}, not ${describe(value)}`, span, {
      hint: value.kind === 'tensor' ? undefined : hint,
    })
  switch (type.kind) {
    case 'integer':
    case 'number':
      return value.kind === 'number' ? bounded(value.value, type, type.kind === 'integer', span, what, report, hint)
        : wrong(type.kind === 'integer' ? 'an integer' : 'a number')
    case 'boolean':
      return value.kind === 'boolean' ? value.value : wrong('true or false')
    case 'string':
      return value.kind === 'string' ? value.value : wrong('a text in quotes')
    case 'window': {
      if (value.kind === 'string' && type.words?.includes(value.value)) return value.value
      const sides = value.kind === 'list' ? numbersOf(value) : value.kind === 'number' ? [value.value, value.value] : undefined
      if (sides?.length !== 2 && !(type.sides && sides?.length === 4))
        return wrong(
          listed(['a number', '[height, width]', ...(type.sides ? ['[top, bottom, left, right]'] : []), ...(type.words ?? [])], 'or'),
        )
      const all = allOf(sides.map((side) => bounded(side, { min: type.min }, true, span, what, report)))
      return all?.length === 4 && all[0] === all[1] && all[2] === all[3] ? [all[0]!, all[2]!] : all
    }
    case 'numbers': {
      const numbers = value.kind === 'list' ? numbersOf(value) : value.kind === 'number' ? [value.value] : undefined
      if (!numbers || (type.length !== undefined && numbers.length !== type.length))
        return wrong(type.length === undefined ? 'a list of numbers' : `a list of ${type.length} numbers`)
      if (type.most !== undefined && (numbers.length === 0 || numbers.length > type.most))
        return wrong(type.most === 1 ? 'a number' : `a number or a list of up to ${type.most}`)
      return allOf(numbers.map((n) => bounded(n, { min: type.min }, type.integer === true, span, what, report)))
    }
    case 'duration':
      return value.kind === 'duration' || value.kind === 'number' ? durationOf(value, type, span, what, report)
        : wrong('a number of steps or epochs')
    case 'durations': {
      const marks: (Duration | number | undefined)[] = (value.kind === 'list' ? value.items : [value]).map((item) => {
        if (item.kind !== 'duration' && item.kind !== 'number') return wrong('a list of numbers of steps or epochs')
        const mark = durationOf(item, type, span, what, report)
        return item.kind === 'number' ? mark?.count : mark
      })
      return allOf(marks)
    }
    default:
      return undefined
  }
}

const numbersOf = (list: Extract<Evaluated, { kind: 'list' }>): number[] | undefined =>
  allOf(list.items.map((item) => (item.kind === 'number' ? item.value : undefined)))

const allOf = <T>(all: readonly (T | undefined)[]): T[] | undefined => (all.every((one) => one !== undefined) ? [...all] : undefined)

/** Steps are whole, epochs need not be: `0.5 epochs`. A number without a unit counts steps. `argument/kind`, `argument/range` */
export function durationOf(
  value: Extract<Evaluated, { kind: 'duration' | 'number' }>,
  { min = 0, above }: Bounds,
  span: Span,
  what: string,
  report: Reporter,
): Duration | undefined {
  const { count, unit } = value.kind === 'duration' ? value.value : { count: value.value, unit: 'steps' as const }
  const bound = bounded(count, { min, above }, unit === 'steps', span, what, report)
  return bound === undefined ? undefined : { count: bound, unit }
}

export interface Bounds {
  readonly min?: number | undefined
  readonly max?: number | undefined
  /** The bound below it, which is not reached itself. */
  readonly above?: number | undefined
  readonly below?: number | undefined
}

/** `argument/kind`, `argument/range` */
export function bounded(
  value: number,
  { min, max, above, below }: Bounds,
  integer: boolean,
  span: Span,
  what: string,
  report: Reporter,
  mend?: () => string | undefined,
): number | undefined {
  if (integer && !Number.isSafeInteger(value)) {
    const hint = textOf(span).includes('/') ? "'/' divides exactly and rounds nothing" : mend
    return report.error('argument/kind', `${what} is an integer, not ${value}`, span, { hint })
  }
  // Arithmetic is float32.
  const held = Math.fround(value)
  if (!Number.isFinite(value) || (!integer && !Number.isFinite(held)))
    return report.error('argument/kind', `${what} is a number that a computer can hold, not ${value}`, span, {
      hint: Number.isFinite(value) ? 'float32 ends at 3.4e38' : undefined,
    })
  if (above !== undefined && held <= above)
    return report.error('argument/range', `${what} is more than ${above}, not ${value}`, span, {
      hint: value > above ? `${value} is ${held} in float32` : undefined,
    })
  if (below !== undefined && held >= below)
    return report.error('argument/range', `${what} is less than ${below}, not ${value}`, span, {
      hint: value < below ? `${value} is ${held} in float32` : undefined,
    })
  if (min !== undefined && value < min) return report.error('argument/range', `${what} is at least ${min}, not ${value}`, span)
  if (max !== undefined && value > max)
    return report.error('argument/range', `${what} is at most ${max}, not ${value}`, span, {
      hint: max === 1 && Number.isInteger(value) && value <= 100 ? `it is a part of 1: ${value / 100} is ${value} %` : undefined,
    })
  return value
}

/** `moving(newest: 0.95)`, a bare `msra`, or a lone number where `constant` can be meant. */
export function convertCall(
  what: string,
  calls: readonly Signature[],
  expression: Expression,
  context: ArgumentContext,
): AttributeCall | undefined {
  const { report } = context
  if (
    expression.kind === 'call' &&
    !(expression.bare && context.isBound(expression.callee.text) && !calls.some((c) => c.name === expression.callee.text))
  ) {
    const { callee } = expression
    const signature = calls.find((c) => c.name === callee.text)
    if (!signature) {
      const names = calls.map((c) => c.name)
      return report.error('argument/unknown-call', `${what} is ${listed(names, 'or')}, not ${callee.text}`, callee.span, {
        hint: () => callMend(expression, calls, names),
      })
    }
    if (expression.as) report.error('argument/as', `only layers have names: ${callee.text} is none`, expression.as.span)
    const bound = bindArguments(signature, expression, context)
    return bound && { call: signature.name, args: bound.attributes }
  }
  const value = context.evaluate(expression)
  if (!value) return undefined
  const constant = calls.find((c) => c.name === 'constant')?.parameters[0]
  if (constant && value.kind === 'number') return { call: 'constant', args: { [constant.name]: value.value } }
  const names = calls.map((c) => c.name)
  return report.error('argument/kind', `${what} is ${listed(names, 'or')}, not ${describe(value)}`, expression.span, {
    hint: () => (value.kind === 'string' ? quotedMend(value.value, expression.span, calls, names) : undefined),
  })
}

/** A hint for a word in quotes, `weight_init: "he_normal"`: words stand without them. */
function quotedMend(text: string, span: Span, calls: readonly Signature[], names: readonly string[]): string | undefined {
  if (names.includes(text)) return `words stand without quotes: ${text}`
  const call = { callee: { text, span }, positional: [], named: [] }
  return callMend(call, calls, names)
}
