import { ImportError } from '../import-error.ts'

/*
 * Protobuf's text format, in which prototxt files are written: `name: "conv1" param { lr_mult: 1 } dim: [1, 3]`.
 * https://protobuf.dev/reference/protobuf/textformat-spec. What a field may hold is the schema's affair (`messages.ts`).
 */

/** A number or a word as it stands in the file, or a text in quotes without them. */
export interface TextScalar {
  readonly kind: 'word' | 'text'
  readonly text: string
  readonly line: number
}

export interface TextMessage {
  readonly kind: 'message'
  readonly line: number
  readonly fields: readonly TextField[]
}

/** One value of a field; a list `[1, 2]` is as many of them. */
export interface TextField {
  readonly name: string
  readonly line: number
  readonly value: TextScalar | TextMessage
}

type Kind = 'word' | 'text' | 'mark' | 'end'
interface Token {
  readonly kind: Kind
  readonly text: string
  readonly line: number
}

/** Messages within messages, as protobuf's own parser has it at most. */
const DEEPEST = 100

const CLOSING: Readonly<Record<string, string>> = { '{': '}', '<': '>' }
const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '?': '?',
}

/** The fields of a file. Throws ImportError with file and line where it is no text format. */
export function parseTextFormat(file: string, text: string): TextMessage {
  const reader = new TextReader(file, text)
  return { kind: 'message', line: 1, fields: reader.fields('', 0) }
}

class TextReader {
  private at = 0
  private line = 1
  private token: Token

  private readonly file: string
  private readonly source: string

  constructor(file: string, source: string) {
    this.file = file
    this.source = source.startsWith('\ufeff') ? source.slice(1) : source
    this.token = this.scan()
  }

  /** Fields up to `closing`, which is taken; '' is the end of the file. */
  fields(closing: string, depth: number, opened = 1): TextField[] {
    if (depth > DEEPEST) this.fail(`more than ${DEEPEST} messages within each other`)
    const fields: TextField[] = []
    for (;;) {
      if (this.token.kind === 'end') {
        if (closing === '') return fields
        this.fail(`the file ends within the message of line ${opened}: ${closing} is missing`)
      }
      if (closing !== '' && this.isMark(closing)) {
        this.take()
        return fields
      }
      this.field(fields, depth)
    }
  }

  private field(fields: TextField[], depth: number): void {
    if (this.isMark('[')) this.fail("extensions and packed messages ([name]) are none of Caffe's")
    if (this.token.kind !== 'word' || !/^[A-Za-z_]/.test(this.token.text)) this.fail(`${this.shown()} is no name of a field`)
    const { text: name, line } = this.take()
    const colon = this.isMark(':')
    if (colon) this.take()
    if (this.isMark('[')) this.list(name, line, fields, depth)
    else fields.push({ name, line, value: this.value(colon, depth) })
    if (this.isMark(',') || this.isMark(';')) this.take()
  }

  private list(name: string, line: number, fields: TextField[], depth: number): void {
    this.take()
    while (!this.isMark(']')) {
      fields.push({ name, line, value: this.value(true, depth) })
      if (this.isMark(',')) this.take()
      else if (!this.isMark(']')) this.fail(`a list goes on with , or ends with ], not with ${this.shown()}`)
    }
    this.take()
  }

  private value(colon: boolean, depth: number): TextScalar | TextMessage {
    const { line } = this.token
    const closing = this.token.kind === 'mark' ? CLOSING[this.token.text] : undefined
    if (closing !== undefined) {
      this.take()
      return { kind: 'message', line, fields: this.fields(closing, depth + 1, line) }
    }
    if (!colon) this.fail(`a name is followed by : and a value or by a message in braces, not by ${this.shown()}`)
    if (this.token.kind === 'text') {
      let text = ''
      while (this.token.kind === 'text') text += this.take().text
      return { kind: 'text', text, line }
    }
    const sign = this.isMark('-') ? this.take().text : ''
    if (this.token.kind !== 'word') this.fail(`${this.shown()} is no value`)
    return { kind: 'word', text: sign + this.take().text, line }
  }

  private isMark(text: string): boolean {
    return this.token.kind === 'mark' && this.token.text === text
  }

  private take(): Token {
    const { token } = this
    this.token = this.scan()
    return token
  }

  private shown(): string {
    return this.token.kind === 'end' ? 'the end of the file' : this.token.kind === 'text' ? 'a text' : this.token.text
  }

  private scan(): Token {
    const { source } = this
    for (;;) {
      const c = source[this.at]
      if (c === undefined) return { kind: 'end', text: '', line: this.line }
      if (c === '\n') this.line++
      else if (c === '#') {
        while (this.at < source.length && source[this.at] !== '\n') this.at++
        continue
      } else if (!/\s/.test(c)) break
      this.at++
    }
    const { line } = this
    const c = source[this.at]!
    if (c === '"' || c === "'") return { kind: 'text', text: this.quoted(c), line }
    const word = /[A-Za-z0-9_.]+/y
    word.lastIndex = this.at
    const text = word.exec(source)?.[0]
    if (text === undefined) {
      this.at++
      return { kind: 'mark', text: c, line }
    }
    this.at += text.length
    return { kind: 'word', text: text + this.exponent(text), line }
  }

  /** The sign and the digits of an exponent: `1e` is followed by `-5`. */
  private exponent(text: string): string {
    if (!/^(\d+\.?\d*|\.\d+)[eE]$/.test(text)) return ''
    const rest = /[+-]\d+[fF]?/y
    rest.lastIndex = this.at
    const found = rest.exec(this.source)?.[0] ?? ''
    this.at += found.length
    return found
  }

  private quoted(quote: string): string {
    let text = ''
    this.at++
    for (;;) {
      const c = this.source[this.at++]
      if (c === undefined || c === '\n') this.fail('a text ends in the line in which it begins')
      if (c === quote) return text
      text += c === '\\' ? this.escaped() : c
    }
  }

  private escaped(): string {
    const rest = this.source.slice(this.at, this.at + 3)
    const code = /^[0-7]{1,3}/.exec(rest)?.[0] ?? /^[xX][0-9A-Fa-f]{1,2}/.exec(rest)?.[0]
    if (code !== undefined) {
      this.at += code.length
      return String.fromCharCode(/^[xX]/.test(code) ? parseInt(code.slice(1), 16) : parseInt(code, 8) & 255)
    }
    const c = this.source[this.at++] ?? ''
    return ESCAPES[c] ?? this.fail(`\\${c} stands for nothing in a text`)
  }

  private fail(what: string): never {
    throw new ImportError([{ where: `${this.file}:${this.token?.line ?? this.line}`, what, mend: "a prototxt is protobuf's text format" }])
  }
}
