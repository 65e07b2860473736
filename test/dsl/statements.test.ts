import { describe, expect, test } from 'vitest'
import { codes, inputsOf, layers, mistakes, names, net, program, underlined } from './programs.ts'

describe('inputs', () => {
  test('a layer that is called like an operator or a block is no value', () => {
    const body = 'h = x -> relu as relu\n b = h -> b as b\n output o = add(relu, b, relu(h))\n output p = b'
    const told = mistakes('block b(x) { return x -> relu }\n' + net(body.replace('b = h', 'g = h')))
    expect(told.map(({ message }) => message)).toEqual(['relu', 'b', 'b'].map((name) => `${name} names a layer, not a value`))
    expect(told[0]!.hint).toBe('give its value a name: NAME = ... as relu')
    // Without such a layer it is a call that lacks what it works on.
    expect(codes(net('output o = relu'))).toEqual(['values/too-few'])
  })
  test('numbers, classes, a class a pixel, without a batch', () => {
    const { inputs } = program(
      'net n {\n input image: f32[1, 28, 28]\n input label: class[10]\n input map: class[21][32, 32]\n input anchors: f32[2, 3] whole\n output o = image -> relu }',
    )
    expect(inputs.map(({ span, ...rest }) => rest)).toEqual([
      { name: 'image', type: 'f32', shape: [1, 28, 28], batched: true },
      { name: 'label', type: 'class', classes: 10, shape: [], batched: true },
      { name: 'map', type: 'class', classes: 21, shape: [32, 32], batched: true },
      { name: 'anchors', type: 'f32', shape: [2, 3], batched: false },
    ])
  })

  test('sizes are computed', () => {
    expect(program('side = 4\nnet n { input x: f32[side - 1, side * side]\n output o = relu(x) }').inputs[0]!.shape).toEqual([3, 16])
  })

  test.each([
    ['a type that is none', 'input a: f23[3]', 'input/type', 'f23'],
    ['a shape that is none', 'input a: f32', 'input/shape', 'input a: f32'],
    ['classes that are none', 'input a: class', 'input/classes', 'input a: class'],
    ['a size of nothing', 'input a: f32[0]', 'input/size', '0'],
    ['half a size', 'input a: f32[1.5]', 'input/size', '1.5'],
  ])('%s', (_, body, code, at) => {
    const found = mistakes(net(body))
    expect(found.map((d) => d.code)).toEqual([code])
    expect(underlined(found[0]!)).toBe(at)
  })
})

describe('results', () => {
  test('outputs, losses, metrics', () => {
    const { outputs, losses, metrics } = program(
      net('h = x -> fc(3)\n output p = softmax(h)\n loss = softmax_loss(h, label)\n metric a = accuracy(h, label)'),
    )
    expect(outputs.map((r) => r.name)).toEqual(['p'])
    expect(losses.map((r) => [r.name, r.value])).toEqual([['loss', { kind: 'layer', index: 2 }]])
    expect(metrics.map((r) => r.name)).toEqual(['a'])
  })

  test('several losses, with names and without', () => {
    expect(
      program(
        net(
          'h = x -> fc(3)\n loss = softmax_loss(h, label)\n loss main = softmax_loss(h, label)\n loss = softmax_loss(h, label, weight: 0.3)',
        ),
      ).losses.map((l) => l.name),
    )
      .toEqual(['loss', 'main', 'loss_2'])
  })

  test('the name of an output is bound', () => {
    expect(inputsOf(layers('output h = x -> relu\n output g = h -> tanh'), 'tanh_1')).toEqual(['relu_1'])
  })

  test('an input may be an output', () => {
    expect(program(net('output o = x')).outputs[0]!.value).toEqual({ kind: 'input', name: 'x' })
  })

  test('a number is no output', () => expect(codes(net('output o = 3'))).toEqual(['result/kind']))
  test('an output without a name', () => expect(codes(net('output = x -> relu'))).toEqual(['result/name']))
})

