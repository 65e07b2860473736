import type { Diagnostic, Label } from './diagnostic.ts'
import { ARROW, isIndex, PARTS } from './fix-hints.ts'
import { operandAt, powerMend, strayOperator } from './operator-hints.ts'
import type { Mistake } from './parse-failure.ts'
import type { Source, Span } from './source.ts'
import { suggest } from '../bundle/nearest.ts'
import { KEYS } from './train.ts'
import * as T from './tokens.ts'
import type { Token, TokenType } from './tokens.ts'
import { unitNamed } from './unit.ts'

const spanOf = (token: Token, source: Source): Span => ({ source, start: token.startOffset, end: token.startOffset + token.image.length })

export const tooDeep = (token: Token, source: Source): Diagnostic => ({
  severity: 'error',
  code: 'limit/nesting',
  message: 'this is nested too deeply to be read',
  labels: [{ span: spanOf(token, source), text: 'here' }],
  hint: 'give parts of it names of their own',
})

/** The mistake of a token where another had to stand, with fix-it hints for the usual slips. `at` is its place in `tokens`. */
export function syntaxError(mistake: Mistake, tokens: readonly Token[], at: number, source: Source): Diagnostic {
  const { token } = mistake
  if (token.tokenType === T.UnclosedComment) {
    return error('syntax/comment', 'this comment does not end', [{
      span: { source, start: token.startOffset, end: token.startOffset + 2 },
      text: 'begins here',
    }], 'end it with */')
  }
  if (token.tokenType === T.UnclosedString)
    return error(
      'syntax/text',
      'this text in quotes does not end on its line',
      [{ span: spanOf(token, source), text: 'begins here' }],
      'end it with "',
    )
  if (token.tokenType === T.Strange) return strange(token, source)
  const atEnd = at >= tokens.length
  const last = tokens.at(-1)
  const span = !atEnd ? spanOf(token, source)
    : last ? { source, start: last.startOffset + last.image.length, end: last.startOffset + last.image.length }
    : { source, start: 0, end: 0 }
  const labels: Label[] = [{ span, text: atEnd ? 'the text ends here' : 'here' }]
  if (mistake.wanted === T.CloseBrace && mistake.rule !== 'name') {
    const open = unclosedBefore(tokens, at)
    if (open && (atEnd || isItem(token))) {
      labels.push({ span: spanOf(open, source), text: 'opened here' })
      const stands = atEnd ? undefined : `or does '${token.image}' stand inside of it? Nets, blocks and imports stand beside one another`
      return error('syntax/unclosed', atEnd ? "a '}' is missing" : `a '}' is missing in front of '${token.image}'`, labels, stands)
    }
  }
  const found = atEnd ? 'the text ends' : `'${token.image}' stands`
  const wanted = wantedBy(mistake)
  return error(
    'syntax/unexpected',
    wanted ? `${found} where ${wanted} should` : `${found} where it means nothing`,
    labels,
    mendOf(mistake, tokens, at, source),
  )
}

const error = (code: string, message: string, labels: readonly Label[], hint: string | undefined): Diagnostic => ({
  severity: 'error',
  code,
  message,
  labels,
  ...(hint !== undefined && { hint }),
})

const NO_BATCH = 'the batch is not written'

const isItem = ({ tokenType }: Token): boolean =>
  tokenType === T.Net || tokenType === T.Block || tokenType === T.Train || tokenType === T.Import

