import { describe, expect, test } from 'vitest'
import type { Diagnostic } from '../../dsl/diagnostic.ts'
import { evaluate, parse } from '../../dsl/index.ts'
import { codes, load, mistakes, net, underlined } from './programs.ts'
import { vocabulary } from './vocabulary.ts'

const good = net('output o = x -> relu')

describe('what is never expanded is checked too', () => {
  test.each([
    ['an unknown layer in a block that nobody calls', 'block a(x) { return x -> cnov(3, 3) }', 'call/unknown', 'cnov'],
    ['an unknown name', 'block a(x) { return add(x, z) }', 'name/undefined', 'z'],
    ['an unknown argument', 'block a(x) { return x -> conv(3, 3, strid: 2) }', 'argument/unknown', 'strid'],
    ['too many arguments', 'block a(x) { return x -> relu(3) }', 'argument/too-many', '3'],
    ['a missing argument', 'block a(x) { return x -> conv(3) }', 'argument/missing', 'conv(3)'],
    ['an argument twice', 'block a(x) { return x -> fc(3, out: 4) }', 'argument/twice', 'out: 4'],
    ['a parameter twice', 'block a(x, x) { return x }', 'name/taken', 'x'],
    ['a name of another block', 'block a(x) { y = x -> relu\n return y }\nblock b(x) { return add(x, y) }', 'name/undefined', 'y'],
    ['within a loop', 'block a(x) { for i in 0..3 { x = x -> rellu }\n return x }', 'call/unknown', 'rellu'],
    ['within an argument', 'block a(x) { return x -> fc(if true { k } else { 3 }) }', 'name/undefined', 'k'],
    ['within a default', 'block a(x, n: m) { return x -> fc(n) }', 'name/undefined', 'm'],
    ['within a name', 'block a(x) { return x -> relu as r{i} }', 'name/undefined', 'i'],
  ])('%s', (_, block, code, at) => {
    const found = mistakes(`${block}\n${good}`)
    expect(found.map((d) => d.code)).toEqual([code])
    expect(underlined(found[0]!)).toBe(at)
  })

  test('branches that are not taken, loops that do not run', () => {
    expect(codes(net('if false { h = x -> rellu }\n for i in 0..0 { x -> tahn }\n output o = x'))).toEqual(['call/unknown', 'call/unknown'])
  })

  test('what only a value tells is not guessed at', () => {
    const block = `block a(x, n, w) {
      k = if n > 0 { 8 / n } else { 1 }
      y = x -> conv(k, 3, pad: same, weights: w) -> batch_norm(style: split, stats: moving(n)) -> gelu(tanh) -> max_pool(2, round: ceil)
      return concat(y, x, n) }`
    expect(codes(`${block}\n${good}`)).toEqual([])
  })

  test('what is told where it is expanded is not told again', () => {
    expect(codes(`block a(x) { return relu(x, x) -> conv(3) -> add }\n${net('h = x -> a')}`)).toEqual([
      'values/too-many',
      'argument/missing',
      'values/too-few',
    ])
  })
})

describe('no mistake follows from another', () => {
  test.each([
    ['a size', 'input z: f32[0]\n h = add(z, x) -> relu', 'input/size'],
    ['a condition', 'if x { h = x -> relu } else { h = x }\n output o = h', 'if/condition'],
    ['what a loop goes through', 'for i in nothing { h = x -> fc(i) }\n output o = h', 'name/undefined'],
    ['a name with a part that is unknown', 'h = x -> relu as r{i}\n output o = h', 'name/undefined'],
    ['a block that lacks something', 'h = x -> wide\n output o = h', 'argument/missing'],
    ['a number', 'k = 1 / 0\n h = x -> fc(k) -> fc(k + 1)\n for i in 0..k { h = h -> fc(i) }', 'arithmetic/zero'],
    ['a layer that is none', 'h = x -> nothing(-> , x)', 'syntax/unexpected'],
  ])(
    '%s',
    (_, body, code) => expect(codes(`block wide(x, n) { return x -> fc(n) }\n${net(`${body}\n k2 = x -> wide(3)`)}`)).toEqual([code]),
  )

  test('one misspelling in several places is one mistake', () => {
    const [value, layer, ...rest] = mistakes(net('a = z -> relu\n b = add(z, y) -> rellu\n output o = b -> rellu -> rellu'))
    expect(rest).toEqual([])
    expect(value).toMatchObject({ code: 'name/undefined', labels: [{ text: 'here' }, { text: 'and here' }] })
    expect(layer).toMatchObject({ code: 'call/unknown', labels: [{}, {}, {}] })
  })

  test('a block whose file is missing', () => {
    expect(codes(`import "./a.net"\n${net('h = x -> theirs(3) -> relu\n output o = add(h, theirs(y, 4))')}`)).toEqual(['import/missing'])
  })

  test('a block with a syntax error in its head', () => {
    expect(codes(`block wide x, n) { return x -> fc(n) }\n${net('h = x -> wide(3)')}`)).toEqual(['syntax/unexpected'])
  })

  test('a net with a syntax error in its head', () =>
    expect(codes('net { input x: f32[1]\n output o = x }')).toEqual(['syntax/unexpected']))
  test('a solver with a syntax error', () =>
    expect(codes(`${net('loss = softmax_loss(x, label)')}train {\n  solver sgd(lr 0.1)\n}`)).toEqual(['syntax/unexpected']))
})