describe('names of values', () => {
  test('are bound anew, from within a loop and a condition as well', () => {
    const all = layers('h = x\n h = h -> relu\n for i in 0..2 { h = h -> tanh }\n if true { h = h -> relu }\n output o = h -> fc(1)')
    expect(inputsOf(all, 'tanh_1')).toEqual(['relu_1'])
    expect(inputsOf(all, 'tanh_2')).toEqual(['tanh_1'])
    expect(inputsOf(all, 'relu_2')).toEqual(['tanh_2'])
    expect(inputsOf(all, 'fc_1')).toEqual(['relu_2'])
  })

  test('constants in a net, in a block and of the file', () => {
    const text = 'width = 8\nblock b(x) { twice = width * 2\n return x -> fc(twice) }\n' + net('k = width / 2\n h = x -> b -> fc(k)')
    expect(program(text).layers.map((l) => l.attributes['out'])).toEqual([16, 4])
  })

  test('a block sees its own names alone', () => {
    expect(codes('block b(x) { return x -> fc(k) }\n' + net('k = 3\n h = x -> b'))).toEqual(['name/undefined'])
  })

  test('what is not defined is told where it stands, with what may be meant', () => {
    const [first, ...rest] = mistakes(net('features = x -> relu\n h = add(featurs, y)'))
    expect(rest).toEqual([])
    expect(first).toMatchObject({ code: 'name/undefined', hint: expect.stringContaining('`features`') })
    expect(underlined(first!)).toBe('featurs')
  })

  test('what follows from a mistake is not told', () => {
    expect(codes(net('h = x -> convv(3, 3)\n g = h -> relu\n output o = add(g, h)\n loss = softmax_loss(o, label)'))).toHaveLength(1)
  })

  test('independent mistakes are told together', () => {
    expect(codes(net('a = x -> convv(3, 3)\n b = y -> conv(0, 3)\n output o = add(x, z)\n metric m = accuracy(x, label, tops: 5)')))
      .toEqual(['call/unknown', 'argument/range', 'name/undefined', 'argument/unknown'])
  })

  test('a value is no layer', () => expect(codes(net('h = x -> relu\n g = y -> h'))).toEqual(['call/value']))
})

describe('if', () => {
  test('as a statement', () => {
    expect(names('h = x\n if 2 > 1 { h = h -> relu } else { h = h -> tanh }')).toEqual(['relu_1'])
    expect(names('h = x\n if 2 < 1 { h = h -> relu }')).toEqual([])
  })

  test('as a value: tensors and numbers', () => {
    expect(names('h = if 1 == 1 { x -> relu } else { x }')).toEqual(['relu_1'])
    expect(layers('h = x -> fc(if 1 != 1 { 2 } else { 3 })')[0]!.attributes).toMatchObject({ out: 3 })
  })

  test('else if', () => {
    expect(names('for i in 0..3 { if i == 0 { x -> relu } else if i == 1 { x -> tanh } else { x -> softmax } }')).toEqual([
      'relu_1',
      'tanh_1',
      'softmax_1',
    ])
  })

  test('a branch of several statements gives its last value', () => {
    expect(inputsOf(layers('h = if true { a = x -> relu\n a -> tanh } else { x }\n g = h -> fc(1)'), 'fc_1')).toEqual(['tanh_1'])
  })

  test.each([
    ['1 < 2', true],
    ['2 <= 2', true],
    ['1 > 2', false],
    ['2 >= 3', false],
    ['1 == 1', true],
    ['1 != 1', false],
    ['not true', false],
    ['true and false', false],
    ['true or false', true],
    ['not false and 1 < 2 or false', true],
    ['1 + 1 == 2 and 3 % 2 == 1', true],
    ['true == true', true],
  ])('%s', (condition, want) => {
    expect(names(`if ${condition} { x -> relu }`)).toHaveLength(want ? 1 : 0)
  })

  test('a branch that is not taken is not evaluated', () => expect(names('h = if true { x } else { x -> fc(1 / 0) }')).toEqual([]))
  test('what is not looked at is not evaluated', () => expect(names('if false and 1 / 0 > 1 { x -> relu }')).toEqual([]))
  test('a condition that is none', () => expect(codes(net('if 3 { x -> relu }'))).toEqual(['if/condition']))
  test('no value', () => expect(codes(net('h = if false { x }'))).toEqual(['if/nothing']))
})