function strange(token: Token, source: Source): Diagnostic {
  const { image } = token
  // A name of a file without quotes: `data houses.csv`, `data files(houses.csv)`.
  const isPath = (image === '.' || image === '\\') && /\bdata\s+\w[\w(:,= -]*$/.test(source.text.slice(0, token.startOffset))
  const hint = isPath ? 'names of files and folders stand in quotes: data "houses.csv"'
    : image === ';' ? "statements need no ';' at their end"
    : image === "'" || image === '`' ? `texts stand in double quotes: "${quoted(token, source) ?? 'folder/name'}"`
    : image === '#' ? 'comments begin with //'
    : image === '~' || source.text.startsWith('|>', token.startOffset) ? ARROW
    : image === '|' || image === '→' || image === '&' ? "layers are joined with '->', conditions with 'and' and 'or'"
    : image === '\\' ? "a statement goes on in the next line without a sign, where that begins with '->'"
    : image === '!' ? "write 'not'"
    : image === '?' ? 'a choice is written if CONDITION { ... } else { ... }'
    : image === '^' ? powerMend(/^\s*(-?[\d.]+|\w)/.exec(source.text.slice(token.startOffset + 1))?.[1] ?? '2')
    : image === '@' ? 'a product with a learned matrix is the layer fc(out); of two tensors there is the one element by element, mul(a, b)'
    : image === '.' && isMethod(token, source) ? methodMend(source.text.slice(token.startOffset + 1))
    : image === '.' ? 'names stand alone, without that of a module in front: conv(16, 3)'
    : /[“”„‟«»‘’‚]/.test(image) ? 'texts stand in straight double quotes: "folder/name"'
    : /[‐‑‒–—―−]/.test(image) ? "the minus sign of the keyboard is meant: '->', -1"
    : /\p{L}/u.test(image) ? 'names consist of letters from A to Z, digits and _'
    : undefined
  const shown = image.length > 12 ? `${image.slice(0, 12)}...` : image
  return error('syntax/character', `'${shown}' means nothing here`, [{ span: spanOf(token, source), text: 'here' }], hint)
}

/** The hint for `x.relu()`, `x.view(-1, 192)`, `x.size(0)`; `text` begins with the method's name. */
function methodMend(text: string): string {
  const [, name = '', given = ''] = /^(\w+)(?:\(((?:[^()]|\([^()]*\))*)\))?/.exec(text)!
  if (/^(size|shape|numel|dim)$/.test(name))
    return `${name} is known when a net is compiled, and ${NO_BATCH}; -> flatten makes one row a sample`
  if (/^(contiguous|detach|clone|to|cuda|cpu|float|requires_grad_?)$/.test(name))
    return `.${name}() is left out: values have one layout and one type`
  if (!/^(view|reshape)$/.test(name)) return `a layer follows behind '->': -> ${name}`
  const sizes = given.replace(/^\s*[([]|[)\]]\s*$/g, '').split(/,(?![^(]*\))/).slice(1).map((size) => size.trim()).join(', ')
  const layer = sizes === '' || sizes === '-1' ? 'flatten' : `reshape([${sizes}])`
  return `a layer follows behind '->', and ${NO_BATCH}: -> ${layer}`
}

/** What stands between a quote of another kind and the next, on its line. */
function quoted({ image, startOffset }: Token, { text }: Source): string | undefined {
  const end = text.indexOf(image, startOffset + 1)
  const inner = end < 0 ? '' : text.slice(startOffset + 1, end)
  return inner === '' || /[\n"]/.test(inner) ? undefined : inner
}

/** Whether a '.' joins a layer to a value, as methods are elsewhere: `conv(8, 3).relu()`, `x.relu()`; `nn.relu(x)` names a module. */
function isMethod({ startOffset }: Token, { text }: Source): boolean {
  const before = text.slice(Math.max(0, startOffset - 40), startOffset)
  return /^\w/.test(text.slice(startOffset + 1)) && /[)\]\w]$/.test(before)
    && !/\b(nn|F|functional|tf|torch|keras|layers|np|jnp|L)$/.test(before)
}

/** The innermost '{' in front of a place that has no '}'. */
function unclosedBefore(tokens: readonly Token[], at: number): Token | undefined {
  const open: Token[] = []
  for (const token of tokens.slice(0, at)) {
    if (token.tokenType === T.OpenBrace) open.push(token)
    else if (token.tokenType === T.CloseBrace) open.pop()
  }
  return open.at(-1)
}