describe('what is said beside it', () => {
  const first = (text: string): Diagnostic => mistakes(text)[0]!

  test.each([
    ["another framework's word", 'h = x -> conv(8, kernel_size: 3)', '`kernel`'],
    ["another framework's word for a shorter one", 'h = x -> conv(out_channels: 8, kernel: 3)', '`out`'],
    ['a word refused for a reason', 'h = x -> batch_norm(stats: moving(momentum: 0.9))', 'say newest'],
    ['an argument of an argument', 'h = x -> batch_norm(newest: 0.9)', 'stats: moving(newest: ...)'],
    ['an argument of a layer that takes none', 'h = x -> relu(slope: 1)', 'takes no arguments'],
    ['a forgotten arrow', 'h = x -> fc(3)\n  relu', "'->' missing"],
    ['a tensor forgotten', 'h = add(fc(3), y)', 'write x -> fc(...)'],
    ['a fraction', 'h = x -> fc(7 / 2)', 'rounds nothing'],
    ['the batch', 'input z: f32[-1, 3]', 'the batch is implied'],
    ['a loop through a number', 'for i in 3 { x -> relu }', 'for i in 0..3'],
    ["a layer's name for a value", 'h = x -> relu as r\n g = r -> tanh', 'NAME = ... as r'],
    ['another name for a value', 'h = x as z', 'z = x'],
    ['a sum of tensors', 'h = x + y', 'add(x, y)'],
    ['one name in a loop', 'for i in 0..2 { x -> relu as r }', 'as r{i}'],
  ])('%s', (_, body, hint) => expect(first(net(body)).hint).toContain(hint))

  test('where a name gets its value instead', () => {
    const [later] = mistakes(net('h = z -> relu\n z = x -> tanh'))
    expect(later!.labels[1]).toMatchObject({ text: 'gets its value later' })
    const [elsewhere] = mistakes(net('if false { z = x -> relu }\n output o = z'))
    expect(elsewhere!.labels[1]!.text).toContain('was not run')
  })
})

describe('a train block', () => {
  test('wants a loss', () => {
    const [missing, ...rest] = mistakes(`${good}train { solver sgd(lr: 0.1) }`)
    expect(rest).toEqual([])
    expect(missing).toMatchObject({ code: 'train/loss', labels: [{}, { text: 'trained here' }] })
  })

  test('every epoch is every 1 epoch', () => {
    const { program } = load(
      `${net('loss = softmax_loss(x -> fc(3), label)')}train { solver sgd(lr: 0.1) test every epoch snapshot every step }`,
    )
    expect(program!.train).toMatchObject({ test: { count: 1, unit: 'epochs' }, snapshot: { count: 1, unit: 'steps' } })
  })

  test.each([
    ['batch_size 10', '`batch`'],
    ['max_iter 100', '`steps`'],
    ['gamma 0.1', 'schedule step(gamma: 0.1)'],
    ['test 2', 'test every 2'],
    ['augment mirror -> crop(28)', 'augment mirror, crop(28)'],
    ['schedule cosine, warmup(5)', '->'],
  ])('%s', (entry, hint) => {
    const [found] = mistakes(`${net('loss = softmax_loss(x -> fc(3), label)')}train { solver sgd(lr: 0.1)\n ${entry} }`)
    expect(found!.hint).toContain(hint)
  })
})

