import { EmbeddedActionsParser, type IParserErrorMessageProvider, type IToken, type TokenType } from 'chevrotain'
import type * as A from './ast.ts'
import type { Source, Span } from './source.ts'
import * as T from './tokens.ts'
import { type Unit, unitNamed } from './unit.ts'

/** Brackets, negations and operators in a row within one another: far beyond what is written, far below what a stack holds. */
const MOST_NESTED = 100

/** Thrown where a text is nested so deeply that reading on could exhaust the stack. */
export class TooDeep extends Error {
  readonly token: IToken

  constructor(token: IToken) {
    super('nested too deeply')
    this.token = token
  }
}

/** The message of a mismatch is the name of the token that was wanted: words for people are found in `syntax-error.ts`. */
const errorMessageProvider: IParserErrorMessageProvider = {
  buildMismatchTokenMessage: ({ expected }) => expected.name,
  buildNotAllInputParsedMessage: () => '',
  buildNoViableAltMessage: () => '',
  buildEarlyExitMessage: () => '',
}

/**
 * The grammar, on chevrotain. It stops at the first mistake and knows which statement that was in; `recover.ts` then takes
 * that statement out and the rest is read again. So a tree is always whole, and what is missing from it is marked `broken`.
 */
export class NetParser extends EmbeddedActionsParser {
  private source: Source = { file: '', text: '' }
  private nested = 0
  /** The statements and items that are being read, outermost first. After a mistake: the ones around it. */
  private readonly openStarts: IToken[] = []
  /** The statement before, in the body that is being read. */
  private lastDone: IToken | undefined

  constructor() {
    super([...T.TOKENS], { recoveryEnabled: false, maxLookahead: 2, errorMessageProvider })
    this.performSelfAnalysis()
  }

  /** Undefined if there was a mistake, which then is the only one of `errors`. Throws TooDeep. */
  read(tokens: IToken[], source: Source): A.FileAst | undefined {
    this.source = source
    this.input = tokens
    this.nested = 0
    this.openStarts.length = 0
    this.lastDone = undefined
    const ast = this.file()
    return this.errors.length === 0 ? ast : undefined
  }

  /** Where the statement begins that a mistake is in. */
  get open(): IToken | undefined {
    return this.openStarts.at(-1)
  }

  /** Where the statement began that ended before the mistake, if the mistake is between statements. */
  get done(): IToken | undefined {
    return this.lastDone
  }

  private from(start: IToken): Span {
    const last = this.LA(0)
    return { source: this.source, start: start.startOffset, end: last.startOffset + last.image.length }
  }

  private at(token: IToken): Span {
    return { source: this.source, start: token.startOffset, end: token.startOffset + token.image.length }
  }

  private named(token: IToken): A.Name {
    return { text: token.image, span: this.at(token) }
  }

  /** Remembers where a statement begins while it is read. A mistake leaves it open. */
  private statementOf<S>(read: () => S): S {
    const start = this.LA(1)
    this.ACTION(() => { this.openStarts.push(start) })
    const made = read()
    this.ACTION(() => {
      this.openStarts.pop()
      this.lastDone = start
    })
    return made
  }

  private deeper<E>(read: () => E): E {
    this.ACTION(() => { if (++this.nested > MOST_NESTED) throw new TooDeep(this.LA(1)) })
    const made = read()
    this.ACTION(() => { this.nested-- })
    return made
  }

  private onTheSpot(): boolean {
    const [before, next] = [this.LA(0), this.LA(1)]
    return before.startOffset + before.image.length === next.startOffset
  }

  private readonly file = this.RULE('file', (): A.FileAst => {
    const ast = { imports: [] as A.Import[], constants: [] as A.Let[], blocks: [] as A.Block[], nets: [] as A.Net[], trains: [] as A.Train[], broken: [] as A.Broken[] }
    this.MANY(() => this.OR([
      { ALT: () => ast.imports.push(this.SUBRULE(this.importItem)) },
      { ALT: () => ast.blocks.push(this.SUBRULE(this.block)) },
      { ALT: () => ast.nets.push(this.SUBRULE(this.net)) },
      { ALT: () => ast.trains.push(this.SUBRULE(this.train)) },
      { ALT: () => ast.constants.push(this.statementOf(() => this.SUBRULE(this.constant))) },
      { ALT: () => ast.broken.push(this.SUBRULE(this.broken)) },
    ]))
    return { span: { source: this.source, start: 0, end: this.source.text.length }, ...ast }
  })

  private readonly broken = this.RULE('broken', (): A.Broken => {
    const token = this.CONSUME(T.Broken)
    return this.ACTION(() => ({ kind: 'broken', ...(token.payload as Pick<A.Broken, 'words' | 'assigned'>), span: this.at(token) }))
  })