function wantedBy({ wanted, rule, rules }: Mistake): string | undefined {
  switch (wanted) {
    case T.CloseParen:
      return rule === 'parentheses' ? "')'" : "',' or ')'"
    case T.CloseBracket:
      return "',' or ']'"
    case T.CloseBrace:
      return rule === 'name' ? "'}'" : rule === 'train' ? "a setting or '}'" : "a statement or '}'"
    case T.Identifier:
      return rule === 'call' ? 'a layer' : 'a name'
    case undefined:
      break
    default:
      return wanted.label
  }
  if (rule === 'name') return 'a name'
  if (rule === 'file') return "'net', 'block', 'train' or 'import'"
  if (rule === 'train setting') return 'a value'
  return rule === 'unary' || rule === 'primary' || rules.includes('chain') ? 'a value or a layer'
    : rule === 'if' ? "'{' or 'if'" : undefined
}

const OPERATORS: readonly TokenType[] = [T.Plus, T.Minus, T.Times, T.Divide, T.Remainder]

const isReserved = ({ tokenType: { word } }: Token): boolean => word === 'soft' || word === 'reserved'

/**
 * A unit behind a number that takes none, as in `accumulate 2 steps`, was read as the next setting, whose value then is missing or is the name of
 * the one behind it. On the next line it is a setting.
 */
function strayUnit(tokens: readonly Token[], at: number, { text }: Source): string | undefined {
  for (const i of [at - 1, at - 2]) {
    const [key, number, word] = [tokens[i - 2], tokens[i - 1], tokens[i]]
    if (!key || word?.tokenType !== T.Identifier || number?.tokenType !== T.NumberLiteral) continue
    if (text.slice(number.startOffset, word.startOffset).includes('\n')) continue
    if (key.image === 'every' || (/^(test|snapshot)$/.test(key.image) && !unitNamed(word.image)))
      return `durations are counted in steps or epochs: ${number.image} epochs`
    if (unitNamed(word.image)) return `${key.image} is a number alone, without '${word.image}': ${key.image} ${number.image}`
  }
  return undefined
}

/** A name in quotes, one that begins with a digit, or one with a sign within: `net my-net`, `input left-eye: f32[3]`, `as "conv 1"`. */
function brokenName({ token, wanted, rule }: Mistake, tokens: readonly Token[], at: number): string | undefined {
  const rules = 'names consist of letters, digits and _, and begin with no digit'
  if (rule === 'name' || (wanted === T.Identifier && rule !== 'call')) {
    const name = token.image.replace(/\W+/g, '_').replace(/^_+|_+$/g, '')
    if (token.tokenType === T.StringLiteral) return `names stand without quotes${/^[a-z]/i.test(name) ? `: ${name}` : ''}`
    return token.tokenType === T.NumberLiteral ? rules : undefined
  }
  // The sign is where the parser stops, or two in front of that: `left-eye = x -> relu` is a difference up to its `=`.
  const sign = token.tokenType === T.Assign ? at - 2 : at
  const [left, between, right] = tokens.slice(sign - 1, sign + 2)
  const joins = (a: Token, b: Token): boolean => a.startOffset + a.image.length === b.startOffset
  if (left?.tokenType !== T.Identifier || between?.tokenType !== T.Minus || !right || !/^\w+$/.test(right.image)) return undefined
  return joins(left, between) && joins(between, right) ? `${rules}: ${left.image}_${right.image}` : undefined
}

const kindless = (what: string): string => `a word in front of ${what} says what it is: solver, schedule, augment or data`

/** Values by which a setting is shown. */
const EXAMPLES: Readonly<Record<string, string>> = {
  data: 'mnist',
  augment: 'mirror',
  solver: 'adam(lr: 0.001)',
  schedule: 'cosine',
  batch: '100',
  snapshot: 'every 1 epoch',
  test: 'every 1 epoch',
}
const example = (key: string): string => `${key} ${EXAMPLES[key] ?? '1'}`

