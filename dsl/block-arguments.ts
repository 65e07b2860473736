import type { Call, Expression } from './ast.ts'
import type { DefinedBlock } from './definitions.ts'
import { nearest } from './fix-hints.ts'
import type { Reporter } from './reporter.ts'
import type { Fed } from './tensors.ts'
import { countOf } from '../bundle/plain.ts'
import type { Evaluated } from './values.ts'

/** The values that a call gives to the parameters of a block. */
export interface BlockArguments {
  /** A value for each parameter of the block. Absent: the call gives none, and the default counts. */
  readonly values: readonly (Fed | undefined)[]
  /** Whether all arguments were right: none too many, unknown, or given twice. */
  readonly good: boolean
}

/**
 * Matches the arguments of a call with the parameters of a block: what `->` feeds comes first, then values by position, then values by
 * name. Reports `argument/too-many`, `argument/unknown` and `argument/twice`.
 */
export function blockArguments(
  block: DefinedBlock,
  call: Call,
  fed: Fed | undefined,
  { report, evaluate }: { readonly report: Reporter; readonly evaluate: (e: Expression) => Evaluated | undefined },
): BlockArguments {
  const { text: name, span: madeAt } = block.name
  const given: Fed[] = [...(fed ? [fed] : []), ...call.positional.map((e) => ({ value: evaluate(e), span: e.span }))]
  const named = new Map<string, Fed>()
  let good = true
  const error: Reporter['error'] = (...told) => {
    good = false
    return report.error(...told)
  }
  const defined = [{ span: madeAt, text: 'defined here' }]
  if (given.length > block.parameters.length)
    error('argument/too-many', `block ${name} takes ${countOf(block.parameters.length, 'value')}`, given[block.parameters.length]!.span, {
      text: 'one too many',
      labels: defined,
    })
  for (const { name: argument, value, span } of call.named) {
    const at = block.parameters.findIndex((p) => p.name.text === argument.text)
    const before = given[at] ?? named.get(argument.text)
    if (at < 0)
      error('argument/unknown', `block ${name} has no parameter ${argument.text}`, argument.span, {
        hint: nearest(argument.text, block.parameters.map((p) => p.name.text)),
        labels: defined,
      })
    else if (before)
      error('argument/twice', `${argument.text} of block ${name} is given twice`, span, {
        text: 'again',
        labels: [{ span: before.span, text: 'given here' }],
      })
    const evaluated = evaluate(value)
    if (!named.has(argument.text)) named.set(argument.text, { value: evaluated, span })
  }
  return { values: block.parameters.map(({ name: parameter }, i) => given[i] ?? named.get(parameter.text)), good }
}
