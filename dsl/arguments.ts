import type { Call, Expression } from './ast.ts'
import type { Reporter } from './reporter.ts'
import type { ArgumentType, Attribute, AttributeCall, Attributes, Parameter, Signature } from './signature.ts'
import type { Span } from './source.ts'
import { suggest } from './suggest.ts'
import { describe, type Evaluated } from './values.ts'

/** What binding arguments needs of the evaluator. */
export interface ArgumentContext {
  readonly report: Reporter
  readonly evaluate: (e: Expression) => Evaluated | undefined
  /** Full name of a layer that a file calls `name` here. */
  readonly layerNamed?: (name: string, span: Span) => string | undefined
}

export interface Bound {
  readonly attributes: Attributes
  readonly spans: Readonly<Record<string, Span>>
  /** Tensors that were given by name (`mask: m`). */
  readonly tensors: readonly { readonly value: Evaluated; readonly span: Span }[]
}

/** An argument as it is written: by position or by name. */
export interface Given {
  readonly positional: readonly Expression[]
  readonly named: Call['named']
  readonly span: Span
}

/** Binds what a call gives to what its signature takes. Undefined if something was wrong, which then was told. */
export function bindArguments(signature: Signature, given: Given, context: ArgumentContext): Bound | undefined {
  const { report } = context
  const values = new Map<string, { expression: Expression; span: Span }>()
  const byPosition = signature.parameters.filter((p) => !p.named)
  let good = true
  const fail = (): void => { good = false }
  given.positional.forEach((expression, i) => {
    const parameter = byPosition[i]
    if (parameter) values.set(parameter.name, { expression, span: expression.span })
    else {
      fail()
      report.error('argument/too-many', `${signature.name} takes ${countOf(byPosition.length, 'argument')} by position`, expression.span, { text: 'one too many', hint: usage(signature) })
    }
  })
  for (const { name, value, span } of given.named) {
    const parameter = signature.parameters.find((p) => p.name === name.text || p.aliases?.includes(name.text))
    if (!parameter) {
      fail()
      unknownArgument(signature, name.text, name.span, report)
    } else if (values.has(parameter.name)) {
      fail()
      report.error('argument/twice', `${parameter.name} of ${signature.name} is given twice`, span, { text: 'again', labels: [{ span: values.get(parameter.name)!.span, text: 'given here' }] })
    } else values.set(parameter.name, { expression: value, span })
  }
  const attributes: Record<string, Attribute> = {}
  const spans: Record<string, Span> = {}
  const tensors: Bound['tensors'][number][] = []
  for (const parameter of signature.parameters) {
    const found = values.get(parameter.name)
    if (!found) {
      if (parameter.default !== undefined) attributes[parameter.name] = parameter.default
      else if (!parameter.optional) {
        fail()
        report.error('argument/missing', `${signature.name} needs ${parameter.name}`, given.span, { hint: usage(signature) })
      }
      continue
    }
    spans[parameter.name] = found.span
    if (parameter.type.kind === 'value') {
      const value = context.evaluate(found.expression)
      if (value?.kind === 'tensor') tensors.push({ value, span: found.span })
      else { fail(); if (value) report.error('argument/kind', `${parameter.name} of ${signature.name} is a tensor, not ${describe(value)}`, found.expression.span) }
      continue
    }
    const attribute = convert(parameter, parameter.type, found.expression, signature, context)
    if (attribute === undefined) fail()
    else attributes[parameter.name] = attribute
  }
  return good ? { attributes, spans, tensors } : undefined
}

