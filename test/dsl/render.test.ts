import { describe, expect, test } from 'vitest'
import type { Diagnostic } from '../../dsl/diagnostic.ts'
import { render } from '../../dsl/index.ts'
import { drawn, net } from './programs.ts'

const source = {
  file: 'resnet.net',
  text:
    'net resnet {\n  input x: f32[3, 32, 32]\n  more = x\n  main = x -> conv(32, 3, stride: 2, pad: 1)\n  skip = x\n  return add(main, skip) -> relu\n}\n',
}
const span = (text: string, length = text.length): Diagnostic['labels'][number]['span'] => {
  const start = source.text.indexOf(text)
  return { source, start, end: start + length }
}
const mismatch: Diagnostic = {
  severity: 'error',
  code: 'shape/add-mismatch',
  message: 'add cannot join [n, 32, 16, 16] with [n, 16, 32, 32]',
  labels: [
    { span: span('add(main, skip)'), text: 'joined here' },
    { span: span('conv(32, 3, stride: 2, pad: 1)'), text: '[n, 32, 16, 16] made here' },
    { span: span('x\n  return', 1), text: '[n, 16, 32, 32] made here' },
  ],
  hint: 'bring `skip` to the same shape, e.g. x -> conv(32, 1, stride: 2)',
}

test('every place, underlined, and the way out', () => {
  expect(render(mismatch)).toBe(`\
resnet.net:6:10: error: add cannot join [n, 32, 16, 16] with [n, 16, 32, 32] (shape/add-mismatch)
  6 |   return add(main, skip) -> relu
    |          ^^^^^^^^^^^^^^^ joined here
  4 |   main = x -> conv(32, 3, stride: 2, pad: 1)
    |               ------------------------------ [n, 32, 16, 16] made here
  5 |   skip = x
    |          - [n, 16, 32, 32] made here
  hint: bring \`skip\` to the same shape, e.g. x -> conv(32, 1, stride: 2)`)
})

const at = (text: string, start: number, end: number, more: Partial<Diagnostic> = {}): Diagnostic => ({
  severity: 'error',
  code: 'a/b',
  message: 'm',
  labels: [{ span: { source: { file: 'f', text }, start, end }, text: 'here' }],
  ...more,
})

describe('places', () => {
  test('line numbers of several digits stand in one column', () => {
    const text = Array.from({ length: 12 }, (_, i) => `line ${i + 1}`).join('\n')
    const place = (line: number): Diagnostic['labels'][number] => {
      const start = text.indexOf(`line ${line}`)
      return { span: { source: { file: 'f', text }, start, end: start + 4 }, text: '' }
    }
    expect(render(at(text, 0, 0, { labels: [place(12), place(2)] }))).toBe(
      'f:12:1: error: m (a/b)\n  12 | line 12\n     | ^^^^\n   2 | line 2\n     | ----',
    )
  })

  test('several lines: the first one is shown', () => {
    expect(render(at('net n {\n  a\n}', 4, 13))).toBe('f:1:5: error: m (a/b)\n  1 | net n {\n    |     ^^^... here')
  })

  test('tabs', () => expect(render(at('\tx\ty', 3, 4))).toBe('f:1:4: error: m (a/b)\n  1 |   x  y\n    |      ^ here'))
  test('wide characters and marks', () =>
    expect(render(at('漢e\u0301z', 3, 4))).toBe('f:1:4: error: m (a/b)\n  1 | 漢e\u0301z\n    |    ^ here'))
  test('what a terminal would obey is shown', () => {
    const drawn = render(at('a\u001b[31m\u0007\u202eb', 8, 9, { message: 'no \u001b]0;title\u0007', hint: '\u2066' }))
    expect(drawn).toBe(
      'f:1:9: error: no \u241b]0;title\u2407 (a/b)\n  1 | a\u241b[31m\u2407<U+202E>b\n    | ' + ' '.repeat(15) + '^ here\n  hint: <U+2066>',
    )
  })
  test('of a long line, what lies around the mark', () => {
    const drawn = render(at(`${'a'.repeat(5000)}bc${'d'.repeat(5000)}`, 5000, 5002)).split('\n')
    expect(drawn[1]).toBe(`  1 | ...${'a'.repeat(60)}bc${'d'.repeat(98)}...`)
    expect(drawn[2]).toBe(`    | ${' '.repeat(63)}^^ here`)
  })
  test('line ends of Windows', () => expect(render(at('a\r\nbc\r\n', 3, 5))).toBe('f:2:1: error: m (a/b)\n  2 | bc\n    | ^^ here'))
  test('the end of a text', () => expect(render(at('ab', 2, 2))).toBe('f:1:3: error: m (a/b)\n  1 | ab\n    |   ^ here'))
  test('an empty text', () => expect(render(at('', 0, 0))).toBe('f:1:1: error: m (a/b)\n  1 |\n    | ^ here'))
  test('a warning', () => expect(render(at('ab', 0, 1, { severity: 'warning' }))).toContain('f:1:1: warning: m (a/b)'))
  test('no place at all', () => expect(render(at('', 0, 0, { labels: [] }))).toBe('error: m (a/b)'))

  test('another file is named', () => {
    const other = { file: 'blocks.net', text: 'block a(x) { }' }
    expect(
      render(
        at('x', 0, 1, {
          labels: [{ span: { source: { file: 'f', text: 'x' }, start: 0, end: 1 }, text: 'here' }, {
            span: { source: other, start: 6, end: 7 },
            text: 'there',
          }],
        }),
      ),
    )
      .toBe('f:1:1: error: m (a/b)\n  1 | x\n    | ^ here\n  blocks.net:1:7\n  1 | block a(x) { }\n    |       - there')
  })
})

test('colours change nothing but colours', () => {
  const colored = render(mismatch, { color: true })
  expect(colored).toContain('\u001b[')
  expect(colored.replaceAll(/\u001b\[[\d;]*m/g, '')).toBe(render(mismatch))
  expect(render(mismatch, { color: false })).not.toContain('\u001b')
})

/** Read these as a user would: reviewed, not computed. */
describe('as a user sees them', () => {
  test.each([
    ['an unknown layer', net('h = x -> conv(8, 3) -> reluu')],
    ['an unknown name', net('features = x -> relu\n  output o = softmax(featurs)')],
    ['an unknown argument', net('h = x -> conv(8, 3, padding: 1)')],
    ['a missing argument', net('h = x -> conv(8)')],
    ['a number out of range', net('h = x -> dropout(1.5)')],
    ['the wrong kind', net('h = x -> fc(y)')],
    ['a word that is none', net('h = x -> max_pool(2, round: cell)')],
    ['= for :', net('h = x -> conv(8, 3, stride = 2)')],
    ['a forgotten comma', net('h = x -> conv(8 3)')],
    ['a name given twice', net('a = x -> relu as r\n  b = y -> relu as r')],
    ['arithmetic on tensors', net('h = x + y')],
    ["a block's argument", `block b(x, planes) {\n  return x -> fc(planes)\n}\n${net('h = x -> b(8, plane: 3)')}`],
    ['a block of itself', `block b(x) {\n  return x -> b\n}\n${net('h = x -> b')}`],
    [
      'several, in one run',
      `${net('a = x -> conv(8 3)\n  b = y -> reluu\n  loss = softmax_loss(b, lable)')}train {\n  bach 10\n  solver sgd(rate: 0.1)\n}\n`,
    ],
    ['a brace that is missing', 'net n {\n  input x: f32[3]\n  output o = x -> relu\n'],
  ])('%s', (_, text) => expect(drawn(text)).toMatchSnapshot())
})