  private readonly importItem = this.RULE('import', (): A.Import => this.statementOf(() => {
    const start = this.CONSUME(T.Import)
    const path = this.CONSUME(T.StringLiteral)
    return { path: this.ACTION(() => path.image.slice(1, -1)), span: this.ACTION(() => this.from(start)) }
  }))

  private readonly block = this.RULE('block', (): A.Block => this.statementOf(() => {
    const start = this.CONSUME(T.Block)
    const name = this.CONSUME(T.Identifier)
    const parameters: A.BlockParameter[] = []
    this.CONSUME(T.OpenParen)
    this.MANY_SEP({
      SEP: T.Comma,
      DEF: () => {
        const parameter = this.CONSUME2(T.Identifier)
        const value = this.OPTION(() => { this.CONSUME(T.Colon); return this.SUBRULE(this.chain) })
        this.ACTION(() => parameters.push({ name: this.named(parameter), ...(value && { value }) }))
      },
    })
    this.CONSUME(T.CloseParen)
    const body = this.SUBRULE(this.body)
    return { name: this.ACTION(() => this.named(name)), parameters, body, span: this.ACTION(() => this.from(start)) }
  }))

  private readonly net = this.RULE('net', (): A.Net => this.statementOf(() => {
    const start = this.CONSUME(T.Net)
    const name = this.CONSUME(T.Identifier)
    const body = this.SUBRULE(this.body)
    return { name: this.ACTION(() => this.named(name)), body, span: this.ACTION(() => this.from(start)) }
  }))

  private readonly train = this.RULE('train', (): A.Train => this.statementOf(() => {
    const start = this.CONSUME(T.Train)
    const entries: A.TrainEntry[] = []
    const broken: A.Broken[] = []
    this.CONSUME(T.OpenBrace)
    this.ACTION(() => { this.lastDone = undefined })
    this.MANY({
      GATE: () => !/^(every|step|epoch)$/.test(this.LA(1).image),
      DEF: () => this.OR([
        { ALT: () => entries.push(this.statementOf(() => this.SUBRULE(this.trainEntry))) },
        { ALT: () => broken.push(this.SUBRULE(this.broken)) },
      ]),
    })
    this.CONSUME(T.CloseBrace)
    return { entries, broken, span: this.ACTION(() => this.from(start)) }
  }))