/** Names in the words of other frameworks, and what they are called here. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  kernel_size: 'kernel', padding: 'pad', out_channels: 'out', num_output: 'out', filters: 'out', strides: 'stride', group: 'groups', use_bias: 'bias', bias_term: 'bias',
  units: 'out', out_features: 'out', epsilon: 'eps', negative_slope: 'slope', learning_rate: 'lr', base_lr: 'lr', dropout_ratio: 'p', rate: 'p', keep_prob: 'p',
}

function unknownArgument(signature: Signature, name: string, span: Span, report: Reporter): void {
  const names = signature.parameters.map((p) => p.name)
  const translated = ELSEWHERE[name]
  const meant = translated && names.includes(translated) ? translated : suggest(name, names)
  report.error('argument/unknown', `${signature.name} has no argument ${name}`, span, {
    hint: meant ? `did you mean \`${meant}\`?` : usage(signature),
  })
}

const usage = (signature: Signature): string => {
  const parts = signature.parameters.map((p) => `${p.name}${p.default !== undefined ? `: ${showAttribute(p.default)}` : p.optional ? '?' : ''}`)
  const shown = parts.length > 8 ? [...parts.slice(0, 8), '...'] : parts
  return `${signature.name}(${shown.join(', ')})`
}

function showAttribute(value: Attribute): string {
  if (Array.isArray(value)) return `[${value.join(', ')}]`
  if (typeof value === 'object' && 'call' in value) {
    const args = Object.entries(value.args).map(([name, arg]) => `${name}: ${showAttribute(arg)}`)
    return args.length > 0 ? `${value.call}(${args.join(', ')})` : value.call
  }
  if (typeof value === 'object' && 'unit' in value) return `${value.count} ${value.unit}`
  return String(value)
}

const countOf = (count: number, noun: string): string => (count === 0 ? `no ${noun}s` : `${count} ${noun}${count === 1 ? '' : 's'}`)

function convert(parameter: Parameter, type: ArgumentType, expression: Expression, signature: Signature, context: ArgumentContext): Attribute | undefined {
  const { report } = context
  const what = `${parameter.name} of ${signature.name}`
  const word = expression.kind === 'call' && expression.bare && !expression.as ? expression.callee.text : undefined
  const wrong = (wanted: string, value?: Evaluated): undefined =>
    report.error('argument/kind', `${what} is ${wanted}${value ? `, not ${describe(value)}` : ''}`, expression.span)
  switch (type.kind) {
    case 'word': {
      if (word !== undefined && type.words.includes(word)) return word
      const value = word === undefined ? context.evaluate(expression) : undefined
      if (value?.kind === 'string' && type.words.includes(value.value)) return value.value
      const meant = word && suggest(word, type.words)
      return report.error('argument/word', `${what} is one of ${type.words.join(', ')}`, expression.span, meant ? { hint: `did you mean \`${meant}\`?` } : {})
    }
    case 'layer':
      if (word === undefined) return wrong('the name of a layer')
      return context.layerNamed?.(word, expression.span)
    case 'call': return convertCall(what, type.calls, expression, context)
    case 'window':
      if (word !== undefined && type.words?.includes(word)) return word
      break
    default:
  }
  const value = context.evaluate(expression)
  if (value === undefined) return undefined
  switch (type.kind) {
    case 'integer': case 'number': {
      if (value.kind !== 'number') return wrong(type.kind === 'integer' ? 'an integer' : 'a number', value)
      return inRange(what, value.value, type, type.kind === 'integer', expression.span, report)
    }
    case 'boolean': return value.kind === 'boolean' ? value.value : wrong('true or false', value)
    case 'string': return value.kind === 'string' ? value.value : wrong('a text in quotes', value)
    case 'window': {
      const items = value.kind === 'list' ? value.items : [value, value]
      if (items.length !== 2 || !items.every((item) => item.kind === 'number')) return wrong('one number or [height, width]', value)
      const sizes = items.map((item) => inRange(what, (item as { value: number }).value, { ...(type.min !== undefined && { min: type.min }) }, true, expression.span, report))
      return sizes.every((size) => size !== undefined) ? sizes : undefined
    }
    case 'numbers': {
      const items = value.kind === 'list' ? value.items : [value]
      if (!items.every((item) => item.kind === 'number')) return wrong('a list of numbers', value)
      const numbers = items.map((item) => (item as { value: number }).value)
      if (type.integer && !numbers.every((n) => Number.isSafeInteger(n))) return wrong('a list of integers')
      if (type.length !== undefined && numbers.length !== type.length) return wrong(`a list of ${type.length} numbers`, value)
      return numbers
    }
    case 'duration':
      if (value.kind === 'duration') return value.value
      if (value.kind === 'number' && Number.isSafeInteger(value.value) && value.value >= 0) return { count: value.value, unit: 'steps' }
      return wrong('a number of steps or epochs, like 500 or 2 epochs', value)
    default: return undefined
  }
}

function inRange(what: string, value: number, bounds: { readonly min?: number; readonly max?: number }, integer: boolean, span: Span, report: Reporter): number | undefined {
  if (integer && !Number.isSafeInteger(value)) return report.error('argument/kind', `${what} is an integer, not ${value}`, span)
  if (!Number.isFinite(value)) return report.error('argument/kind', `${what} is a finite number, not ${value}`, span)
  if (bounds.min !== undefined && value < bounds.min) return report.error('argument/range', `${what} is at least ${bounds.min}, not ${value}`, span)
  if (bounds.max !== undefined && value > bounds.max) return report.error('argument/range', `${what} is at most ${bounds.max}, not ${value}`, span)
  return value
}

/** `moving(newest: 0.95)`, a bare word, or a number where a constant is meant. */
export function convertCall(what: string, calls: readonly Signature[], expression: Expression, context: ArgumentContext): AttributeCall | undefined {
  const { report } = context
  if (expression.kind === 'call') {
    const { callee } = expression
    const signature = calls.find((c) => c.name === callee.text)
    if (!signature) {
      const meant = suggest(callee.text, calls.map((c) => c.name))
      return report.error('argument/unknown-call', `${what} is one of ${calls.map((c) => c.name).join(', ')}; there is no ${callee.text}`, callee.span, meant ? { hint: `did you mean \`${meant}\`?` } : {})
    }
    const bound = bindArguments(signature, expression, context)
    return bound && { call: signature.name, args: bound.attributes }
  }
  const constant = calls.find((c) => c.name === 'constant')
  const value = context.evaluate(expression)
  if (value === undefined) return undefined
  const [parameter] = constant?.parameters ?? []
  if (constant && parameter && value.kind === 'number') return { call: 'constant', args: { [parameter.name]: value.value } }
  return report.error('argument/kind', `${what} is one of ${calls.map((c) => c.name).join(', ')}, not ${describe(value)}`, expression.span)
}
