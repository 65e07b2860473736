import type * as A from './ast.ts'
import type { Source, Span } from './source.ts'
import { TokenReader } from './token-reader.ts'
import { KEYS } from './train.ts'
import * as T from './tokens.ts'
import type { Token, TokenType } from './tokens.ts'
import { type Unit, unitNamed } from './unit.ts'

/** The tokens that a value may begin with. */
const VALUE: readonly TokenType[] = [
  T.Identifier,
  T.NumberLiteral,
  T.StringLiteral,
  T.True,
  T.False,
  T.OpenBracket,
  T.OpenParen,
  T.If,
  T.Minus,
  T.Not,
]
const STATEMENT: readonly TokenType[] = [T.Style, T.Input, T.Output, T.Loss, T.Metric, T.For, T.Return, T.Broken, ...VALUE]
const ITEM: readonly TokenType[] = [T.Import, T.Block, T.Net, T.Train, T.Identifier, T.Broken]

/** Operators, those that bind loosest first. */
const OPERATORS: readonly (readonly TokenType[])[] = [
  [T.Or],
  [T.And],
  [T.Equal, T.Unequal, T.AtMost, T.AtLeast, T.Below, T.Above],
  [T.Plus, T.Minus],
  [T.Times, T.Divide, T.Remainder],
]

/**
 * The grammar, read by recursive descent, one method a rule. It stops at the first mistake and knows which statement that was in;
 * `syntax-recovery.ts` then takes that statement out and the rest is read again. So a tree is always whole, and what is missing from it is
 * marked `broken`.
 */
export class NetParser extends TokenReader {
  private source: Source = { file: '', text: '' }
  /** The statements and items that are being read, outermost first. After a mistake: the ones around it. */
  private readonly openStarts: Token[] = []
  /** The statement before, in the body that is being read. */
  private lastDone: Token | undefined

  /** Throws Unexpected and TooDeep. */
  read(tokens: readonly Token[], source: Source): A.FileAst {
    this.source = source
    this.begin(tokens)
    this.openStarts.length = 0
    this.lastDone = undefined
    return this.file()
  }

  /** The first token of the statement that contains the mistake. */
  get open(): Token | undefined {
    return this.openStarts.at(-1)
  }

  /** The first token of the statement that ended before the mistake, if the mistake is between statements. */
  get done(): Token | undefined {
    return this.lastDone
  }

  private from(start: Token): Span {
    return { source: this.source, start: start.startOffset, end: this.last.startOffset + this.last.image.length }
  }

  private spanOf(token: Token): Span {
    return { source: this.source, start: token.startOffset, end: token.startOffset + token.image.length }
  }

  private named(token: Token): A.Name {
    return { text: token.image, span: this.spanOf(token) }
  }

  /** Remembers where a statement begins while it is read. A mistake leaves it open. */
  private statementOf<Made>(name: string, read: () => Made): Made {
    const start = this.next
    this.openStarts.push(start)
    const made = this.rule(name, read)
    this.openStarts.pop()
    this.lastDone = start
    return made
  }

  private file(): A.FileAst {
    const ast = {
      imports: [] as A.Import[],
      constants: [] as A.Let[],
      blocks: [] as A.Block[],
      nets: [] as A.Net[],
      trains: [] as A.Train[],
      broken: [] as A.Broken[],
    }
    while (this.isNext(...ITEM)) {
      if (this.isNext(T.Import)) ast.imports.push(this.importItem())
      else if (this.isNext(T.Block)) ast.blocks.push(this.block())
      else if (this.isNext(T.Net)) ast.nets.push(this.net())
      else if (this.isNext(T.Train)) ast.trains.push(this.train())
      else if (this.isNext(T.Broken)) ast.broken.push(this.broken())
      else ast.constants.push(this.constant())
    }
    if (this.next !== T.End) this.fail()
    return { span: { source: this.source, start: 0, end: this.source.text.length }, ...ast }
  }

  private broken(): A.Broken {
    const token = this.take(T.Broken)
    return { kind: 'broken', ...token.payload!, span: this.spanOf(token) }
  }

  private importItem(): A.Import {
    return this.statementOf('import', () => {
      const start = this.take(T.Import)
      const path = this.take(T.StringLiteral)
      return { path: path.image.slice(1, -1), span: this.from(start) }
    })
  }