describe('warnings, where there are no errors', () => {
  const warnings = (text: string): string[] => load(text).diagnostics.map((d) => `${d.severity} ${d.code} ${underlined(d)}`)

  test('what is there for nothing', () => {
    expect(warnings(`block a(x, n) { return x -> relu }\nblock b(x) { return x }\n${net('k = 3\n output o = x -> a(1)')}`))
      .toEqual(['warning name/unused n', 'warning block/unused b', 'warning name/unused k'])
  })

  test('what is read in a name, a default or a branch not taken is read', () => {
    expect(warnings(`block a(x, n, m: n) { return x -> fc(m) as f{n} }\n${net('k = 3\n if false { x -> fc(k) }\n output o = x -> a(1)')}`))
      .toEqual([])
  })

  test('blocks of an imported file are there for others', () => {
    expect(load(`import "./a.net"\n${good}`, { 'a.net': 'block a(x) { return x -> relu }' }).diagnostics).toEqual([])
  })

  test('none beside an error', () => expect(codes(net('k = 3\n h = x -> fc(0)'))).toEqual(['argument/range']))
})

describe('trees', () => {
  test('what could be read is there, the rest is marked', () => {
    const { ast, diagnostics } = parse({
      file: 'a.net',
      text: 'net n {\n  input x: f32[1]\n  h = x -> conv(3\n  output o = x -> relu\n}\ntrain {\n  batch = 3\n  seed 4\n}\n',
    })
    expect(diagnostics).toHaveLength(2)
    expect(ast.nets[0]!.body.map((s) => s.kind)).toEqual(['input', 'broken', 'result'])
    expect(ast.trains[0]!.entries.map((e) => e.key.text)).toEqual(['seed'])
    expect(ast.trains[0]!.broken).toHaveLength(1)
  })

  test('a tree with gaps has mistakes, and no program', () => {
    const { ast } = parse({ file: 'a.net', text: 'net n {\n  input x: f32[1]\n  h = x -> conv(3\n  output o = x -> reluu\n}\n' })
    const { program, diagnostics } = evaluate(ast, vocabulary)
    expect(program).toBeUndefined()
    expect(diagnostics.map((d) => d.code)).toEqual(['call/unknown'])
  })

  test('a whole one has a program', () => expect(evaluate(parse({ file: 'a.net', text: good }).ast, vocabulary).program!.name).toBe('test'))
})

describe('what would exhaust a stack', () => {
  test('deep bodies in deep blocks', () => {
    const deep = (inner: string): string => `${'if true { '.repeat(40)}${inner}${' } else { x }'.repeat(40)}`
    const blocks = Array.from({ length: 60 }, (_, i) => `block b${i + 1}(x) { return ${deep(`x -> b${i}`)} }`).join('\n')
    expect(codes(`block b0(x) { return x }\n${blocks}\n${net('h = x -> b60')}`)).toEqual(['limit/too-large'])
  })

  test('files that import each other in a long row', () => {
    const files = Object.fromEntries(
      Array.from({ length: 500 }, (_, i) => [`f${i}.net`, `import "./f${i + 1}.net"\nblock b${i}(x) { return x -> relu }`]),
    )
    expect(codes(`import "./f0.net"\n${net('h = x -> b0 -> b499')}`, { ...files, 'f500.net': '' })).toEqual([])
  })
})

test('very many mistakes do not take very long', () => {
  const found = codes(net(Array.from({ length: 5_000 }, (_, i) => `h${i} = missing${i} -> reluu${i}`).join('\n')))
  expect(found).toHaveLength(10_000)
})

test.each([
  ['concat([x, x], axis: 1)', 'concat(x, x, axis: 1)'],
  ['add([x, x -> relu])', 'add(x, x -> relu)'],
  ['[x, x] -> concat', 'concat(x, x)'],
])('tensors in brackets, %s: the hint is without them', (value, written) => {
  expect(mistakes(net(`output o = ${value}`)).map(({ code, hint }) => [code, hint])).toEqual([['argument/kind', `write ${written}`]])
})
