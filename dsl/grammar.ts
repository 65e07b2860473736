import { EmbeddedActionsParser, type IToken, type TokenType } from 'chevrotain'
import type * as A from './ast.ts'
import type { Source, Span } from './source.ts'
import * as T from './tokens.ts'

/**
 * The grammar, on chevrotain, with its recovery: after a mistake it finds its way back, so that one run tells several.
 * Where it had to recover, parts of the tree are missing; such a tree is for telling errors, not for evaluating.
 */
export class NetParser extends EmbeddedActionsParser {
  private source: Source = { file: '', text: '' }

  constructor() {
    super([...T.TOKENS], { recoveryEnabled: true, maxLookahead: 3 })
    this.performSelfAnalysis()
  }

  read(tokens: IToken[], source: Source): A.FileAst {
    this.source = source
    this.input = tokens
    return this.file()
  }

  private from(start: IToken): Span {
    const first = Number.isFinite(start.startOffset) ? start.startOffset : 0
    const last = this.LA(0)
    const end = last && Number.isFinite(last.startOffset) ? last.startOffset + last.image.length : first
    return { source: this.source, start: first, end: Math.max(end, first) }
  }

  private at(token: IToken): Span {
    const start = Number.isFinite(token.startOffset) ? token.startOffset : this.source.text.length
    return { source: this.source, start, end: start + token.image.length }
  }

  private named(token: IToken): A.Name {
    return { text: token.image, span: this.at(token) }
  }

  private readonly file = this.RULE('file', (): A.FileAst => {
    const imports: A.Import[] = []
    const constants: A.Let[] = []
    const blocks: A.Block[] = []
    const nets: A.Net[] = []
    const trains: A.Train[] = []
    this.MANY(() => {
      this.OR([
        { ALT: () => { const item = this.SUBRULE(this.importItem); this.ACTION(() => { if (item) imports.push(item) }) } },
        { ALT: () => { const item = this.SUBRULE(this.block); this.ACTION(() => { if (item) blocks.push(item) }) } },
        { ALT: () => { const item = this.SUBRULE(this.net); this.ACTION(() => { if (item) nets.push(item) }) } },
        { ALT: () => { const item = this.SUBRULE(this.train); this.ACTION(() => { if (item) trains.push(item) }) } },
        { ALT: () => { const item = this.SUBRULE(this.letStatement); this.ACTION(() => { if (item) constants.push(item) }) } },
      ])
    })
    return { span: { source: this.source, start: 0, end: this.source.text.length }, imports, constants, blocks, nets, trains }
  })

  private readonly importItem = this.RULE('import', (): A.Import => {
    const start = this.CONSUME(T.Import)
    const path = this.CONSUME(T.StringLiteral)
    return { path: this.ACTION(() => path.image.slice(1, -1)), span: this.ACTION(() => this.from(start)) }
  })

  private readonly block = this.RULE('block', (): A.Block => {
    const start = this.CONSUME(T.Block)
    const name = this.CONSUME(T.Identifier)
    const parameters: A.BlockParameter[] = []
    this.CONSUME(T.OpenParen)
    this.MANY_SEP({
      SEP: T.Comma,
      DEF: () => {
        const parameter = this.CONSUME2(T.Identifier)
        const value = this.OPTION(() => { this.CONSUME(T.Colon); return this.SUBRULE(this.chain) })
        parameters.push({ name: this.ACTION(() => this.named(parameter)), ...(value && { value }) })
      },
    })
    this.CONSUME(T.CloseParen)
    const body = this.SUBRULE(this.body)
    return { name: this.ACTION(() => this.named(name)), parameters, body, span: this.ACTION(() => this.from(start)) }
  })

  private readonly net = this.RULE('net', (): A.Net => {
    const start = this.CONSUME(T.Net)
    const name = this.CONSUME(T.Identifier)
    const body = this.SUBRULE(this.body)
    return { name: this.ACTION(() => this.named(name)), body, span: this.ACTION(() => this.from(start)) }
  })

  private readonly train = this.RULE('train', (): A.Train => {
    const start = this.CONSUME(T.Train)
    const entries: A.TrainEntry[] = []
    this.CONSUME(T.OpenBrace)
    this.MANY(() => { const entry = this.SUBRULE(this.trainEntry); this.ACTION(() => { if (entry) entries.push(entry) }) })
    this.CONSUME(T.CloseBrace)
    return { entries, span: this.ACTION(() => this.from(start)) }
  })