  private readonly trainEntry = this.RULE('train setting', (): A.TrainEntry => {
    const key = this.CONSUME(T.Identifier)
    const every = this.OPTION({
      GATE: () => this.LA(1).image === 'every',
      DEF: () => this.CONSUME2(T.Identifier),
    }) !== undefined
    const values: A.Expression[] = []
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => this.OR([
        { GATE: () => every && isUnit(this.LA(1)), ALT: () => values.push(this.SUBRULE(this.bareUnit)) },
        // Behind `batch 100` the word epochs is the next setting.
        { GATE: () => every || isDoneEverySoOften(key), ALT: () => values.push(this.SUBRULE(this.argumentValue)) },
        { ALT: () => values.push(this.SUBRULE(this.chain)) },
      ]),
    })
    return { key: this.ACTION(() => this.named(key)), every, values, span: this.ACTION(() => this.from(key)) }
  })

  private readonly bareUnit = this.RULE('unit', (): A.Expression => {
    const unit = this.CONSUME(T.Identifier)
    return this.ACTION(() => ({ kind: 'duration', count: { kind: 'number', value: 1, span: this.at(unit) }, unit: unitOf(unit), span: this.at(unit) }))
  })

  private readonly body = this.RULE('body', (): A.Statement[] => {
    const statements: A.Statement[] = []
    this.CONSUME(T.OpenBrace)
    this.ACTION(() => { this.lastDone = undefined })
    this.MANY(() => { statements.push(this.SUBRULE(this.statement)) })
    this.CONSUME(T.CloseBrace)
    return statements
  })

  private readonly statement = this.RULE('statement', (): A.Statement => this.statementOf(() => this.OR<A.Statement>([
    { ALT: () => this.SUBRULE(this.styleStatement) },
    { ALT: () => this.SUBRULE(this.inputStatement) },
    { ALT: () => this.SUBRULE(this.resultStatement) },
    { ALT: () => this.SUBRULE(this.forStatement) },
    { ALT: () => this.SUBRULE(this.returnStatement) },
    { ALT: () => this.SUBRULE(this.broken) },
    { GATE: () => this.LA(2).tokenType === T.Assign, ALT: () => this.SUBRULE(this.letStatement) },
    { ALT: () => this.SUBRULE(this.expressionStatement) },
  ])))

  private readonly styleStatement = this.RULE('style', (): A.Statement => {
    const start = this.CONSUME(T.Style)
    const word = this.CONSUME(T.Identifier)
    return { kind: 'style', word: this.ACTION(() => this.named(word)), span: this.ACTION(() => this.from(start)) }
  })

  private readonly inputStatement = this.RULE('input line', (): A.Statement => {
    const start = this.CONSUME(T.Input)
    const name = this.CONSUME(T.Identifier)
    this.CONSUME(T.Colon)
    const type = this.CONSUME2(T.Identifier)
    const dimensions: A.Expression[][] = []
    this.MANY(() => { const items = this.SUBRULE(this.dimensions); this.ACTION(() => dimensions.push(items)) })
    const whole = this.OPTION(() => this.CONSUME(T.Whole)) !== undefined
    const classNames = this.ACTION(() => (type.image === 'class' ? classNamesIn(dimensions[0] ?? []) : undefined))
    if (classNames) dimensions.shift()
    return { kind: 'input', name: this.ACTION(() => this.named(name)), type: this.ACTION(() => this.named(type)), ...(classNames && { classNames }), dimensions, whole, span: this.ACTION(() => this.from(start)) }
  })

  /** Sizes, or names of classes, which may be any word: `class[train, bus]`. */
  private readonly dimensions = this.RULE('dimensions', (): A.Expression[] => {
    const items: A.Expression[] = []
    this.CONSUME(T.OpenBracket)
    this.MANY_SEP({
      SEP: T.Comma,
      DEF: () => this.OR([
        {
          GATE: () => this.LA(2).tokenType === T.Comma || this.LA(2).tokenType === T.CloseBracket,
          IGNORE_AMBIGUITIES: true,
          ALT: () => {
            const word = this.CONSUME(T.Word)
            this.ACTION(() => items.push({ kind: 'call', callee: this.named(word), bare: true, positional: [], named: [], span: this.at(word) }))
          },
        },
        { ALT: () => { const item = this.SUBRULE(this.chain); this.ACTION(() => items.push(item)) } },
      ]),
    })
    this.CONSUME(T.CloseBracket)
    return items
  })

  private readonly resultStatement = this.RULE('result', (): A.Statement => {
    const start = this.OR([{ ALT: () => this.CONSUME(T.Output) }, { ALT: () => this.CONSUME(T.Loss) }, { ALT: () => this.CONSUME(T.Metric) }])
    const name = this.OPTION(() => this.CONSUME(T.Identifier))
    this.CONSUME(T.Assign)
    const value = this.SUBRULE(this.chain)
    return { kind: 'result', role: start.image as 'output', ...(name && { name: this.ACTION(() => this.named(name)) }), value, span: this.ACTION(() => this.from(start)) }
  })

  private readonly letStatement = this.RULE('assignment', (): A.Let => {
    const name = this.CONSUME(T.Identifier)
    this.CONSUME(T.Assign)
    const value = this.SUBRULE(this.chain)
    return { kind: 'let', name: this.ACTION(() => this.named(name)), value, span: this.ACTION(() => this.from(name)) }
  })

  /** At the top of a file: the only value that may be a duration, since nothing but `NAME =` can follow it there. */
  private readonly constant = this.RULE('constant', (): A.Let => {
    const name = this.CONSUME(T.Identifier)
    this.CONSUME(T.Assign)
    const value = this.SUBRULE(this.argumentValue)
    return { kind: 'let', name: this.ACTION(() => this.named(name)), value, span: this.ACTION(() => this.from(name)) }
  })

  private readonly expressionStatement = this.RULE('layer', (): A.Statement => {
    const start = this.LA(1)
    const value = this.SUBRULE(this.chain)
    return { kind: 'expression', value, span: this.ACTION(() => this.from(start)) }
  })

  private readonly forStatement = this.RULE('for', (): A.Statement => this.deeper(() => {
    const start = this.CONSUME(T.For)
    const variable = this.CONSUME(T.Identifier)
    const counter = this.OPTION(() => { this.CONSUME(T.Comma); return this.CONSUME2(T.Identifier) })
    this.CONSUME(T.In)
    let over = this.SUBRULE(this.expression)
    this.OPTION2(() => {
      this.CONSUME(T.Range)
      const from = over
      const to = this.SUBRULE2(this.expression)
      over = this.ACTION(() => ({ kind: 'range', from, to, span: { ...from.span, end: to.span.end } }))
    })
    const body = this.SUBRULE(this.body)
    return {
      kind: 'for', variable: this.ACTION(() => this.named(variable)), ...(counter && { counter: this.ACTION(() => this.named(counter)) }),
      over, body, span: this.ACTION(() => this.from(start)),
    }
  }))

  private readonly returnStatement = this.RULE('return', (): A.Statement => {
    const start = this.CONSUME(T.Return)
    const value = this.SUBRULE(this.chain)
    return { kind: 'return', value, span: this.ACTION(() => this.from(start)) }
  })

  private readonly chain = this.RULE('chain', (): A.Expression => this.deeper(() => {
    const start = this.LA(1)
    const head = this.SUBRULE(this.expression)
    const links: A.Call[] = []
    this.MANY(() => {
      this.CONSUME(T.Arrow)
      links.push(this.SUBRULE(this.call))
    })
    return links.length === 0 ? head : { kind: 'chain', head, links, span: this.ACTION(() => this.from(start)) }
  }))

  private readonly argumentValue = this.RULE('value', (): A.Expression => {
    const start = this.LA(1)
    const value = this.SUBRULE(this.chain)
    const unit = this.OPTION({ GATE: () => isUnit(this.LA(1)) && this.LA(2).tokenType !== T.Assign, DEF: () => this.CONSUME(T.Identifier) })
    if (!unit) return value
    return { kind: 'duration', count: value, unit: this.ACTION(() => unitOf(unit)), span: this.ACTION(() => this.from(start)) }
  })

  private readonly expression = this.RULE('expression', (): A.Expression => this.leftToRight(this.conjunction, [T.Or]))
  private readonly conjunction = this.RULE('conjunction', (): A.Expression => this.leftToRight(this.comparison, [T.And]))
  private readonly comparison = this.RULE('comparison', (): A.Expression =>
    this.leftToRight(this.sum, [T.Equal, T.Unequal, T.AtMost, T.AtLeast, T.Below, T.Above]))
  private readonly sum = this.RULE('sum', (): A.Expression => this.leftToRight(this.product, [T.Plus, T.Minus]))
  private readonly product = this.RULE('product', (): A.Expression => this.leftToRight(this.unary, [T.Times, T.Divide, T.Remainder]))

  private leftToRight(operand: (idx?: number) => A.Expression, signs: readonly TokenType[]): A.Expression {
    let left = this.subrule(1, operand as never) as A.Expression
    // The tree grows a level with each sign.
    let levels = 0
    this.MANY(() => {
      const sign = this.or(0, signs.map((type, i) => ({ ALT: () => this.consume(i, type) }))) as IToken
      const right = this.subrule(2, operand as never) as A.Expression
      const before = left
      this.ACTION(() => {
        left = { kind: 'binary', op: sign.image, left: before, right, span: { ...before.span, end: right.span.end } }
        levels++
        if (++this.nested > MOST_NESTED) throw new TooDeep(sign)
      })
    })
    this.ACTION(() => { this.nested -= levels })
    return left
  }

  private readonly unary = this.RULE('unary', (): A.Expression => this.OR<A.Expression>([
    { ALT: () => this.prefixed(this.CONSUME(T.Minus), '-', 1) },
    { ALT: () => this.prefixed(this.CONSUME(T.Not), 'not', 2) },
    { ALT: () => this.SUBRULE(this.primary) },
  ]))

  private prefixed(start: IToken, op: '-' | 'not', at: number): A.Expression {
    const operand = this.deeper(() => this.subrule(at, this.unary as never) as A.Expression)
    return { kind: 'unary', op, operand, span: this.ACTION(() => this.from(start)) }
  }

  private readonly primary = this.RULE('primary', (): A.Expression => this.OR<A.Expression>([
    { ALT: () => { const t = this.CONSUME(T.NumberLiteral); return { kind: 'number', value: Number(t.image), span: this.ACTION(() => this.at(t)) } } },
    { ALT: () => { const t = this.CONSUME(T.StringLiteral); return { kind: 'string', value: this.ACTION(() => t.image.slice(1, -1)), span: this.ACTION(() => this.at(t)) } } },
    { ALT: () => { const t = this.CONSUME(T.True); return { kind: 'boolean', value: true, span: this.ACTION(() => this.at(t)) } } },
    { ALT: () => { const t = this.CONSUME(T.False); return { kind: 'boolean', value: false, span: this.ACTION(() => this.at(t)) } } },
    { ALT: () => this.SUBRULE(this.list) },
    { ALT: () => this.SUBRULE(this.ifExpression) },
    { ALT: () => this.SUBRULE(this.parenthesized) },
    { ALT: () => this.SUBRULE(this.call) },
  ]))

  private readonly parenthesized = this.RULE('parentheses', (): A.Expression => {
    this.CONSUME(T.OpenParen)
    const inner = this.SUBRULE(this.chain)
    this.CONSUME(T.CloseParen)
    return inner
  })

  private readonly list = this.RULE('list', (): A.List => {
    const start = this.CONSUME(T.OpenBracket)
    const items: A.Expression[] = []
    this.MANY_SEP({ SEP: T.Comma, DEF: () => { items.push(this.SUBRULE(this.argumentValue)) } })
    this.CONSUME(T.CloseBracket)
    return { kind: 'list', items, span: this.ACTION(() => this.from(start)) }
  })

  private readonly ifExpression = this.RULE('if', (): A.If => this.deeper(() => {
    const start = this.CONSUME(T.If)
    const condition = this.SUBRULE(this.expression)
    const yes = this.SUBRULE(this.body)
    const no = this.OPTION(() => {
      this.CONSUME(T.Else)
      return this.OR<readonly A.Statement[]>([
        { ALT: () => { const value = this.SUBRULE(this.ifExpression); return this.ACTION(() => [{ kind: 'expression', value, span: value.span }]) } },
        { ALT: () => this.SUBRULE2(this.body) },
      ])
    })
    return { kind: 'if', condition, yes, ...(no && { no }), span: this.ACTION(() => this.from(start)) }
  }))

  private readonly call = this.RULE('call', (): A.Call => {
    const callee = this.CONSUME(T.Identifier)
    const positional: A.Expression[] = []
    const named: A.NamedArgument[] = []
    const open = this.OPTION(() => {
      const paren = this.CONSUME(T.OpenParen)
      this.MANY_SEP({
        SEP: T.Comma,
        DEF: () => this.OR([
          { GATE: () => this.LA(2).tokenType === T.Colon, ALT: () => named.push(this.SUBRULE(this.namedArgument)) },
          { ALT: () => positional.push(this.SUBRULE(this.argumentValue)) },
        ]),
      })
      this.CONSUME(T.CloseParen)
      return paren
    })
    const span = this.ACTION(() => this.from(callee))
    const as = this.OPTION2(() => {
      this.CONSUME(T.As)
      return this.SUBRULE(this.nameTemplate)
    })
    return { kind: 'call', callee: this.ACTION(() => this.named(callee)), bare: !open, positional, named, ...(as && { as }), span }
  })

  private readonly namedArgument = this.RULE('argument', (): A.NamedArgument => {
    const name = this.CONSUME(T.Word)
    this.CONSUME(T.Colon)
    const value = this.SUBRULE(this.argumentValue)
    return { name: this.ACTION(() => this.named(name)), value, span: this.ACTION(() => this.from(name)) }
  })

  /** `stage{i}_{j}`: written without blanks between its parts. */
  private readonly nameTemplate = this.RULE('name', (): A.NameTemplate => {
    const start = this.OR1([
      { ALT: () => this.CONSUME(T.Identifier) },
      // `as block{i}`, `as loss`; behind a forgotten name the next statement begins with such a word.
      { GATE: () => !(this.LA(2).tokenType === T.Identifier || this.LA(2).tokenType === T.Assign), ALT: () => this.CONSUME(T.SoftWord) },
    ])
    const parts: (string | A.Expression)[] = [start.image]
    this.MANY({
      GATE: () => this.onTheSpot(),
      DEF: () => this.OR([
        { ALT: () => {
          this.CONSUME(T.OpenBrace)
          parts.push(this.SUBRULE(this.expression))
          this.CONSUME(T.CloseBrace)
        } },
        { ALT: () => parts.push(this.CONSUME(T.Word).image) },
        { GATE: () => /^\d+$/.test(this.LA(1).image), ALT: () => parts.push(this.CONSUME(T.NumberLiteral).image) },
      ]),
    })
    return { parts, span: this.ACTION(() => this.from(start)) }
  })
}

/** One word alone may be a number that has a name; two are names of classes. */
function classNamesIn(items: readonly A.Expression[]): A.Name[] | undefined {
  const names = items.map((item): A.Name | undefined =>
    item.kind === 'string' ? { text: item.value, span: item.span } : item.kind === 'call' && item.bare && !item.as ? item.callee : undefined)
  return names.length > 1 && names.every((name) => name !== undefined) ? names : undefined
}

/** `snapshot 2 epochs` lacks an `every`, which is told later. */
const isDoneEverySoOften = (key: IToken): boolean => key.image === 'snapshot' || key.image === 'test'
const isUnit = (token: IToken): boolean => unitNamed(token.image) !== undefined
const unitOf = (token: IToken): Unit => unitNamed(token.image)!
