import { describe, expect, test } from 'vitest'
import { codes, mistakes, net, underlined } from './programs.ts'

describe('where a text is no program', () => {
  test.each([
    ['a solver without the word, and no more', 'adam\n batch 2', 'batch', 'in front of adam says what it is: solver'],
    ['a schedule without the word', 'cosine\n solver sgd(lr: 1)', 'solver', 'in front of cosine says what it is'],
    ['a data set without the word', 'mnist\n data mnist', 'data', 'in front of mnist says what it is'],
    ['a schedule that is called as a unit', 'step(gamma: 1, every: 2)', 'step', 'in front of step(...) says what it is'],
    ['a setting without a value', 'batch\n epochs 2', 'epochs', 'batch has no value, e.g. batch 100'],
    ['a solver without a name', 'solver\n batch 2', 'batch', 'solver has no value, e.g. solver adam(lr: 0.001)'],
    ['in one line', 'adam batch 2', '2', 'in front of adam says what it is'],
    ['the last without a value', 'solver sgd(lr: 1)\n batch', '}', 'batch 100'],
    ['a value without a setting', '100\n epochs 2', '100', 'batch 100'],
    ['braces around a value', 'augment { mirror }', '{', 'augment mirror'],
    ['a colon in front of a call', 'solver: sgd(lr: 1)', ':', 'solver sgd(lr: 1)'],
    ['the rate of another trainer', 'solver sgd(lr: 1)\n learning_rate 0.1', 'learning_rate', 'solver sgd(lr: 0.1)'],
  ])('a train block with %s', (_, train, at, hint) => {
    const found = mistakes(`${net('h = x -> relu')}\ntrain { ${train} }`)
    expect(underlined(found.at(-1)!)).toBe(at)
    expect(found.at(-1)!.hint).toContain(hint)
  })
  test('a function of another language is a block', () => {
    expect(mistakes(net('def f(x)'))[0]!.hint).toContain('block NAME(...) { ... }')
  })
  test.each([
    ['net n\n  input x: f32[1]\n  output o = x -> relu\n', 'net n { ... }'],
    [`${net('h = x -> relu')}\ntrain\n  batch 2\n`, 'train { ... }'],
    [net('h = x -> conv({ out: 3, kernel: 1 })'), 'arguments have no braces around them: conv(name: value)'],
    [net('block b(y) { return y -> relu }'), 'stand beside one another'],
  ])('%j: what is told says how it is written', (text, hint) => expect(mistakes(text).map((m) => m.hint ?? '').join('; ')).toContain(hint))
  test.each([
    ['= for :', net('h = x -> conv(8, 3, stride = 2)'), '=', ':'],
    ['a comma forgotten', net('h = x -> conv(8 3)'), '3', ','],
    ['a bracket forgotten', net('h = x -> conv(8, 3\n g = x -> relu'), 'g', ')'],
    ['a line that goes on', net('h = x \\\n -> relu'), '\\', "without a sign, where that begins with '->'"],
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
    ['a factor behind a layer', net('h = x -> relu * 2'), '*', 'layers: -> mul(2)'],
    ['a sum behind a layer', net('h = x -> conv(8, 3, pad: 1) as c + relu(x)'), '+', 'layers: -> add(relu(x))'],
    ['a quotient behind a layer', net('h = x -> relu / 2'), '/', 'layers: -> div(2)'],
    ['a difference behind a layer', net('y = x -> relu\n h = x -> relu - y'), '- y', 'layers: -> sub(y)'],
    ['a power behind a layer', net('h = x -> relu ** 2'), '*', 'layer: -> pow(2)'],
    ['a power', net('h = x ** 2'), '*', '-> pow(2)'],
    ['a power of a number', net('h = 2 ** x'), '*', 'exp(mul(y, ln a))'],
    ['a power in another sign', net('h = x ^ 2'), '^', '-> pow(2)'],
    ['a power by a tensor behind a layer', net('h = x -> relu ** x'), '*', 'exp(mul(y, log(x)))'],
    ['a power by a tensor in another sign', net('h = x ^ x'), '^', 'exp(mul(y, log(x)))'],
    ['a negative power', net('h = x -> relu ** -0.5'), '*', '-> pow(-0.5)'],
    ['results in one line', net('output o = x, x'), ',', "without a ','"],
    ['a loss among settings', `${net('h = x -> relu')}\ntrain { loss softmax }`, 'loss', 'loss stands in net'],
    ['a part in percent', `${net('h = x -> relu')}\ntrain { solver sgd(lr: 0.1%) }`, ')', '0.001'],
    ['an augmentation without a comma', `${net('h = x -> relu')}\ntrain { augment mirror crop(32, pad: 4) }`, ',', 'in front of crop(...)'],
    ['view as a method', net('h = x.view(-1, 192)'), '.', '-> reshape([192])'],
    ['view that makes one row a sample', net('h = x.view(x.size(0), -1)'), '.', '-> flatten'],
    ['the size of a batch', net('h = reshape(x, [x.size(0), -1])'), '.', 'the batch is not written'],
    ['a method without counterpart', net('h = x.contiguous().relu()'), '.', 'is left out'],
    ['a comparison behind a layer', net('h = x -> relu > 0'), '>', 'where(h -> relu, a, b)'],
    ['a sum among arguments', net('h = add(x -> relu + x, x)'), '+', '-> add(x)'],
    ['a sum in parentheses', net('h = (x -> relu * 2) -> relu'), '*', '-> mul(2)'],
    ['a sum in the next line', net('h = x -> relu\n + x'), '+', '-> add(x)'],
    ['a sum into a value', net('h = x -> relu\n h += x'), '=', 'h = add(h, x)'],
    ['a choice by ?', net('h = 1 > 0 ? x : x'), '?', 'if CONDITION'],
    ['a product of matrices', net('h = x @ x'), '@', 'fc(out)'],
    ['sizes in parentheses', net('h = x -> max_pool((2, 2))'), ',', '[2, 2]'],
    ['a loop without braces', net('for i in 0..3 h = x -> relu'), 'h', 'for i in 0..3 { ... }'],
    ['a loop in parentheses', net('for (i in 0..3) { h = x -> relu }'), '(', 'for i in 0..3 { ... }'],
    ['a condition without braces', net('h = if true x else x'), 'x', 'if CONDITION { ... }'],
    ['an input without a colon', net('input z f32[3, 8]'), 'f32', 'input z: f32[3, 8]'],
    ['a result without =', net('output o relu(x)'), 'relu', 'output o = relu(x)'],
    ['a loss without =', net('loss squared_loss(x, x)'), '(', 'loss = squared_loss(x, x)'],
    ['a metric without a name', net('metric accuracy(x, x)'), '(', 'metric NAME = accuracy(x, x)'],
    ['range', net('for i in range(3) { h = x -> relu }'), 'range', '0..3'],
    ['Sequential', net('h = Sequential(x)'), 'Sequential', 'x -> conv(16, 3) -> relu'],
    ['a block of another language', `${net('h = x -> relu')}\ntest { batch 2 }`, '{', 'test is a setting of train { ... }'],
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
