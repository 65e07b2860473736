import type { Expression, NameTemplate } from './ast.ts'
import type { Reporter } from './reporter.ts'
import type { Span } from './source.ts'
import { describe, type Evaluated } from './values.ts'

/** Keys that mean something else to those who keep tensors by name: JavaScript's objects and safetensors files. */
const RESERVED: ReadonlySet<string> = new Set(['__proto__', '__metadata__'])
/** Letters of a layer's full name, the blocks around it included. */
const LONGEST = 1000

export const isReserved = (name: string): boolean => RESERVED.has(name)
export const reserved = (name: string): string =>
  `nothing can be called ${name}: the word means something else where tensors are kept by name`

/** Names within one block instance, or within the net itself. */
export interface NameSpace {
  /** `stage2.basic_1.`: in front of every name. */
  readonly prefix: string
  /** The number of layers of each operator, and of instances of each block, so far. */
  readonly counts: Map<string, number>
}

/** The name behind `as`. */
export interface OwnName {
  readonly text: string
  readonly span: Span
}

/** The name that a template such as `stage{i}` makes with the values of its expressions. Undefined after `name/template`. */
export function filledTemplate(
  { parts, span }: NameTemplate,
  evaluate: (e: Expression) => Evaluated | undefined,
  report: Reporter,
): OwnName | undefined {
  let text = ''
  let good = true
  for (const part of parts) {
    const value: Evaluated | undefined = typeof part === 'string' ? { kind: 'string', value: part } : evaluate(part)
    if (
      value && (value.kind === 'string' || (value.kind === 'number' && Number.isSafeInteger(value.value) && value.value >= 0)) &&
      /^\w*$/.test(String(value.value))
    ) text += String(value.value)
    else {
      good = false
      if (value && typeof part !== 'string')
        report.error('name/template', `what is put into a name is a count or a word, not ${describe(value)}`, part.span)
    }
  }
  return good ? { text, span } : undefined
}

/**
 * The names of all layers. A layer is called what `as` says, else its operator and the how-many-eth of those without a name
 * it is within the block that holds it: relu_2. Named layers do not count, so that one more or less of them leaves the
 * others' names, and with them the names of their weights, as they were.
 */
export class Names {
  private readonly taken = new Map<string, Span>()
  private readonly report: Reporter

  constructor(report: Reporter) {
    this.report = report
  }

  has(name: string): boolean {
    return this.taken.has(name)
  }

  /** The full name of a layer or block instance. Undefined if another has it, which was told. */
  claim(
    operator: string,
    own: OwnName | undefined,
    place: NameSpace,
    span: Span,
  ): string | undefined {
    let name = `${place.prefix}${own ? own.text : ''}`
    while (!own && (name === place.prefix || this.taken.has(name))) {
      const count = (place.counts.get(operator) ?? 0) + 1
      place.counts.set(operator, count)
      name = `${place.prefix}${operator}_${count}`
    }
    if (own && isReserved(own.text))
      return this.report.error('name/reserved', reserved(own.text), own.span, { hint: 'choose another name' })
    if (name.length > LONGEST)
      return this.report.error(
        'limit/too-large',
        `the name of this ${operator} has ${name.length} letters, those of the blocks around it included: at most ${LONGEST} are kept`,
        own?.span ?? span,
        { hint: 'give it, or the blocks around it, shorter names' },
      )
    const before = this.taken.get(name)
    if (before && own) {
      const again = before.source === own.span.source && before.start === own.span.start
      return this.report.error(
        'name/taken',
        again ? `a loop calls several layers ${name}` : `there are two layers called ${name}`,
        own.span,
        {
          labels: again ? [] : [{ span: before, text: 'the other one' }],
          hint: again ? `put the counter into the name, as in \`as ${own.text}{i}\`` : 'call one of them something else',
        },
      )
    }
    this.taken.set(name, own?.span ?? span)
    return name
  }
}
