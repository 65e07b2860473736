import { describe, expect, test } from 'vitest'
import { codes, mistakes, net, underlined } from './programs.ts'

describe('where a text is no program', () => {
  test.each([
    ['net n\n  input x: f32[1]\n  output o = x -> relu\n', 'net n { ... }'],
    [`${net('h = x -> relu')}\ntrain\n  batch 2\n`, 'train { ... }'],
    [net('block b(y) { return y -> relu }'), 'stand beside one another'],
  ])('%j: what is told says how it is written', (text, hint) => expect(mistakes(text).map((m) => m.hint ?? '').join('; ')).toContain(hint))
  test.each([
    ['= for :', net('h = x -> conv(8, 3, stride = 2)'), '=', ':'],
    ['a comma forgotten', net('h = x -> conv(8 3)'), '3', ','],
    ['a bracket forgotten', net('h = x -> conv(8, 3\n g = x -> relu'), 'g', ')'],
    ['an arrow cut short', net('h = x - > relu'), '>', '->'],
    ['an arrow of another language', net('h = x | relu'), '|', '->'],
    ['an arrow with =', net('h = x => relu'), '=', "joined with '->'"],
    ['an arrow with ~', net('h = x ~> relu'), '~', "joined with '->'"],
    ['an arrow of pipes', net('h = x |> relu'), '|', "joined with '->'"],
    ['two signs for an arrow', net('h = x >> relu'), '>', "joined with '->'"],
    ['a method', net('h = x -> conv(8, 3).relu()'), '.', '-> relu'],
    ['a method of a value', net('h = x.relu()'), '.', '-> relu'],
    ['a range in an index', net('h = x[0:2]'), ':', 'slice(x, axis, from, to)'],
    ['ranges in an index', net('h = relu(x)[:, 0:2]'), ':', 'slice(x, axis, from, to)'],
    [
      'a solver without the word',
      `${net('h = x -> relu')}\ntrain { sgd(lr: 0.1)\n batch 2 }`,
      ':',
      'in front of sgd(...) says what it is: solver',
    ],
    ['a semicolon', net('h = x -> relu;'), ';', ';'],
    ['a text without end', 'import "./a.net\nnet n { input x: f32[1]\n output o = x -> relu }', '"./a.net', '"'],
    ['a comment without end', `${net('h = x')}/* what`, '/*', '*/'],
    ['a keyword for a name', net('for = x -> relu'), '=', undefined],
    ['a misspelled keyword', net('ouput o = x -> relu'), 'ouput', '`output`'],
    ['a colon for =', net('h: x -> relu'), ':', '='],
    ['a type forgotten', net('input z = f32[3]'), '=', ':'],
    ['the type of a shape forgotten', net('input z: [3, 8]'), '[', 'input z: f32[3, 8]'],
    ['a comma behind a setting', `${net('h = x -> relu')}\ntrain { batch 2,\n epochs 3 }`, '3', "without a ','"],
    ['a comma behind a data set', `${net('h = x -> relu')}\ntrain { data mnist,\n batch 2 }`, '2', "without a ','"],
    ['True', net('h = x -> conv(4, 3, bias: True)'), 'True', '`true`'],
    ['a statement outside', `h = x -> \n${net('')}`, 'net', undefined],
    ['single quotes', `import './a.net'\n${net('output o = x -> relu')}`, "'", '"'],
    ['a misspelled item', 'ney n { input x: f32[1] }', 'n', '`net`'],
    ['a misspelled else', net('if 1 > 2 { x -> relu } els { x -> tanh }'), '{', '`else`'],
    ['no layer behind an arrow', net('h = x ->\n  output o = x'), 'output', "behind '->'"],
    ['a brace too many', `${net('h = x -> relu')}}`, '}', 'too many'],
    ['a reserved word for a name of an input', net('input for: f32[3]'), 'for', 'another name'],
    ['one = in a condition', net('if 1 = 2 { x -> relu }'), '=', "'=='"],
    ['a hash for a comment', net('# picture'), '#', '//'],
    ['a letter of another alphabet', net('größe = x -> relu'), 'öß', 'letters from A to Z'],
    ['an arrow with a dash', net('h = x –> relu'), '–', 'minus sign'],
    ['quotes of a text processor', `import “a.net”\n${net('h = x -> relu')}`, '“', 'straight double quotes'],
    ['an input without its keyword', net('z: f32[3]'), ':', 'input z: f32'],
    ['a list without end', net('for i in [1, 2 { x -> relu }'), '{', ']'],
    [
      'an equals sign behind a setting',
      `${net('loss = softmax_loss(x -> fc(3), label)')}train { solver sgd(0.1)\n seed = 3 }`,
      '=',
      'seed 3',
    ],
    ['a word of other languages in front of a constant', `const width = 16\n${net('h = x -> relu')}`, 'width', "without 'const': width ="],
    [
      'a file without quotes',
      `${net('loss = softmax_loss(x -> fc(3), label)')}train { data files(a-b.csv)\n solver sgd(0.1) }`,
      '.',
      'data "',
    ],
    ['a module in front of a name', net('h = data -> nn.relu'), '.', 'without that of a module'],
    ['one epoch for several', `${net('loss = softmax_loss(x -> fc(3), label)')}train { epoch 3\n solver sgd(0.1) }`, 'epoch', '`epochs`'],
    ['a sign behind a setting', `${net('loss = softmax_loss(x -> fc(3), label)')}train { batch: 10\n solver sgd(0.1) }`, ':', 'batch'],
  ])('%s', (_, text, at, hint) => {
    const found = mistakes(text)
    expect(found).toHaveLength(1)
    expect(underlined(found[0]!)).toContain(at)
    if (hint) expect(found[0]!.hint).toContain(hint)
  })

  test('a brace that is missing points at the one that is open', () => {
    const [first, ...rest] = mistakes('net n {\n  input x: f32[3]\n  for i in 0..3 {\n    h = x -> relu\n}\n')
    expect(rest).toEqual([])
    expect(first!.labels.length).toBeGreaterThan(1)
  })
})

