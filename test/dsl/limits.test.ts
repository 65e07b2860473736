import { describe, expect, test } from 'vitest'
import { load } from '../../dsl/index.ts'
import { codes, mistakes, net, program } from './programs.ts'

const WORDS = ['constructor', 'toString', 'hasOwnProperty', 'valueOf', '__proto__']

describe.each(WORDS)('%s is a word like any other', (word) => {
  test.each([
    ['an argument', net(`output o = x -> fc(3, ${word}: 3)`), ['argument/unknown']],
    ['a layer', net(`output o = x -> ${word}(3)`), ['call/unknown']],
    ['a word', net(`output o = x -> conv(3, 3, pad: ${word})`), ['argument/word']],
    ['a setting', `${net('output o = x -> fc(3)\n loss = softmax_loss(o, label)')}train { solver sgd(lr: 0.1) ${word} 3 }`, [
      'train/unknown',
    ]],
    ['a solver', `${net('output o = x -> fc(3)\n loss = softmax_loss(o, label)')}train { solver ${word}(lr: 0.1) }`, [
      'argument/unknown-call',
    ]],
    ['a schedule', `${net('output o = x -> fc(3)\n loss = softmax_loss(o, label)')}train { solver sgd(lr: 0.1) schedule ${word}(3) }`, [
      'argument/unknown-call',
    ]],
    ['a style', net(`style ${word}\n output o = x -> fc(3)`), ['style/unknown']],
  ])('%s', (_, text, want) => {
    const found = mistakes(text)
    expect(found.map((d) => d.code)).toEqual(want)
    expect(found[0]!.hint ?? '').not.toMatch(/native code|\[object/)
  })

  test('a value', () => expect(codes(net(`${word} = x -> fc(3)\n output o = ${word}`))).toEqual([]))
})

test.each(['constructor', 'toString', 'hasOwnProperty'])('a layer, an input and an output may be called %s', (word) => {
  const { layers, inputs } = program(`net n { input ${word}: f32[3] output o = ${word} -> fc(3) as ${word} }`)
  expect([layers[0]!.name, inputs[0]!.name]).toEqual([word, word])
})

test.each(['__proto__', '__metadata__'])('%s names nothing', (word) => {
  expect(codes(`net n { input ${word}: f32[3] }`)).toContain('name/reserved')
  expect(codes(net(`output o = x -> fc(3) as ${word}`))).toEqual(['name/reserved'])
  expect(codes(net(`output ${word} = x -> fc(3)`))).toEqual(['name/reserved'])
})

describe('what would go on and on is told', () => {
  test.each([
    ['a range', net('for i in 0..4000000000 { y = x -> fc(3) }\n output o = x -> fc(3)'), 'limit/too-large'],
    ['loops within loops', net('for i in 0..99000 { for j in 0..99000 { y = 3 } }\n output o = x -> fc(3)'), 'limit/too-large'],
    ['loops within each other', net(`${'for i in 0..1 { '.repeat(600)}y = 3${' }'.repeat(600)}\n output o = x -> fc(3)`), 'limit/nesting'],
    ['conditions within each other', net(`${'if true { '.repeat(600)}y = 3${' }'.repeat(600)}\n output o = x -> fc(3)`), 'limit/nesting'],
    ['a name', net(`output o = x -> fc(3) as ${'q'.repeat(5000)}`), 'limit/too-large'],
  ])('%s', (_, text, code) => expect(codes(text)).toEqual([code]))

  test('words of a megabyte are cut in messages', () => {
    const [found] = mistakes(net(`output o = x -> ${'q'.repeat(1_000_000)}`))
    expect(found!.message).toBe(`there is no layer or block ${'q'.repeat(50)}...${'q'.repeat(15)}`)
  })
})

describe('many imports', () => {
  const chain = (length: number, last: string) => (path: string) => {
    const i = Number(path.slice(1))
    return i < length ? { file: path, text: `import "f${i + 1}"` } : { file: path, text: last }
  }
  test('one after the other', () => {
    const loaded = load({ file: 'main', text: 'import "f0"' }, chain(4000, 'block last(x) { return x }'))
    expect([loaded.imports.length, loaded.diagnostics]).toEqual([4001, []])
  })
  test('in a circle', () => {
    const { diagnostics } = load({ file: 'f0', text: 'import "f1"' }, chain(2000, 'import "f0"'))
    expect(diagnostics.map((d) => [d.code, d.message])).toEqual([[
      'import/cycle',
      'f0 imports f1 imports f2 imports ... imports f1999 imports f2000 imports f0: none of them can be read first',
    ]])
  })
})