  private block(): A.Block {
    return this.statementOf('block', () => {
      const start = this.take(T.Block)
      const name = this.named(this.take(T.Identifier))
      const parameters: A.BlockParameter[] = []
      this.take(T.OpenParen)
      this.between(T.Comma, this.isNext(T.Identifier), () => {
        const parameter = this.named(this.take(T.Identifier))
        const value = this.takeIf(T.Colon) && this.chain()
        parameters.push({ name: parameter, ...(value && { value }) })
      })
      this.take(T.CloseParen)
      const body = this.body()
      return { name, parameters, body, span: this.from(start) }
    })
  }

  private net(): A.Net {
    return this.statementOf('net', () => {
      const start = this.take(T.Net)
      const name = this.named(this.take(T.Identifier))
      const body = this.body()
      return { name, body, span: this.from(start) }
    })
  }

  private train(): A.Train {
    return this.statementOf('train', () => {
      const start = this.take(T.Train)
      const entries: A.TrainEntry[] = []
      const broken: A.Broken[] = []
      this.take(T.OpenBrace)
      this.lastDone = undefined
      while (this.isNext(T.Identifier, T.Broken) && !/^(every|step|epoch)$/.test(this.next.image)) {
        if (this.isNext(T.Broken)) broken.push(this.broken())
        else entries.push(this.trainEntry())
      }
      this.take(T.CloseBrace)
      return { entries, broken, span: this.from(start) }
    })
  }

  private trainEntry(): A.TrainEntry {
    return this.statementOf('train setting', () => {
      const key = this.take(T.Identifier)
      // Else `every` is a value, or will be one that is missing.
      const every = this.next.image === 'every' && VALUE.includes(this.afterNext.tokenType)
      if (every) this.take(T.Identifier)
      const values: A.Expression[] = []
      this.between(T.Comma, true, () => {
        if (every && isUnit(this.next)) values.push(this.bareUnit())
        // Behind `batch 100` the word epochs is the next setting.
        else if (!this.isNext(...VALUE) || (values.length === 0 && this.beginsSetting())) this.fail()
        else values.push(every || isDoneEverySoOften(key) ? this.argumentValue() : this.chain())
      })
      return { key: this.named(key), every, values, span: this.from(key) }
    })
  }

  /** Whether the next line begins with a setting: the one before has no value. */
  private beginsSetting(): boolean {
    const { image, startOffset } = this.next
    return KEYS.includes(image) && this.source.text.slice(this.last.startOffset, startOffset).includes('\n')
  }

  private bareUnit(): A.Expression {
    const unit = this.take(T.Identifier)
    const span = this.spanOf(unit)
    return { kind: 'duration', count: { kind: 'number', value: 1, span }, unit: unitOf(unit), span }
  }

  private body(): A.Statement[] {
    return this.rule('body', () => {
      const statements: A.Statement[] = []
      this.take(T.OpenBrace)
      this.lastDone = undefined
      while (this.isNext(...STATEMENT)) statements.push(this.statementOf('statement', () => this.statement()))
      this.take(T.CloseBrace)
      return statements
    })
  }

  private statement(): A.Statement {
    if (this.isNext(T.Style)) return this.styleStatement()
    if (this.isNext(T.Input)) return this.inputStatement()
    if (this.isNext(T.Output, T.Loss, T.Metric)) return this.resultStatement()
    if (this.isNext(T.For)) return this.forStatement()
    if (this.isNext(T.Return)) return this.returnStatement()
    if (this.isNext(T.Broken)) return this.broken()
    if (this.isNext(T.Identifier) && this.afterNext.tokenType === T.Assign) return this.assignment()
    return this.expressionStatement()
  }

  private styleStatement(): A.Statement {
    return this.rule('style', () => {
      const start = this.take(T.Style)
      const word = this.named(this.take(T.Identifier))
      return { kind: 'style', word, span: this.from(start) }
    })
  }

  private inputStatement(): A.Statement {
    return this.rule('input line', () => {
      const start = this.take(T.Input)
      const name = this.named(this.take(T.Identifier))
      this.take(T.Colon)
      const type = this.named(this.take(T.Identifier))
      const dimensions: A.Expression[][] = []
      while (this.isNext(T.OpenBracket)) dimensions.push(this.dimensions())
      if (dimensions.length === 0 && this.isNext(T.OpenParen)) this.fail()
      const whole = this.takeIf(T.Whole) !== undefined
      const classNames = type.text === 'class' ? classNamesIn(dimensions[0] ?? []) : undefined
      if (classNames) dimensions.shift()
      return { kind: 'input', name, type, ...(classNames && { classNames }), dimensions, whole, span: this.from(start) }
    })
  }

