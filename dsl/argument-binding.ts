import type { Call, Expression } from './ast.ts'
import { orderMend } from './elsewhere.ts'
import { argumentMend, usage } from './fix-hints.ts'
import type { Reporter } from './reporter.ts'
import type { Parameter, Signature } from './signature.ts'
import { type Span, textOf } from './source.ts'
import { countOf } from '../bundle/plain.ts'
import { listed } from './values.ts'

/** A call's arguments as they are written, without the tensors in front. */
export interface Given {
  readonly positional: readonly Expression[]
  readonly named: Call['named']
  readonly span: Span
}

export interface Placed {
  readonly expression: Expression
  /** The place of the argument, its name included. */
  readonly span: Span
}

/**
 * Binds arguments to parameters. Reports those that are unknown, given twice, too many, and (unless `partly`) missing; undefined where
 * something was reported. Does not look at values.
 */
export function place(signature: Signature, given: Given, report: Reporter, partly = false): Map<string, Placed> | undefined {
  const placed = new Map<string, Placed>()
  const byPosition = signature.parameters.filter((p) => !p.named)
  let good = true
  const error: Reporter['error'] = (...told) => {
    good = false
    return report.error(...told)
  }
  given.positional.forEach((expression, i) => {
    const parameter = byPosition[i]
    if (parameter) placed.set(parameter.name, { expression, span: expression.span })
    else if (i === byPosition.length) {
      error('argument/too-many', `${signature.name} takes ${countOf(byPosition.length, 'argument')} by position`, expression.span, {
        text: 'one too many',
        hint: () => orderMend(signature, given) ?? (signature.parameters.length > 0 ? usage(signature) : undefined),
      })
    }
  })
  for (const { name, value, span } of given.named) {
    const parameter = signature.parameters.find((p) => p.name === name.text || p.aliases?.includes(name.text))
    const before = parameter && placed.get(parameter.name)
    if (!parameter)
      error('argument/unknown', `${signature.name} has no argument ${name.text}`, name.span, {
        hint: () => argumentMend(signature, name.text, textOf(value.span).replace(/\s+/g, ' ')),
      })
    else if (before)
      error('argument/twice', `${parameter.name} of ${signature.name} is given twice`, span, {
        text: 'again',
        labels: [{ span: before.span, text: 'given here' }],
        hint: () => (given.positional.includes(before.expression) ? placeMend(signature, byPosition.indexOf(parameter))
          : parameter.type.kind === 'numbers' ?
          `several numbers are a list: ${parameter.name}: [${textOf(before.expression.span)}, ${textOf(value.span)}]`
          : undefined),
      })
    else placed.set(parameter.name, { expression: value, span })
  }
  const missing = signature.parameters.filter((p) => !placed.has(p.name) && p.default === undefined && !p.optional)
  // What is missing may be what was spelled wrong.
  if (missing.length > 0 && good && !partly)
    error('argument/missing', `${signature.name} needs ${listed(missing.map(({ name }) => name))}`, given.span, {
      hint: () => [usage(signature), ...missing.flatMap(idleMend)].join('; '),
    })
  return good ? placed : undefined
}

const idleMend = ({ name, idle }: Parameter): readonly string[] =>
  idle === undefined ? [] : [`${name}: ${idle} leaves what comes in as it is`]

/** The bindings that are possible in spite of mistakes. */
export function placeLeniently(signature: Signature, given: Given): Map<string, Placed> {
  const byPosition = signature.parameters.filter((p) => !p.named)
  const values = new Map<string, Placed>()
  given.positional.forEach((expression, i) => {
    if (byPosition[i]) values.set(byPosition[i].name, { expression, span: expression.span })
  })
  for (const { name, value, span } of given.named) values.set(name.text, { expression: value, span })
  return values
}

/** A hint that says which argument stands at a place, without a name. */
export const placeMend = (signature: Signature, index: number): string =>
  `argument ${index + 1} without a name is ${signature.parameters.filter((p) => !p.named)[index]!.name}: ${usage(signature)}`
