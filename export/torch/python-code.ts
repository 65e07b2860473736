/** A number, a word, a tuple of the text, as Python has it. What differs between instances of a block becomes a parameter of its class. */
export interface Literal {
  readonly text: string
  /** What a parameter for it is called, where the text has no better name. */
  readonly hint: string
  /** It is left out where it is this and no parameter: it stands as `, key=text`. */
  readonly otherwise?: string
  /** The word in front of it. */
  readonly key?: string
}

/** Python in parts: text, literals, and (numbers) the inputs of a layer. */
export type Code = readonly (string | Literal | number)[]

export type PythonValue = number | boolean | string | readonly PythonValue[] | undefined

/** A value as Python writes it. A list becomes a tuple. */
export function python(value: PythonValue): string {
  if (value === undefined) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'number') return Object.is(value, -0) ? '-0.0' : String(value)
  if (typeof value === 'string') return JSON.stringify(value)
  return `(${value.map(python).join(', ')}${value.length === 1 ? ',' : ''})`
}

/** A literal that stands where it is. */
export const literal = (value: PythonValue, hint: string): Literal => ({ text: python(value), hint })

/** `, key=value`, unless it is the default. */
export const option = (key: string, value: PythonValue, otherwise: PythonValue, hint = key): Literal => ({
  text: python(value),
  hint,
  key,
  otherwise: python(otherwise),
})

/** Parts of a template: numbers are inputs, arrays are code, everything else a literal. */
export function code(strings: TemplateStringsArray, ...parts: readonly (Literal | number | Code | string)[]): Code {
  return strings.flatMap((text, i): Code => {
    const part = parts[i]
    return [
      ...(text === '' ? [] : [text]),
      ...(part === undefined ? [] : Array.isArray(part) ? part as Code : [part as Literal | number | string]),
    ]
  })
}

export const isLiteral = (part: Code[number]): part is Literal => typeof part === 'object'

/** Code as a text. `write`: what stands in the place of a literal, undefined for itself; `input`: an input. */
export function printCode(parts: Code, input: (i: number) => string, write: (literal: Literal) => string | undefined): string {
  return parts.reduce<string>((text, part) => {
    if (typeof part === 'string') return text + part
    if (typeof part === 'number') return text + input(part)
    const name = write(part)
    if (part.key === undefined) return text + (name ?? part.text)
    if (name === undefined && part.text === part.otherwise) return text
    // The first argument has no comma in front.
    return `${text}${text.endsWith('(') ? '' : ', '}${part.key}=${name ?? part.text}`
  }, '')
}

/** What of a code is the same in all instances: without the texts of its literals. */
export const shapeOf = (parts: Code): string => JSON.stringify(parts.map((part) => (isLiteral(part) ? [part.hint, part.key ?? ''] : part)))
