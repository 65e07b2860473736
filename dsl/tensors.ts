import { type ArgumentContext, bounded } from './argument-values.ts'
import type { Call, Expression } from './ast.ts'
import type { ValueRef } from './program.ts'
import { type Attributes, NUMBERS, type Signature, tensorNames } from './signature.ts'
import { type Span, textOf } from './source.ts'
import { countOf } from '../bundle/plain.ts'
import { describe, type Evaluated } from './values.ts'

/** The value in front of `->`. */
export interface Fed {
  readonly value: Evaluated | undefined
  readonly span: Span
}

export interface Taken {
  readonly tensors: readonly { readonly ref: ValueRef; readonly span: Span }[]
  /** The arguments by position behind them. */
  readonly rest: readonly Expression[]
  /** Whether the number of tensors is the one that the layer takes. If not, that was reported. */
  readonly good: boolean
  /** The numbers among the operands, and where they are written. */
  readonly numbers?: { readonly attributes: Attributes; readonly span: Span }
}

/** The tensors that a layer works on: what stands before `->`, then the arguments in front as long as they are tensors. */
export function takeTensors(signature: Signature, call: Call, fed: Fed | undefined, context: ArgumentContext): Taken {
  const { report, evaluate } = context
  if (refuseList(signature, call, fed, context)) return { tensors: [], rest: fed ? call.positional : call.positional.slice(1), good: false }
  if (signature.values?.numbers) return takeOperands(signature, call, fed, context)
  const { min, max } = signature.values ?? { min: 1, max: 1 }
  /** Other arguments that may stand by position. */
  const positions = signature.parameters.filter((p) => !p.named).length
  const tensors: Taken['tensors'][number][] = []
  const rest = [...call.positional]
  let good = true
  let wrongKind = false
  let count = 0
  const take = (value: Evaluated | undefined, span: Span): void => {
    count++
    if (value?.kind === 'tensor') tensors.push({ ref: value.ref, span })
    else {
      good = false
      wrongKind ||= value !== undefined
      if (value)
        report.error('argument/kind', `${signature.name} works on ${countOf(min, 'tensor')}, not on ${describe(value)}`, span, {
          hint: span === fed?.span ? undefined : usage(signature),
        })
    }
  }
  if (fed && max === 0) {
    const hint = `write NAME = ${signature.name}(...)`
    report.error('values/too-many', `${signature.name} works on no tensors, so nothing stands in front of it`, fed.span, { hint })
    return { tensors, rest, good: false }
  }
  if (fed) take(fed.value, fed.span)
  while (rest.length > 0 && count < max && mayBeTensor(rest[0]!, context, count < min)) {
    const value = evaluate(rest[0]!)
    if (value && value.kind !== 'tensor') break
    take(value, rest.shift()!.span)
  }
  const next = rest[0]
  const isTensor = (e: Expression): boolean => mayBeTensor(e, context, false) && evaluate(e)?.kind === 'tensor'
  if (count < min && next && positions === 0) take(evaluate(rest.shift()!), next.span)
  if (count === max && next && rest.length > positions && isTensor(next)) {
    good = false
    report.error(
      'values/too-many',
      `${signature.name} works on ${countOf(max, 'tensor')}${fed ? ", of which '->' gives the first" : ''}`,
      next.span,
      { text: 'one too many' },
    )
    while (rest.length > positions && isTensor(rest[0]!)) rest.shift()
  }
  if (count < min && !wrongKind) {
    good = false
    const wanted = `${min === max ? '' : 'at least '}${countOf(min, 'tensor')}`
    report.error(
      'values/too-few',
      `${signature.name} works on ${wanted}, and here ${count === 0 ? 'is none' : count === 1 ? 'is one' : `are ${count}`}`,
      call.span,
      { hint: () => mend(signature, call, fed !== undefined) },
    )
  }
  return { tensors, rest, good }
}