/** A setting without its value, or a value without its setting: `train { adam`, and the next line is read as what it is set to. */
function shiftedSetting({ token, rule }: Mistake, tokens: readonly Token[], at: number): string | undefined {
  const { image, tokenType } = token
  // The parser stops at the next setting, or, in one line, behind it.
  const value = rule === 'train setting' ? at : at - 1
  const [key, next] = [tokens[value - 1], tokens[value]]
  if (key?.tokenType === T.Identifier && next?.tokenType === T.Identifier && KEYS.includes(next.image))
    return KEYS.includes(key.image) ? `${key.image} has no value, e.g. ${example(key.image)}` : kindless(key.image)
  if (rule === 'train setting' && tokenType === T.CloseBrace && key)
    return KEYS.includes(key.image) ? `e.g. ${example(key.image)}` : kindless(key.image)
  if (rule === 'train setting' && tokenType === T.OpenBrace && key)
    return `the value stands behind the name, without braces: ${example(key.image)}`
  if (rule !== 'train') return undefined
  if (/^(epoch|step)$/.test(image))
    return tokens[at + 1]?.tokenType === T.OpenParen ? kindless(`${image}(...)`) : `did you mean \`${image}s\`?`
  const begins = tokens[at - 1]?.tokenType === T.OpenBrace || tokenType === T.StringLiteral
  return begins && (tokenType === T.NumberLiteral || tokenType === T.StringLiteral) ? `a setting is a name and its value: batch 100`
    : undefined
}

/** Words that a result begins with. A loss needs no name. */
const RESULTS: readonly TokenType[] = [T.Output, T.Loss, T.Metric]