describe('for', () => {
  test('through a list, with a counter', () => {
    expect(layers('for c, i in [16, 32] { x -> fc(c + i) }').map((l) => l.attributes['out'])).toEqual([16, 33])
  })

  test('through a range, its end not included', () => {
    expect(layers('for j in 1..4 { x -> fc(j) }').map((l) => l.attributes['out'])).toEqual([1, 2, 3])
    expect(names('for j in 3..3 { x -> relu }')).toEqual([])
  })

  test('through lists of lists', () => {
    expect(codes(net('for pair in [[1, 2], [3, 4]] { x -> max_pool(pair) }'))).toEqual([])
  })

  test('not through a number', () => expect(codes(net('for i in 3 { x -> relu }'))).toEqual(['for/list']))
  test('a mistake in a loop is told once', () => expect(codes(net('for i in 0..50 { x -> fc(0) }'))).toEqual(['argument/range']))
})

describe('blocks', () => {
  const block = 'block basic(x, planes, stride: 1) {\n  return x -> conv(planes, 3, stride: stride)\n}\n'
  test('by position, by name, with defaults', () => {
    expect(
      program(block + net('h = x -> basic(8) -> basic(4, stride: 2) -> basic(2, 3) -> basic(planes: 1)')).layers.map((
        l,
      ) => [l.attributes['out'], l.attributes['stride']]),
    )
      .toEqual([[8, [1, 1]], [4, [2, 2]], [2, [3, 3]], [1, [1, 1]]])
  })

  test('several tensors', () => {
    const all = program('block join(a, b) { return add(a, b) -> relu }\n' + net('h = join(x, y)\n g = x -> join(y)')).layers
    expect(inputsOf(all, 'join_1.add_1')).toEqual(['x', 'y'])
    expect(inputsOf(all, 'join_2.add_1')).toEqual(['x', 'y'])
  })

  test.each([
    ['too many', 'x -> basic(8, 1, 2)', 'argument/too-many'],
    ['missing', 'x -> basic', 'argument/missing'],
    ['unknown', 'x -> basic(8, strid: 2)', 'argument/unknown'],
    ['twice', 'x -> basic(8, planes: 4)', 'argument/twice'],
  ])('arguments: %s', (_, body, code) => expect(codes(block + net(body))).toEqual([code]))

  test('a block of itself', () => {
    expect(codes('block a(x) { return x -> b }\nblock b(x) { return x -> a }\n' + net('h = x -> a'))).toEqual(['block/recursion'])
  })

  test('a block that returns nothing', () => expect(codes('block a(x) { }\n' + net('h = x -> a'))).toEqual(['block/no-value']))
  test("a block with a layer's name", () => expect(codes('block relu(x) { return x }\n' + net('h = x -> relu'))).toEqual(['block/layer']))
  test('two blocks of a name', () =>
    expect(codes('block a(x) { return x }\nblock a(x) { return x -> relu }\n' + net('h = x -> a'))).toEqual(['block/twice']))
  test('inputs and results belong into the net', () =>
    expect(codes('block a(x) { output o = x\n return x }\n' + net('h = x -> a'))).toEqual(['block/statement']))
  test('a return ends it, from within a condition', () => {
    expect(
      program('block a(x, n) { if n > 1 { return x -> relu }\n return x -> tanh }\n' + net('x -> a(2)\n x -> a(1)')).layers.map((l) =>
        l.op
      ),
    ).toEqual(['relu', 'tanh'])
  })
})

describe('the file', () => {
  test('its name and style', () => {
    expect(program('net n { style split\n input x: f32[1]\n output o = x -> relu }')).toMatchObject({ name: 'n', style: 'split' })
    expect(program('net n { input x: f32[1]\n output o = x -> relu }').style).toBeUndefined()
    expect(codes('net n { style splitt\n input x: f32[1] }')).toEqual(['style/unknown'])
  })

  test('no net, and two', () => {
    expect(codes('')).toEqual(['net/none'])
    expect(codes('net a { input x: f32[1] }\nnet b { input x: f32[1] }')).toEqual(['net/several'])
  })
})

