import { describe, expect, test } from 'vitest'
import { codes, layers, load, mistakes, net, underlined } from './programs.ts'

const attributes = (call: string): object => layers(`h = x -> ${call}`).at(-1)!.attributes

describe('what arguments become', () => {
  test.each([
    ['defaults are filled in, optional ones left out', 'conv(8, 3)', {
      out: 8,
      kernel: [3, 3],
      stride: [1, 1],
      pad: [0, 0],
      bias: true,
      lr_mult: [1, 1],
    }],
    ['a window of one number and of two', 'max_pool([3, 5], 2)', { kernel: [3, 5], stride: [2, 2], round: 'floor' }],
    ['by name, in any order', 'max_pool(stride: 1, kernel: 2)', { kernel: [2, 2], stride: [1, 1], round: 'floor' }],
    ['a word', 'max_pool(2, round: ceil)', { kernel: [2, 2], round: 'ceil' }],
    ['a word that is a layer too', 'gelu(approximate: tanh)', { approximate: 'tanh' }],
    ['a word that is a layer too, by position', 'gelu(tanh)', { approximate: 'tanh' }],
    ['a call', 'batch_norm(stats: moving(newest: 0.95))', { eps: 1e-5, stats: { call: 'moving', args: { newest: 0.95 } } }],
    ['a call by position', 'batch_norm(stats: moving(0.95))', { eps: 1e-5, stats: { call: 'moving', args: { newest: 0.95 } } }],
    ['a call without arguments', 'batch_norm(stats: cumulative)', { eps: 1e-5, stats: { call: 'cumulative', args: {} } }],
    ['a call without arguments has defaults', 'batch_norm(stats: moving)', {
      eps: 1e-5,
      stats: { call: 'moving', args: { newest: 0.05 } },
    }],
    ['another name for an argument', 'batch_norm(stats: moving(decay: 0.9))', {
      eps: 1e-5,
      stats: { call: 'moving', args: { newest: 0.9 } },
    }],
    ['a reserved word for a name', 'batch_norm(style: split)', {
      eps: 1e-5,
      stats: { call: 'moving', args: { newest: 0.05 } },
      style: 'split',
    }],
    ['a number where a filler is meant', 'fc(2, weight_init: 0.5)', {
      out: 2,
      bias: true,
      lr_mult: [1, 1],
      weight_init: { call: 'constant', args: { value: 0.5 } },
    }],
    ['small and negative numbers', 'clip(-1.5, 5e-4)', { lo: -1.5, hi: 5e-4 }],
    ['an exponent', 'batch_norm(1e-10)', { eps: 1e-10, stats: { call: 'moving', args: { newest: 0.05 } } }],
    ['arithmetic', 'clip(1 + 2 * 3 - 4 / 2, -(7 % 4))', { lo: 5, hi: -3 }],
    ['a list', 'reshape([2, -1])', { shape: [2, -1] }],
    ['a number for a list', 'reshape(-1)', { shape: [-1] }],
    ['a text', 'label_of("a b")', { text: 'a b' }],
    ['true and false', 'fc(2, false)', { out: 2, bias: false, lr_mult: [1, 1] }],
    ['a condition', 'fc(if 1 < 2 and not false { 3 } else { 4 })', { out: 3, bias: true, lr_mult: [1, 1] }],
  ])('%s', (_, call, want) => expect(attributes(call)).toEqual(want))

  test('a window may be a word', () => expect(attributes('conv(8, 3, pad: same)')).toMatchObject({ pad: 'same' }))

  test('a layer by name', () => {
    const [, second] = layers('a = x -> fc(2) as first\n b = y -> fc(2, weights: first)')
    expect(second!.attributes).toMatchObject({ weights: 'first' })
  })

  test("a layer by name inside a block is the block's own first", () => {
    const { program } = load('block twice(x) { return add(x -> fc(2) as own, x -> fc(2, weights: own)) }\n' + net('h = x -> twice as b'))
    expect(program!.layers[1]!.attributes).toMatchObject({ weights: 'b.own' })
  })
})

describe('what is wrong with arguments', () => {
  test.each([
    ['unknown', 'conv(8, 3, strid: 2)', 'argument/unknown', 'strid'],
    ['missing', 'conv(8)', 'argument/missing', 'conv(8)'],
    ['twice', 'conv(8, 3, out: 4)', 'argument/twice', 'out: 4'],
    ['too many', 'clip(0, 1, 2)', 'argument/too-many', '2'],
    ['no integer', 'fc(2.5)', 'argument/kind', '2.5'],
    ['no number', 'clip(0, true)', 'argument/kind', 'true'],
    ['too small', 'fc(0)', 'argument/range', '0'],
    ['too large', 'dropout(1.5)', 'argument/range', '1.5'],
    ['a window too small', 'max_pool(0)', 'argument/range', '0'],
    ['a window of three', 'max_pool([1, 2, 3])', 'argument/kind', '[1, 2, 3]'],
    ['a list of another length', 'fc(2, lr_mult: [1, 2, 3])', 'argument/kind', '[1, 2, 3]'],
    ['a list of no integers', 'reshape([0.5])', 'argument/kind', '[0.5]'],
    ['another word', 'max_pool(2, round: cell)', 'argument/word', 'cell'],
    ['another call', 'batch_norm(stats: movin(0.9))', 'argument/unknown-call', 'movin'],
    ['a call with an unknown argument', 'batch_norm(stats: moving(newst: 0.9))', 'argument/unknown', 'newst'],
    ['no text', 'label_of(3)', 'argument/kind', '3'],
    ['a tensor where a number is meant', 'fc(y)', 'argument/kind', 'y'],
  ])('%s', (_, call, code, at) => {
    const found = mistakes(net(`h = x -> ${call}`))
    expect(found.map((d) => d.code)).toEqual([code])
    expect(underlined(found[0]!)).toContain(at)
  })

  test.each([
    ['conv(8, 3, strid: 2)', '`stride`'],
    ['max_pool(2, round: cell)', '`ceil`'],
    ['batch_norm(stats: movin(0.9))', '`moving`'],
    ['convv(8, 3)', '`conv`'],
  ])('%s: did you mean %s?', (call, meant) => expect(mistakes(net(`h = x -> ${call}`))[0]!.hint).toContain(meant))

  test('several of one call are told together', () => {
    expect(codes(net('h = x -> conv(0, 3, strid: 2, pad: [1, 2, 3])')).sort()).toEqual([
      'argument/kind',
      'argument/range',
      'argument/unknown',
    ])
  })
})

test('an argument that is given twice, once without a name: the hint says which one that was', () => {
  const [found] = mistakes(`${net('h = x -> relu')}\ntrain { solver sgd(lr: 0.1)\n schedule multistep([30, 60], gamma: 0.1) }`)
  expect(found!.hint).toContain('argument 1 without a name is gamma: write multistep(gamma')
})
