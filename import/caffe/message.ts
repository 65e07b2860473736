import type { ImportProblem } from '../import-error.ts'
import { type FieldSpec, SCHEMA } from './schema.ts'
import type { TextField, TextMessage, TextScalar } from './text-format.ts'

export type FieldValue = string | number | boolean | Message

/** A message whose fields have the types that the schema says. Words of enums are words, also where the file has their numbers. */
export class Message {
  readonly of: string
  readonly line: number
  /** Fields that the schema does not know: those of another Caffe. */
  readonly unknown: readonly { readonly name: string; readonly line: number }[]
  private readonly fields: ReadonlyMap<string, readonly FieldValue[]>

  constructor(of: string, line: number, fields: ReadonlyMap<string, readonly FieldValue[]>, unknown: Message['unknown'] = []) {
    this.of = of
    this.line = line
    this.fields = fields
    this.unknown = unknown
  }

  has(name: string): boolean {
    return this.fields.has(name)
  }

  all(name: string): readonly FieldValue[] {
    return this.fields.get(name) ?? []
  }

  number(name: string): number | undefined
  number(name: string, otherwise: number): number
  number(name: string, otherwise?: number): number | undefined {
    return (this.all(name)[0] as number | undefined) ?? otherwise
  }

  numbers(name: string): readonly number[] {
    return this.all(name) as readonly number[]
  }

  /** A text, or the word of an enum. */
  text(name: string): string | undefined
  text(name: string, otherwise: string): string
  text(name: string, otherwise?: string): string | undefined {
    return (this.all(name)[0] as string | undefined) ?? otherwise
  }

  texts(name: string): readonly string[] {
    return this.all(name) as readonly string[]
  }

  flag(name: string): boolean | undefined
  flag(name: string, otherwise: boolean): boolean
  flag(name: string, otherwise?: boolean): boolean | undefined {
    return (this.all(name)[0] as boolean | undefined) ?? otherwise
  }

  message(name: string): Message | undefined {
    return this.all(name)[0] as Message | undefined
  }

  messages(name: string): readonly Message[] {
    return this.all(name) as readonly Message[]
  }

  /** The message of a field, an empty one where there is none: its fields then have their defaults. */
  sub(name: string): Message {
    return this.message(name) ?? new Message('', this.line, new Map())
  }

  names(): readonly string[] {
    return [...this.fields.keys()]
  }

  /** A copy with other fields; undefined takes one away. */
  with(of: string, changes: Readonly<Record<string, readonly FieldValue[] | undefined>>): Message {
    const fields = new Map(this.fields)
    for (const [name, values] of Object.entries(changes)) {
      if (values === undefined || values.length === 0) fields.delete(name)
      else fields.set(name, values)
    }
    return new Message(of, this.line, fields, this.unknown)
  }

  /** Fields that no one knows, here and in messages within. */
  strangers(): Message['unknown'] {
    const within = [...this.fields.values()].flat().flatMap((value) => (value instanceof Message ? value.strangers() : []))
    return [...this.unknown, ...within]
  }

  /** Whether both have the same fields but for some. */
  equals(other: Message, but: readonly string[] = []): boolean {
    const names = new Set([...this.fields.keys(), ...other.fields.keys()].filter((name) => !but.includes(name)))
    return [...names].every((name) => {
      const [a, b] = [this.all(name), other.all(name)]
      return a.length === b.length && a.every((value, i) => {
        const twin = b[i]!
        return value instanceof Message && twin instanceof Message ? value.equals(twin, but) : value === twin
      })
    })
  }
}

/** Gives the fields of a parsed text their types. Problems, with file and line: values that do not fit, fields given twice. */
export function typedMessage(file: string, of: string, text: TextMessage, problems: ImportProblem[]): Message {
  const specs = SCHEMA.get(of)!
  const fields = new Map<string, FieldValue[]>()
  const unknown: { name: string; line: number }[] = []
  for (const field of text.fields) {
    const spec = specs.get(field.name)
    if (!spec) {
      unknown.push({ name: field.name, line: field.line })
      continue
    }
    const known = fields.get(field.name)
    if (known && !spec.repeated) {
      problems.push({ where: `${file}:${field.line}`, what: `${field.name} is given twice`, mend: 'leave the one that is meant' })
      continue
    }
    const value = typedValue(file, field, spec, problems)
    if (value === undefined) continue
    if (known) known.push(value)
    else fields.set(field.name, [value])
  }
  return new Message(of, text.line, fields, unknown)
}

function typedValue(file: string, field: TextField, { type }: FieldSpec, problems: ImportProblem[]): FieldValue | undefined {
  const { value } = field
  const wrong = (wanted: string): undefined => {
    const got = value.kind === 'message' ? 'a message'
      : value.kind === 'text' ? `the text "${value.text.slice(0, 60)}"` : value.text.slice(0, 60)
    problems.push({ where: `${file}:${field.line}`, what: `${field.name} should be ${wanted}, and is ${got}` })
    return undefined
  }
  if (type.kind === 'message') return value.kind === 'message' ? typedMessage(file, type.of, value, problems) : wrong('a message in braces')
  if (value.kind === 'message') return wrong(type.kind === 'text' ? 'a text in quotes' : 'one value')
  switch (type.kind) {
    case 'text':
      return value.kind === 'text' ? value.text : wrong('a text in quotes')
    case 'bool':
      return boolOf(value) ?? wrong('true or false')
    case 'int':
      return intOf(value) ?? wrong('a whole number')
    case 'float':
      return floatOf(value) ?? wrong('a number')
    case 'enum': {
      const word = [...type.words.values()].find((w) => value.kind === 'word' && w === value.text) ?? type.words.get(intOf(value) ?? -1)
      return word ?? wrong(`one of ${[...type.words.values()].join(', ')}`)
    }
  }
}

const boolOf = ({ kind, text }: TextScalar): boolean | undefined =>
  kind === 'text' ? undefined : /^(true|True|t|1)$/.test(text) ? true : /^(false|False|f|0)$/.test(text) ? false : undefined

function intOf({ kind, text }: TextScalar): number | undefined {
  if (kind === 'text' || !/^-?(0[xX][0-9a-fA-F]+|\d+)$/.test(text)) return undefined
  const digits = text.replace('-', '')
  const size = /^0[0-7]+$/.test(digits) ? parseInt(digits, 8) : Number(digits)
  return Number.isSafeInteger(size) ? (text.startsWith('-') ? -size : size) : undefined
}

/** Caffe's numbers are float32: 0.1 is written as 0.1, and that is what the language is given. */
function floatOf({ kind, text }: TextScalar): number | undefined {
  if (kind === 'text') return undefined
  if (/^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[fF]?$/.test(text)) return Number(text.replace(/[fF]$/, ''))
  const special = /^(-?)(inf(?:inity)?|nan)$/i.exec(text)
  if (!special) return intOf({ kind, text, line: 0 })
  return special[2]!.toLowerCase() === 'nan' ? NaN : special[1] ? -Infinity : Infinity
}