describe('several mistakes in one run', () => {
  test('of syntax, in several statements', () => {
    const found = mistakes(net('a = x -> conv(8 3)\n  b = y -> relu\n  c = -> relu\n  d = add(x, y\n  output o = b'))
    expect(found.map(underlined)).toEqual(['3', '->', 'output'])
  })

  test('of syntax and of names', () => {
    expect(mistakes(net('a = x -> conv(8 3)\n  b = y -> reluu\n  output o = b')).map(underlined)).toEqual(['3', 'reluu'])
  })

  test('what was to be defined where the mistake is counts as defined', () => {
    expect(mistakes(net('a = x -> conv(8 3)\n  b = a -> relu\n  output o = add(a, b)'))).toHaveLength(1)
  })

  test('in several blocks', () => {
    expect(codes(`block a(x) { return x -> conv(8 3) }\nblock b(x) { return -> relu }\n${net('h = x -> a -> b')}`)).toHaveLength(2)
  })

  test('in the train block too', () => {
    expect(codes(`${net('h = x -> conv(8 3)')}train {\n  solver sgd(lr 0.1)\n  batch 10\n}`)).toHaveLength(2)
  })

  test('they come in the order of the text', () => {
    const starts = mistakes(net('a = x -> reluu\n  b = y -> conv(8 3)\n  c = z -> relu\n  d = x -> conv(0, 3)')).map((d) =>
      d.labels[0]!.span.start
    )
    expect(starts).toEqual([...starts].sort((a, b) => a - b))
    expect(starts).toHaveLength(4)
  })
})

describe('words', () => {
  test("a reserved word may name an argument, a layer behind as, a setting's value", () => {
    expect(codes(net('h = x -> batch_norm(style: split) as loss'))).toEqual([])
  })

  test.each(['5e-4', '1e-10', '1E+3', '.5', '0.5', '12'])(
    '%s is a number',
    (text) => expect(codes(net(`h = x -> clip(${text}, 1)`))).toEqual([]),
  )
  test('0..3 is a range', () => expect(codes(net('for i in 0..3 { x -> relu }'))).toEqual([]))
  test('newlines mean nothing', () => expect(codes(net('h\n=\nx\n->\nconv\n(\n8\n,\n3\n)\nas\nc'))).toEqual([]))
  test('comments mean nothing', () => expect(codes(net('h /* a */ = x // b\n -> /* c\n d */ relu'))).toEqual([]))
})