  /** Sizes, or names of classes, which may be any word: `class[train, bus]`. */
  private dimensions(): A.Expression[] {
    return this.rule('dimensions', () => {
      const items: A.Expression[] = []
      this.take(T.OpenBracket)
      this.between(T.Comma, this.isNext(T.Word, ...VALUE), () => {
        const isAlone = this.afterNext.tokenType === T.Comma || this.afterNext.tokenType === T.CloseBracket
        if (isAlone && this.isNext(T.Word)) {
          const word = this.take(T.Word)
          items.push({ kind: 'call', callee: this.named(word), bare: true, positional: [], named: [], span: this.spanOf(word) })
        } else if (this.isNext(...VALUE)) {
          items.push(this.chain())
        } else {
          this.fail()
        }
      })
      this.take(T.CloseBracket)
      return items
    })
  }

  private resultStatement(): A.Statement {
    return this.rule('result', () => {
      const start = this.take(this.next.tokenType)
      const name = this.takeIf(T.Identifier)
      this.take(T.Assign)
      const value = this.chain()
      return { kind: 'result', role: start.image as 'output', ...(name && { name: this.named(name) }), value, span: this.from(start) }
    })
  }

  private assignment(): A.Let {
    return this.rule('assignment', () => {
      const name = this.take(T.Identifier)
      this.take(T.Assign)
      const value = this.chain()
      return { kind: 'let', name: this.named(name), value, span: this.from(name) }
    })
  }

  /** Parses a constant at the top of a file: its value alone may be a duration, since nothing but `NAME =` can follow it there. */
  private constant(): A.Let {
    return this.statementOf('constant', () => {
      const name = this.take(T.Identifier)
      this.take(T.Assign)
      const value = this.argumentValue()
      return { kind: 'let', name: this.named(name), value, span: this.from(name) }
    })
  }

  private expressionStatement(): A.Statement {
    return this.rule('layer', () => {
      const start = this.next
      const value = this.chain()
      return { kind: 'expression', value, span: this.from(start) }
    })
  }

  private forStatement(): A.Statement {
    return this.rule('for', () =>
      this.deeper(() => {
        const start = this.take(T.For)
        const variable = this.named(this.take(T.Identifier))
        const counter = this.takeIf(T.Comma) && this.named(this.take(T.Identifier))
        this.take(T.In)
        let over = this.expression()
        if (this.takeIf(T.Range)) {
          const from = over
          const to = this.expression()
          over = { kind: 'range', from, to, span: { ...from.span, end: to.span.end } }
        }
        const body = this.body()
        return { kind: 'for', variable, ...(counter && { counter }), over, body, span: this.from(start) }
      }))
  }

  private returnStatement(): A.Statement {
    return this.rule('return', () => {
      const start = this.take(T.Return)
      const value = this.chain()
      return { kind: 'return', value, span: this.from(start) }
    })
  }

  private chain(): A.Expression {
    return this.rule('chain', () =>
      this.deeper(() => {
        const start = this.next
        const head = this.expression()
        const links: A.Call[] = []
        while (this.takeIf(T.Arrow)) links.push(this.call())
        return links.length === 0 ? head : { kind: 'chain', head, links, span: this.from(start) }
      }))
  }

  private argumentValue(): A.Expression {
    return this.rule('value', () => {
      const start = this.next
      const value = this.chain()
      if (!this.isNext(T.Identifier) || !isUnit(this.next) || this.afterNext.tokenType === T.Assign) return value
      const unit = unitOf(this.take(T.Identifier))
      return { kind: 'duration', count: value, unit, span: this.from(start) }
    })
  }

  /** Operators of one strength, left to right, over those that bind closer. */
  private expression(strength = 0): A.Expression {
    const signs = OPERATORS[strength]
    if (!signs) return this.unary()
    let left = this.expression(strength + 1)
    // The tree grows a level with each sign.
    let levels = 0
    while (this.isNext(...signs)) {
      const sign = this.take(this.next.tokenType)
      const right = this.expression(strength + 1)
      left = { kind: 'binary', op: sign.image, left, right, span: { ...left.span, end: right.span.end } }
      levels++
      this.sink(sign)
    }
    this.rise(levels)
    return left
  }

  private unary(): A.Expression {
    return this.rule('unary', () => {
      const start = this.takeIf(T.Minus) ?? this.takeIf(T.Not)
      if (!start) return this.primary()
      const operand = this.deeper(() => this.unary())
      return { kind: 'unary', op: start.image as '-' | 'not', operand, span: this.from(start) }
    })
  }

