import fc from 'fast-check'
import type { Expression, FileAst } from '../../dsl/ast.ts'
import { parse } from '../../dsl/index.ts'

/** A tree without places: what two texts have in common that say the same. */
export function said(text: string): unknown {
  const bare = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(bare)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).filter(([key]) => key !== 'span').map(([key, inner]) => [key, bare(inner)]))
  }
  const { ast, diagnostics } = parse({ file: 'text.net', text })
  if (diagnostics.length > 0) throw new Error(diagnostics.map((d) => d.message).join('\n'))
  return bare(ast satisfies FileAst | undefined)
}

export type { Expression }

/** Texts that the grammar allows, whatever they mean: words with blanks, line ends and comments in between. */
const name = fc.constantFrom('x', 'features', 'h', 'planes', 'conv', 'relu', 'add', 'batch_norm')
const number = fc.constantFrom('0', '1', '3', '28', '0.5', '5e-4', '1e-10', '.25')
const words = (...parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> => fc.tuple(...parts).map((list) => list.filter(Boolean).join(' '))
const list = (item: fc.Arbitrary<string>, most: number, joint = ' , '): fc.Arbitrary<string> =>
  fc.array(item, { maxLength: most }).map((items) => items.join(joint))
const is = (text: string): fc.Arbitrary<string> => fc.constant(text)

const { expression, statement } = fc.letrec<
  { expression: string; chain: string; call: string; argument: string; statement: string; body: string; branch: string }
>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'e' },
    number,
    name,
    is('true'),
    is('"a dir"'),
    words(is('['), list(tie('expression'), 4), is(']')),
    words(is('('), tie('chain'), is(')')),
    words(tie('expression'), fc.constantFrom('+', '-', '*', '/', '%', '==', '!=', '<', '<=', '>', '>=', 'and', 'or'), tie('expression')),
    words(fc.constantFrom('-', 'not'), tie('expression')),
    words(is('if'), tie('expression'), tie('branch'), is('else'), tie('branch')),
    tie('call'),
  ),
  chain: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'e' },
    tie('expression'),
    words(tie('expression'), is('->'), list(tie('call'), 5, ' -> ').map((links) => links || 'relu')),
  ),
  call: words(
    name,
    fc.oneof({ maxDepth: 4, depthIdentifier: 'e' }, is(''), words(is('('), list(tie('argument'), 4), is(')'))),
    fc.constantFrom('', '', 'as c1', 'as stage{i}_{j}', 'as b{i}'),
  ),
  argument: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'e' },
    tie('chain'),
    words(fc.constantFrom('pad', 'stride', 'style', 'loss'), is(':'), tie('chain')),
    words(is('every'), is(':'), number, fc.constantFrom('epoch', 'steps')),
  ),
  branch: words(is('{'), tie('chain'), is('}')),
  statement: fc.oneof(
    { maxDepth: 3, depthIdentifier: 's' },
    words(name, is('='), tie('chain')),
    words(fc.constantFrom('output', 'metric', 'loss'), name, is('='), tie('chain')),
    words(is('loss'), is('='), tie('chain')),
    words(is('input'), name, is(':'), fc.constantFrom('f32 [ 1 , 28 ]', 'class [ 10 ]', 'class [ 10 ] [ 3 , 3 ]', 'f32 [ 2 ] whole')),
    words(is('for'), name, fc.constantFrom('', ', i'), is('in'), fc.constantFrom('0 .. 3', '[ 1 , 2 ]'), tie('body')),
    words(name, is('='), is('if'), is('x == 1'), tie('body'), is('else'), tie('body')),
    words(is('return'), tie('chain')),
  ),
  body: words(is('{'), list(tie('statement'), 4, ' '), is('}')),
}))

const statements = fc.array(statement, { maxLength: 8 }).map((all) => all.join(' '))
const setting = fc.oneof(
  words(fc.constantFrom('batch', 'epochs', 'solver', 'data'), expression),
  is('augment mirror , crop ( 28 , pad : 4 ) , mirror'),
  is('test every 500 steps'),
  is('schedule warmup ( 500 ) -> cosine'),
)

export const programTexts: fc.Arbitrary<string> = fc.tuple(
  fc.boolean(),
  fc.option(expression),
  statements,
  statements,
  fc.array(setting, { maxLength: 5 }),
)
  .map(([imports, constant, block, net, train]) =>
    [
      imports ? 'import "./a.net"' : '',
      constant === null ? '' : `k = ${constant}`,
      `block b ( x , n : 3 ) { ${block} }`,
      `net n { ${net} }`,
      `train { ${train.join(' ')} }`,
    ].filter(Boolean).join(' ')
  )

/** The same text with other blanks, and with comments. The parts of `stage{i}` hold no blanks, so they stay one word. */
export const scattered: fc.Arbitrary<{ text: string; comments: string[] }> = fc.tuple(
  programTexts,
  fc.infiniteStream(
    fc.constantFrom(
      ' ',
      ' ',
      ' ',
      ' ',
      ' ',
      '\n',
      '\n',
      '\n\n\n',
      '\t',
      '\r\n',
      ' // a remark\n',
      '\n// alone\n',
      '\n  // two\n  // lines\n',
      ' /* inside */ ',
      '\n/* on\n * several */\n',
    ),
  ),
).map(([text, blanks]) => {
  const comments: string[] = []
  const words = text.match(/"[^"]*"|\S+/g) ?? []
  return {
    text: words.map((word) => {
      const blank = blanks.next().value as string
      comments.push(...(blank.match(/\/\/[^\n]*|\/\*[^]*?\*\//g) ?? []))
      return `${word}${blank}`
    }).join(''),
    comments,
  }
})

/** A text of some program, with a few places spoiled. */
export const spoiled = (texts: readonly string[]): fc.Arbitrary<string> =>
  fc.tuple(
    fc.constantFrom(...texts),
    fc.array(
      fc.tuple(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 0, max: 12 }),
        fc.oneof(
          fc.constantFrom(
            '',
            '',
            '->',
            '{',
            '}',
            '(',
            ')',
            '[',
            ']',
            ',',
            ':',
            '=',
            '"',
            "'",
            '/*',
            '*/',
            '//',
            '\n',
            'as',
            'if',
            'else',
            'for',
            'in',
            'net',
            'block',
            'train',
            '..',
            '-',
            '1e9',
            '{i}',
            ';',
            '\u0000',
            '\u{1f600}',
          ),
          fc.string({ maxLength: 6 }),
        ),
      ),
      { minLength: 1, maxLength: 6 },
    ),
  ).map(([text, cuts]) =>
    cuts.reduce((now, [at, length, put]) => {
      const start = Math.floor(at * now.length)
      return now.slice(0, start) + put + now.slice(start + length)
    }, text)
  )