/** Whether tensors stand in brackets, as in `concat([x, y])`, which then was told. */
function refuseList(signature: Signature, call: Call, fed: Fed | undefined, context: ArgumentContext): boolean {
  const [first, ...others] = call.positional
  const list = first?.kind === 'list' && first.items.some((item) => mayBeTensor(item, context, false)) && !fed ? first : undefined
  const value = list ? context.evaluate(list) : fed?.value
  if (value?.kind !== 'list' || value.items.length === 0 || value.items.some(({ kind }) => kind !== 'tensor')) return false
  const span = list?.span ?? fed!.span
  const given = [textOf(span).replace(/^\[\s*|,?\s*\]$/g, ''), ...(list ? others : call.positional), ...call.named]
  const written = given.map((part) => (typeof part === 'string' ? part : textOf(part.span))).join(', ').replace(/\s+/g, ' ')
  context.report.error('argument/kind', `${signature.name} works on tensors one by one, not on ${describe(value)}`, span, {
    hint: `write ${signature.name}(${written})`,
  })
  return true
}

/** Tensors and numbers: what stands before `->`, and all arguments by position. */
function takeOperands(signature: Signature, call: Call, fed: Fed | undefined, { report, evaluate }: ArgumentContext): Taken {
  const { name } = signature
  const { min, max } = signature.values!
  const given = [...(fed ? [fed] : []), ...call.positional.map((e): Fed => ({ value: evaluate(e), span: e.span }))]
  const tensors: Taken['tensors'][number][] = []
  const numbers: { readonly value: number; readonly at: number; readonly span: Span }[] = []
  let good = true
  for (const [at, { value, span }] of given.entries()) {
    if (value?.kind === 'tensor') tensors.push({ ref: value.ref, span })
    else if (value?.kind === 'number') {
      const held = bounded(value.value, {}, false, span, `an operand of ${name}`, report)
      if (held === undefined) good = false
      else numbers.push({ value: held, at, span })
    } else {
      good = false
      if (value)
        report.error('argument/kind', `${name} works on tensors and numbers, not on ${describe(value)}`, span, {
          hint: value.kind === 'list' ? 'a number for each channel is learned by scale or bias, or given to normalize' : usage(signature),
        })
    }
  }
  if (given.length < min || given.length > max) {
    good = false
    const wanted = `${min === max ? '' : 'at least '}${countOf(min, 'operand')}`
    const count = given.length === 0 ? 'is none' : given.length === 1 ? 'is one' : `are ${given.length}`
    report.error(
      given.length < min ? 'values/too-few' : 'values/too-many',
      `${name} works on ${wanted}, and here ${count}`,
      given.length < min ? call.span : given[max]!.span,
      { hint: () => (given.length < min ? mend(signature, call, fed !== undefined) : usage(signature)) },
    )
  } else if (good && tensors.length === 0) {
    good = false
    report.error('values/numbers', `${name} works on tensors, and all of these are numbers`, call.span, {
      hint: 'numbers are joined by + - * / in place',
    })
  }
  const attributes = { [NUMBERS.values]: numbers.map(({ value }) => value), [NUMBERS.places]: numbers.map(({ at }) => at) }
  return { tensors, rest: [], good, ...(numbers.length > 0 && { numbers: { attributes, span: numbers[0]!.span } }) }
}

/** Literals are none; a word that is no name of a value is an argument (`mode: nearest`), unless a tensor is still missing. */
function mayBeTensor(e: Expression, { isBound }: ArgumentContext, missing: boolean): boolean {
  if (e.kind === 'call') return !e.bare || isBound(e.callee.text) || missing
  return e.kind === 'chain' || e.kind === 'if'
}

/** `x -> conv(...)`, `add(a, b)` */
function usage(signature: Signature): string {
  const { name, values, parameters } = signature
  const min = values?.min ?? 1
  if (min <= 1) return `write x -> ${name}${parameters.some((p) => p.default === undefined && !p.optional) ? '(...)' : ''}`
  return `write ${name}(${tensorNames(signature).join(', ')})`
}

/** Newlines mean nothing, so a forgotten '->' makes a statement of its own. */
function mend(signature: Signature, { span }: Call, fed: boolean): string {
  const follows = !fed && /[\w)\]]\s*$/.test(span.source.text.slice(Math.max(0, span.start - 200), span.start))
  return `${usage(signature)}${follows ? "; is '->' missing in front of it?" : ''}`
}