function mendOf(mistake: Mistake, tokens: readonly Token[], at: number, source: Source): string | undefined {
  const { token, wanted, rule, rules } = mistake
  const { image, tokenType } = token
  const before = tokens[at - 1]
  const after = tokens[at + 1]
  const isName = (t: Token | undefined): t is Token => t?.tokenType === T.Identifier
  const name = brokenName(mistake, tokens, at)
  if (name !== undefined) return name
  if (rules.includes('input line') && wanted === T.Colon && isName(token) && before)
    return `a ':' stands in front of the type: input ${before.image}: ${
      source.text.slice(token.startOffset).match(/^\w+(?:\[[^\]\n]*\])?/)![0]
    }`
  if (rule === 'for' && before?.tokenType === T.For && tokenType === T.OpenParen) return 'a loop is written for i in 0..3 { ... }'
  if (wanted === T.OpenBrace && (rules.includes('for') || rules.includes('if')) && tokenType !== T.Assign)
    return `what is done stands between { and }: ${rules.includes('for') ? 'for i in 0..3 { ... }' : 'if CONDITION { ... } else { ... }'}`
  if (rules.includes('train setting') && rule === 'parentheses') {
    const open = tokens.slice(0, at).findLastIndex((t) => t.tokenType === T.OpenParen)
    const called = tokens[open - 1]
    if (isName(called) && !KEYS.includes(called.image)) return kindless(`${called.image}(...)`)
  }
  if (tokenType === T.Comma && rule === 'parentheses') return 'several sizes stand in brackets: [2, 2]'
  if (tokenType === T.Comma && rule === 'body') return "statements stand without a ',' between them; each output has one of its own"
  if (before?.tokenType === T.Remainder && tokens[at - 2]?.tokenType === T.NumberLiteral)
    return `a part is written as a number: ${Number((Number(tokens[at - 2]!.image) / 100).toPrecision(12))}`
  if (rule === 'train' && (RESULTS.includes(tokenType) || tokenType === T.Input))
    return `${image} stands in net { ... }, and train { ... } has settings alone`
  if (wanted === T.OpenBrace && before && tokenType !== T.Assign) {
    const head = before.tokenType === T.Identifier ? `${tokens[at - 2]?.image ?? 'net'} ${before.image}` : before.image
    if (/^(net|block|train)\b/.test(head)) return `what belongs to it stands between { and }: ${head} { ... }`
  }
  if (tokenType === T.OpenBracket && wanted === T.Identifier && rules.includes('input line') && before?.tokenType === T.Colon) {
    const [shape = '[...]'] = /^\[[^\]\n]*\]/.exec(source.text.slice(token.startOffset)) ?? []
    return `inputs have a type: input ${tokens[at - 2]?.image ?? 'image'}: f32${shape}`
  }
  if (rule === 'train' && tokens[at - 2]?.image === ',') return "settings stand without a ',' between them, a line each"
  if (tokenType === T.Assign && rule === 'call' && before) return `arguments are given with ':': ${before.image}: ${after?.image ?? '...'}`
  const unit = rule === 'train' || rule === 'train setting' ? strayUnit(tokens, at, source) : undefined
  if (unit) return unit
  if (rule === 'train' || rule === 'train setting') {
    const shifted = shiftedSetting(mistake, tokens, at)
    if (shifted !== undefined) return shifted
  }
  if (rule === 'train' || rule === 'train setting') {
    const key = rules.includes('train setting') && before ? before.image : 'batch'
    if (tokenType === T.Colon || tokenType === T.Assign)
      return `settings are written without a sign: ${key} ${operandAt(tokens, at + 1, source.text) ?? after?.image ?? '...'}`
  }
  if (tokenType === T.Colon && isName(before) && (rule === 'body' || rule === 'statement')) {
    return isName(after) && /^(f\d+|i\d+|u\d+|class|int|float)/.test(after.image)
      ? `inputs begin with 'input': input ${before.image}: ${after.image}[...]` : `values are given with '=': ${before.image} = ...`
  }
  if (tokenType === T.Assign && rule === 'input line')
    return `inputs have a type: input ${before?.image ?? 'image'}: ${
      after?.tokenType === T.Identifier ? `${after.image}[...]` : 'f32[1, 28, 28]'
    }`
  if (tokenType === T.Assign && (rule === 'body' || rule === 'parentheses') && rules.some((r) => r === 'if'))
    return "equality is written '=='"
  if (tokenType === T.Assign && before && isReserved(before)) return `'${before.image}' is a word of the language: choose another name`
  if ((tokenType === T.Above || tokenType === T.Assign) && before?.tokenType === T.Minus) return ARROW
  if (after?.tokenType === T.Above && tokenType === T.Assign) return ARROW
  if (tokenType === T.Above && before?.tokenType === T.Above) return ARROW
  if (tokenType === T.Colon && (wanted === T.CloseBracket || rule === 'unary' || rule === 'primary' || rule === 'list')) {
    const bracket = tokens.slice(0, at).findLast((t) => t.tokenType === T.OpenBracket)
    if (bracket && isIndex({ source, start: bracket.startOffset })) return PARTS
  }
  const operator = strayOperator(tokens, at, source.text)
  if (operator !== undefined && !rules.includes('train')) return operator
  if (before?.tokenType === T.Arrow && rule === 'call') return "a layer is missing behind '->'"
  if (wanted === T.Identifier && isReserved(token)) return `'${image}' is a word of the language: choose another name`
  if (wanted === T.Assign && (rule === 'assignment' || rule === 'constant') && before) {
    if (isName(token) && /^(const|let|var)$/.test(before.image)) return `a value is given without '${before.image}': ${image} = ...`
    const meant = rules.includes('body') ? undefined : suggest(before.image, ['net', 'block', 'train', 'import'])
    if (meant === undefined && tokenType === T.OpenBrace && !rules.includes('body'))
      return KEYS.includes(before.image) ? `${before.image} is a setting of train { ... }`
        : 'a file holds net NAME { ... }, train { ... }, block NAME() { ... } and NAME = VALUE'
    return meant === undefined ? `a value is given with '=': ${before.image} = ...` : `did you mean \`${meant}\`?`
  }
  if (wanted === T.Assign && before && RESULTS.includes(before.tokenType)) {
    const written = before.tokenType === T.Loss ? 'loss = ...' : `${before.image} NAME = ...`
    const value = isName(token) && after?.tokenType === T.OpenParen ? operandAt(tokens, at, source.text) : undefined
    if (value !== undefined) return `a result is written ${before.tokenType === T.Loss ? 'loss' : `${before.image} NAME`} = ${value}`
    return isReserved(token) ? `'${image}' is a word of the language: ${written}` : `a result is written ${written}`
  }
  if (wanted === T.Assign && tokens[at - 2] && tokenType === T.OpenParen && isName(before)) {
    const role = tokens[at - 2]!
    return `a result is written ${role.tokenType === T.Loss ? role.image : `${role.image} NAME`} = ${
      operandAt(tokens, at - 1, source.text) ?? '...'
    }`
  }
  if (wanted === T.Assign)
    return `a result is written ${tokens[at - 2]?.image ?? 'output'} ${before?.image ?? 'prob'} = ${
      (after?.tokenType === T.OpenParen && operandAt(tokens, at, source.text)) || '...'
    }${tokens[at - 2]?.tokenType === T.Output && before ? `; of a value of that name, output ${before.image} = ${before.image}` : ''}`
  const inList = (wanted === T.CloseParen && rule === 'call') || wanted === T.CloseBracket
  if (inList && before?.tokenType === T.NumberLiteral && isName(token) && rules.includes('train setting'))
    return `durations are counted in steps or epochs: ${before.image} epochs`
  if (inList && isName(before) && tokenType === T.NumberLiteral && !unitNamed(before.image))
    return `arguments are given with ':': ${before.image}: ${image}`
  if (before && unitNamed(before.image) && OPERATORS.includes(tokenType))
    return `a duration is one number and a unit: (1 + 2) ${before.image}`
  if (wanted === T.CloseParen && before?.tokenType === T.OpenParen && tokenType === T.OpenBrace)
    return `arguments have no braces around them: ${tokens[at - 2]?.image ?? ''}(name: value)`
  if (wanted === T.CloseParen && before && rule === 'call') return "is a ',' or a ')' missing in front of it?"
  if (rule === 'input line' && tokenType === T.OpenParen && before) {
    const end = tokens.findIndex((each, i) => i > at && each.tokenType === T.CloseParen)
    const inside = end < 0 ? '' : source.text.slice(token.startOffset + 1, tokens[end]!.startOffset)
    return `what stands behind ${before.image} stands in brackets: ${before.image}[${inside || '10'}]`
  }
  if (rule === 'dimensions' && isName(before) && isName(token))
    return `a class whose name has several words stands in quotes: "${before.image} ${image}"`
  if (wanted === T.CloseBracket) return "is a ',' or a ']' missing in front of it?"
  if (rule === 'body' && (isName(before) || isName(token))) {
    const keywords = tokenType === T.OpenBrace ? ['else', 'for', 'if'] : ['input', 'output', 'loss', 'metric', 'return', 'style', 'for']
    const word = [before, token].filter(isName).map((t) => suggest(t.image, keywords)).find((k) => k !== undefined)
    if (word) return `did you mean \`${word}\`?`
  }
  if (rule === 'file') {
    const meant = isName(token) ? suggest(image, ['net', 'block', 'train', 'import']) : undefined
    if (meant) return `did you mean \`${meant}\`?`
    if (image === '}') return "is it one '}' too many?"
    return 'statements stand inside net NAME { ... }'
  }
  if (image === '->' && rule === 'body') return "in front of '->' stands what goes into the layer"
  return undefined
}