describe('what runs away', () => {
  test.each([
    ['many layers', 'for i in 0..400 { for j in 0..400 { x -> relu } }'],
    ['a long range', 'for i in 0..1000000000 { }'],
    ['many rounds', 'for i in 0..90000 { }\n for i in 0..90000 { for j in 0..90000 { } }'],
  ])('%s', (_, body) => expect(codes(net(body))).toEqual(['limit/too-large']))

  test('blocks that double', () => {
    const blocks = Array.from({ length: 40 }, (_, i) => `block b${i + 1}(x) { return add(x -> b${i}, x -> b${i}) }`).join('\n')
    expect(codes(`block b0(x) { return x }\n${blocks}\n${net('h = x -> b40')}`)).toEqual(['limit/too-large'])
  })

  test('blocks that double and hold no layer', () => {
    const blocks = Array.from({ length: 40 }, (_, i) => `block b${i + 1}(x) { y = x -> b${i}\n return y -> b${i} }`).join('\n')
    expect(codes(`block b0(x) { return x }\n${blocks}\n${net('h = x -> b40')}`)).toEqual(['limit/too-large'])
  })

  test('a list that doubles', () => {
    expect(
      codes(net(`l0 = [1, 1]\n ${Array.from({ length: 40 }, (_, i) => `l${i + 1} = [l${i}, l${i}]`).join('\n')}\n x -> reshape(l40)`))
        .length,
    ).toBeGreaterThan(0)
  })

  test('brackets without end', () => {
    for (
      const text of [
        '('.repeat(20_000),
        '['.repeat(20_000),
        `h = ${'relu('.repeat(20_000)}`,
        `h = ${'-'.repeat(20_000)}1`,
        `h = ${'if true { '.repeat(20_000)}`,
      ]
    ) {
      expect(codes(net(text)).length).toBeGreaterThan(0)
    }
  })
})

describe('classes by their names', () => {
  const label = (type: string): string => `n = 3\nnet f {\n input x: f32[4]\n input label: ${type}\n output y = x -> fc(n)\n}`

  test('words of every kind and texts in quotes, in their order; a label a pixel as well', () => {
    const { inputs } = program(
      'net f { input a: class[cat, train, true, "sea lion", "7", constructor] input b: class[no, yes][8, 8] output y = a }',
    )
    expect(inputs.map(({ classes, classNames, shape }) => ({ classes, classNames, shape }))).toEqual([
      { classes: 6, classNames: ['cat', 'train', 'true', 'sea lion', '7', 'constructor'], shape: [] },
      { classes: 2, classNames: ['no', 'yes'], shape: [8, 8] },
    ])
  })

  test('one word is the name of a number', () => {
    expect(program(label('class[n]')).inputs[1]).toMatchObject({ classes: 3 })
    expect(program(label('class[n]')).inputs[1]!.classNames).toBeUndefined()
    expect(program(label('class[n, m]')).inputs[1]!.classNames).toEqual(['n', 'm'])
  })

  test.each([
    ['one name', 'class[cat]', 'input/one-class', 'cat'],
    ['one text', 'class["cat"]', 'input/one-class', '"cat"'],
    ['a name twice', 'class[cat, dog, cat]', 'input/class-twice', 'cat'],
    ['a number among names', 'class[cat, 3]', 'input/class-names', '3'],
    ['arithmetic among names', 'class[1 + 2, cat]', 'input/class-names', '1 + 2'],
    ['an empty name', 'class[cat, " "]', 'input/class-names', '" "'],
    ['a control character', 'class[cat, "\u001b[31mdog"]', 'input/class-names', '"\u001b[31mdog"'],
    ['two words', 'class[sea lion, dog]', 'syntax/unexpected', 'lion'],
    ['names for a shape', 'class[cat, dog][cat, dog]', 'name/undefined', 'cat'],
    ['names for numbers', 'f32[cat, dog]', 'name/undefined', 'cat'],
    ['two numbers', 'class[10, 20]', 'input/classes', 'input label: class[10, 20]'],
  ])('%s', (_, type, code, at) => {
    const found = mistakes(label(type))
    expect(found[0]!.code).toBe(code)
    expect(underlined(found[0]!)).toBe(at)
  })
})