  private primary(): A.Expression {
    if (this.isNext(T.Identifier)) return this.call()
    if (this.isNext(T.OpenBracket)) return this.list()
    if (this.isNext(T.If)) return this.ifExpression()
    if (this.isNext(T.OpenParen)) return this.parenthesized()
    const token = this.takeIf(T.NumberLiteral) ?? this.takeIf(T.StringLiteral) ?? this.takeIf(T.True) ?? this.takeIf(T.False) ?? this.fail()
    const span = this.spanOf(token)
    if (token.tokenType === T.NumberLiteral) return { kind: 'number', value: Number(token.image), span }
    if (token.tokenType === T.StringLiteral) return { kind: 'string', value: token.image.slice(1, -1), span }
    return { kind: 'boolean', value: token.tokenType === T.True, span }
  }

  private parenthesized(): A.Expression {
    return this.rule('parentheses', () => {
      this.take(T.OpenParen)
      const inner = this.chain()
      this.take(T.CloseParen)
      return inner
    })
  }

  private list(): A.List {
    return this.rule('list', () => {
      const start = this.take(T.OpenBracket)
      const items: A.Expression[] = []
      this.between(T.Comma, this.isNext(...VALUE), () => {
        items.push(this.argumentValue())
      })
      this.take(T.CloseBracket)
      return { kind: 'list', items, span: this.from(start) }
    })
  }

  private ifExpression(): A.If {
    return this.rule('if', () =>
      this.deeper(() => {
        const start = this.take(T.If)
        const condition = this.expression()
        const yes = this.body()
        const no = this.takeIf(T.Else) && this.otherwise()
        return { kind: 'if', condition, yes, ...(no && { no }), span: this.from(start) }
      }))
  }

  private otherwise(): readonly A.Statement[] {
    if (this.isNext(T.OpenBrace)) return this.body()
    if (!this.isNext(T.If)) this.fail()
    const value = this.ifExpression()
    return [{ kind: 'expression', value, span: value.span }]
  }

  private call(): A.Call {
    return this.rule('call', () => {
      const callee = this.take(T.Identifier)
      const positional: A.Expression[] = []
      const named: A.NamedArgument[] = []
      const open = this.takeIf(T.OpenParen)
      if (open) {
        this.between(T.Comma, this.isNext(T.Word, ...VALUE), () => {
          if (this.isNext(T.Word) && this.afterNext.tokenType === T.Colon) named.push(this.namedArgument())
          else if (this.isNext(...VALUE)) positional.push(this.argumentValue())
          else this.fail()
        })
        this.take(T.CloseParen)
      }
      const span = this.from(callee)
      const as = this.takeIf(T.As) && this.nameTemplate()
      return { kind: 'call', callee: this.named(callee), bare: !open, positional, named, ...(as && { as }), span }
    })
  }

  private namedArgument(): A.NamedArgument {
    return this.rule('argument', () => {
      const name = this.take(T.Word)
      this.take(T.Colon)
      const value = this.argumentValue()
      return { name: this.named(name), value, span: this.from(name) }
    })
  }

  /** `stage{i}_{j}`: written without blanks between its parts. */
  private nameTemplate(): A.NameTemplate {
    return this.rule('name', () => {
      // `as block{i}`, `as loss`; behind a forgotten name the next statement begins with such a word.
      const isForgotten = this.afterNext.tokenType === T.Identifier || this.afterNext.tokenType === T.Assign
      const start = this.takeIf(T.Identifier) ?? (isForgotten || !this.isNext(T.SoftWord) ? this.fail() : this.take(T.SoftWord))
      const parts: (string | A.Expression)[] = [start.image]
      while (this.onTheSpot && this.isNext(T.OpenBrace, T.Word, T.NumberLiteral)) {
        if (this.takeIf(T.OpenBrace)) {
          parts.push(this.expression())
          this.take(T.CloseBrace)
        } else if (this.isNext(T.Word) || /^\d+$/.test(this.next.image)) {
          parts.push(this.take(this.next.tokenType).image)
        } else {
          this.fail()
        }
      }
      return { parts, span: this.from(start) }
    })
  }
}

/** One word alone may be a number that has a name; two are names of classes. */
function classNamesIn(items: readonly A.Expression[]): A.Name[] | undefined {
  const names = items.map((item): A.Name | undefined =>
    item.kind === 'string' ? { text: item.value, span: item.span } : item.kind === 'call' && item.bare && !item.as ? item.callee : undefined
  )
  return names.length > 1 && names.every((name) => name !== undefined) ? names : undefined
}

/** `snapshot 2 epochs` lacks an `every`, which is told later. */
const isDoneEverySoOften = (key: Token): boolean => key.image === 'snapshot' || key.image === 'test'
const isUnit = (token: Token): boolean => unitNamed(token.image) !== undefined
const unitOf = (token: Token): Unit => unitNamed(token.image)!