  private readonly trainEntry = this.RULE('train setting', (): A.TrainEntry => {
    const key = this.CONSUME(T.Identifier)
    let every = false
    this.OPTION({
      GATE: () => this.LA(1).image === 'every',
      DEF: () => { this.CONSUME2(T.Identifier); every = true },
    })
    const values: A.Expression[] = []
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => {
        // A unit belongs to `every` alone: behind `batch 100` the word epochs is the next setting.
        const value = this.OR([
          { GATE: () => every, ALT: () => this.SUBRULE(this.argumentValue) },
          { ALT: () => this.SUBRULE(this.chain) },
        ])
        this.ACTION(() => { if (value) values.push(value) })
      },
    })
    return { key: this.ACTION(() => this.named(key)), every, values, span: this.ACTION(() => this.from(key)) }
  })

  private readonly body = this.RULE('body', (): A.Statement[] => {
    const statements: A.Statement[] = []
    this.CONSUME(T.OpenBrace)
    this.MANY(() => { const s = this.SUBRULE(this.statement); this.ACTION(() => { if (s) statements.push(s) }) })
    this.CONSUME(T.CloseBrace)
    return statements
  }, { recoveryValueFunc: () => [] })

  private readonly statement = this.RULE('statement', (): A.Statement => this.OR<A.Statement>([
    { ALT: () => this.SUBRULE(this.styleStatement) },
    { ALT: () => this.SUBRULE(this.inputStatement) },
    { ALT: () => this.SUBRULE(this.resultStatement) },
    { ALT: () => this.SUBRULE(this.forStatement) },
    { ALT: () => this.SUBRULE(this.returnStatement) },
    { GATE: () => this.LA(2).tokenType === T.Assign, ALT: () => this.SUBRULE(this.letStatement) },
    { ALT: () => this.SUBRULE(this.expressionStatement) },
  ]))

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
    this.MANY(() => { const list = this.SUBRULE(this.list); this.ACTION(() => { if (list?.kind === 'list') dimensions.push([...list.items]) }) })
    const whole = this.OPTION(() => this.CONSUME(T.Whole)) !== undefined
    return { kind: 'input', name: this.ACTION(() => this.named(name)), type: this.ACTION(() => this.named(type)), dimensions, whole, span: this.ACTION(() => this.from(start)) }
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

  private readonly expressionStatement = this.RULE('layer', (): A.Statement => {
    const start = this.LA(1)
    const value = this.SUBRULE(this.chain)
    return { kind: 'expression', value, span: this.ACTION(() => this.from(start)) }
  })

  private readonly forStatement = this.RULE('for', (): A.Statement => {
    const start = this.CONSUME(T.For)
    const variable = this.CONSUME(T.Identifier)
    const counter = this.OPTION(() => { this.CONSUME(T.Comma); return this.CONSUME2(T.Identifier) })
    this.CONSUME(T.In)
    let over = this.SUBRULE(this.expression)
    this.OPTION2(() => {
      this.CONSUME(T.Range)
      const from = over
      const to = this.SUBRULE2(this.expression)
      over = { kind: 'range', from, to, span: this.ACTION(() => ({ ...from.span, end: to.span.end })) }
    })
    const body = this.SUBRULE(this.body)
    return {
      kind: 'for', variable: this.ACTION(() => this.named(variable)), ...(counter && { counter: this.ACTION(() => this.named(counter)) }),
      over, body, span: this.ACTION(() => this.from(start)),
    }
  })

  private readonly returnStatement = this.RULE('return', (): A.Statement => {
    const start = this.CONSUME(T.Return)
    const value = this.SUBRULE(this.chain)
    return { kind: 'return', value, span: this.ACTION(() => this.from(start)) }
  })

  private readonly chain = this.RULE('layer chain', (): A.Expression => {
    const start = this.LA(1)
    const head = this.SUBRULE(this.expression)
    const links: A.Call[] = []
    this.MANY(() => {
      this.CONSUME(T.Arrow)
      const link = this.SUBRULE(this.call)
      this.ACTION(() => { if (link) links.push(link) })
    })
    return links.length === 0 ? head : { kind: 'chain', head, links, span: this.ACTION(() => this.from(start)) }
  })

  private readonly argumentValue = this.RULE('value', (): A.Expression => {
    const start = this.LA(1)
    const value = this.SUBRULE(this.chain)
    const unit = this.OPTION({ GATE: () => /^(epoch|step)s?$/.test(this.LA(1).image), DEF: () => this.CONSUME(T.Identifier) })
    if (!unit) return value
    return { kind: 'duration', count: value, unit: this.ACTION(() => (unit.image.startsWith('epoch') ? 'epochs' : 'steps')), span: this.ACTION(() => this.from(start)) }
  })

  private readonly expression = this.RULE('logical expression', (): A.Expression => this.leftToRight(this.conjunction, [T.Or], 0))
  private readonly conjunction = this.RULE('conjunction', (): A.Expression => this.leftToRight(this.comparison, [T.And], 0))
  private readonly comparison = this.RULE('comparison', (): A.Expression =>
    this.leftToRight(this.sum, [T.Equal, T.Unequal, T.AtMost, T.AtLeast, T.Below, T.Above], 0))
  private readonly sum = this.RULE('sum', (): A.Expression => this.leftToRight(this.product, [T.Plus, T.Minus], 0))
  private readonly product = this.RULE('product', (): A.Expression => this.leftToRight(this.unary, [T.Times, T.Divide, T.Remainder], 0))

  private leftToRight(operand: (idx?: number) => A.Expression, signs: readonly TokenType[], _: number): A.Expression {
    let left = this.subrule(1, operand as never) as A.Expression
    this.MANY(() => {
      const sign = this.or(0, signs.map((type, i) => ({ ALT: () => this.consume(i, type) }))) as IToken
      const right = this.subrule(2, operand as never) as A.Expression
      const before = left
      left = { kind: 'binary', op: sign.image, left: before, right, span: this.ACTION(() => ({ ...before.span, end: right.span.end })) }
    })
    return left
  }

  private readonly unary = this.RULE('unary', (): A.Expression => this.OR<A.Expression>([
    { ALT: () => this.prefixed(this.CONSUME(T.Minus), '-', 1) },
    { ALT: () => this.prefixed(this.CONSUME(T.Not), 'not', 2) },
    { ALT: () => this.SUBRULE(this.primary) },
  ]))

  private prefixed(start: IToken, op: '-' | 'not', at: number): A.Expression {
    const operand = this.subrule(at, this.unary as never) as A.Expression
    return { kind: 'unary', op, operand, span: this.ACTION(() => this.from(start)) }
  }

  private readonly primary = this.RULE('primary', (): A.Expression => this.OR<A.Expression>([
    { ALT: () => { const t = this.CONSUME(T.NumberLiteral); return { kind: 'number', value: Number(t.image), span: this.ACTION(() => this.at(t)) } } },
    { ALT: () => { const t = this.CONSUME(T.StringLiteral); return { kind: 'string', value: this.ACTION(() => t.image.slice(1, -1)), span: this.ACTION(() => this.at(t)) } } },
    { ALT: () => { const t = this.CONSUME(T.True); return { kind: 'boolean', value: true, span: this.ACTION(() => this.at(t)) } } },
    { ALT: () => { const t = this.CONSUME(T.False); return { kind: 'boolean', value: false, span: this.ACTION(() => this.at(t)) } } },
    { ALT: () => this.SUBRULE(this.list) },
    { ALT: () => this.SUBRULE(this.ifExpression) },
    { ALT: () => { this.CONSUME(T.OpenParen); const inner = this.SUBRULE(this.chain); this.CONSUME(T.CloseParen); return inner } },
    { ALT: () => this.SUBRULE(this.call) },
  ]))

  private readonly list = this.RULE('list', (): A.Expression => {
    const start = this.CONSUME(T.OpenBracket)
    const items: A.Expression[] = []
    this.MANY_SEP({ SEP: T.Comma, DEF: () => { const item = this.SUBRULE(this.chain); this.ACTION(() => { if (item) items.push(item) }) } })
    this.CONSUME(T.CloseBracket)
    return { kind: 'list', items, span: this.ACTION(() => this.from(start)) }
  })

  private readonly ifExpression = this.RULE('if', (): A.Expression => {
    const start = this.CONSUME(T.If)
    const condition = this.SUBRULE(this.expression)
    const yes = this.SUBRULE(this.body)
    const no = this.OPTION(() => {
      this.CONSUME(T.Else)
      return this.OR<readonly A.Statement[]>([
        { ALT: () => { const nested = this.SUBRULE(this.ifExpression); return this.ACTION(() => (nested ? [{ kind: 'expression', value: nested, span: nested.span }] : [])) } },
        { ALT: () => this.SUBRULE2(this.body) },
      ])
    })
    return { kind: 'if', condition, yes, ...(no && { no }), span: this.ACTION(() => this.from(start)) }
  })

  private readonly call = this.RULE('call', (): A.Call => {
    const callee = this.CONSUME(T.Identifier)
    const positional: A.Expression[] = []
    const named: A.Call['named'][number][] = []
    const open = this.OPTION(() => {
      const paren = this.CONSUME(T.OpenParen)
      this.MANY_SEP({
        SEP: T.Comma,
        DEF: () => this.OR([
          {
            GATE: () => this.LA(2).tokenType === T.Colon,
            ALT: () => {
              const name = this.SUBRULE(this.argumentName)
              this.CONSUME(T.Colon)
              const value = this.SUBRULE(this.argumentValue)
              this.ACTION(() => { if (name && value) named.push({ name, value, span: { ...name.span, end: value.span.end } }) })
            },
          },
          { ALT: () => { const value = this.SUBRULE2(this.argumentValue); this.ACTION(() => { if (value) positional.push(value) }) } },
        ]),
      })
      this.CONSUME(T.CloseParen)
      return paren
    })
    const span = this.ACTION(() => this.from(callee))
    const as = this.OPTION2(() => {
      this.CONSUME(T.As)
      // A layer may be called by a word that means something only where a statement begins: `as loss`.
      return this.or(2, [T.NameTemplate, T.Identifier, ...T.SOFT_WORDS].map((type, i) => ({ ALT: () => this.consume(100 + i, type) }))) as IToken
    })
    return { kind: 'call', callee: this.ACTION(() => this.named(callee)), bare: !open, positional, named, ...(as && { as: this.ACTION(() => this.named(as)) }), span }
  })

  private readonly argumentName = this.RULE('argument', (): A.Name => {
    const token = this.OR([T.Identifier, ...T.SOFT_WORDS].map((type, i) => ({ ALT: () => this.consume(i, type) }))) as IToken
    return this.ACTION(() => this.named(token))
  })
}