test.each([
  ['loss loss = a', "'loss' is a word of the language: loss = ..."],
  ['output output = a', "'output' is a word of the language: output NAME = ..."],
  ['metric for = a', "'for' is a word of the language: metric NAME = ..."],
  ['metric (a)', 'a result is written metric NAME = ...'],
  ['loss a b = a', 'a result is written loss a = ...'],
  ['output a\n loss = a', 'a result is written output a = ...; of a value of that name, output a = a'],
])('%s: the hint says how a result is written', (line, hint) => {
  expect(mistakes(`net n {\n input x: f32[4]\n a = x -> relu\n ${line}\n}`)[0]!.hint).toBe(hint)
})

test.each([
  ['class(10)', 'class[10]'],
  ['class(cat, dog)', 'class[cat, dog]'],
  ['class()', 'class[10]'],
  ['f32(3, 8, 8)', 'f32[3, 8, 8]'],
])('input a: %s: one error, with the brackets', (type, mend) => {
  const found = mistakes(`net n {\n input x: f32[4]\n input a: ${type}\n output y = x -> relu\n}`)
  expect(found.map((d) => [d.code, underlined(d)])).toEqual([['syntax/unexpected', '(']])
  expect(found[0]!.hint).toBe(`what stands behind ${type.split('(')[0]} stands in brackets: ${mend}`)
})

describe('a statement that is a value', () => {
  const told = (body: string) => mistakes(net(body)).map((d) => [d.code, underlined(d), d.message, d.hint])

  // Each is the end of the statement before, as it was meant: it must not be passed over.
  test.each([
    ['h = x -> relu - 0.5\n output o = h', '- 0.5', 'nothing is done with -0.5', 'a number is subtracted by a layer: -> sub(0.5)'],
    ['output o = x -> fc(2) as fc-1', '-1', 'nothing is done with -1', 'names consist of letters, digits and _: as fc_1'],
    ['output o = x -> fc(2) 3', '3', 'nothing is done with 3', expect.stringContaining('missing in front of it?')],
    ['k = 2 k + 1\n output o = x -> fc(k)', 'k + 1', 'nothing is done with 3', expect.stringContaining('missing in front of it?')],
    ['h = x[0]\n output o = h', '[0]', 'nothing is done with a list of 1', expect.stringContaining('slice(x, axis, from, to)')],
    ['h = x -> relu\n h', 'h', 'nothing is done with a tensor', 'a net gives out: output NAME = h'],
    ['if true { 3 }\n output o = x -> relu', '3', 'nothing is done with 3', expect.stringContaining('missing in front of it?')],
  ])('%s', (body, at, message, hint) => {
    expect(told(body)).toEqual([['statement/idle', at, message, hint]])
  })

  test('stands at the end of a branch whose value is wanted, and is a layer else', () => {
    expect(told('output o = x -> fc(if true { k = 2\n k + 1 } else { 4 })\n x -> relu')).toEqual([])
  })
})

test.each([
  ['net my-net { input x: f32[3]\n output o = x -> relu }', 'my_net'],
  ['net n { input left-eye: f32[3]\n output o = eye -> relu }', 'left_eye'],
  ['net n { input x: f32[3]\n output the-end = x -> relu }', 'the_end'],
  ['net n { input x: f32[3]\n a-b = x -> relu\n output o = x }', 'a_b'],
  ['block b-1(v) { return v }\nnet n { input x: f32[3]\n output o = x }', 'b_1'],
  ['net n { input x: f32[3]\n output o = x -> relu as "the 1" }', 'the_1'],
])('%s: a name that is none', (text, name) => {
  const [first] = mistakes(text)
  expect(first!.hint).toMatch(new RegExp(`^names .*: ${name}$`))
})
