import { describe, expect, test } from 'vitest'
import { codes, inputsOf, layers, mistakes, names, net, program, underlined } from './programs.ts'

describe('calls', () => {
  test('a chain and a call are one thing', () => {
    const plain = ({ name, op, inputs, attributes }: ReturnType<typeof layers>[number]): object => ({ name, op, inputs, attributes })
    expect(layers('h = conv(x, 20, 5)').map(plain)).toEqual(layers('h = x -> conv(20, 5)').map(plain))
  })

  test('each link works on what stands before it', () => {
    const all = layers('h = x -> conv(8, 3) -> relu -> max_pool(2)')
    expect(all.map((l) => l.op)).toEqual(['conv', 'relu', 'max_pool'])
    expect(inputsOf(all, 'relu_1')).toEqual(['conv_1'])
    expect(inputsOf(all, 'max_pool_1')).toEqual(['relu_1'])
  })

  test('a bare word is a call without arguments', () => {
    expect(layers('h = relu(x)')[0]!.attributes).toEqual({})
    expect(layers('h = x -> batch_norm')[0]!.attributes).toEqual(layers('h = batch_norm(x)')[0]!.attributes)
  })

  test('tensors first, then parameters, then names', () => {
    const all = layers('a = relu(x)\n b = concat(a, y, 2)\n c = x -> concat(y, a, axis: 3)')
    expect(inputsOf(all, 'concat_1')).toEqual(['relu_1', 'y'])
    expect(all[1]!.attributes).toEqual({ axis: 2 })
    expect(inputsOf(all, 'concat_2')).toEqual(['x', 'y', 'relu_1'])
    expect(all[2]!.attributes).toEqual({ axis: 3 })
  })

  test('calls within calls', () => {
    const all = layers('h = add(relu(x), y -> conv(4, 3, pad: 1) -> relu)')
    expect(all.map((l) => l.name)).toEqual(['relu_1', 'conv_1', 'relu_2', 'add_1'])
    expect(inputsOf(all, 'add_1')).toEqual(['relu_1', 'relu_2'])
  })

  test('a tensor by name is one more input', () => {
    const all = layers('m = relu(y)\n h = x -> gate(0.5, mask: m)')
    expect(inputsOf(all, 'gate_1')).toEqual(['x', 'relu_1'])
    expect(all[1]!.attributes).toEqual({ p: 0.5 })
  })

  test('a value may have the name of a layer', () => {
    const all = layers('relu = x -> relu\n h = relu -> tanh')
    expect(inputsOf(all, 'tanh_1')).toEqual(['relu_1'])
  })

  test('spans: the call without what stands before it, each input, each argument', () => {
    const text = net('h = x -> conv(8, 3, stride: 2) as c')
    const at = (span: { start: number; end: number }): string => text.slice(span.start, span.end)
    const [conv] = program(text).layers
    expect(at(conv!.span)).toBe('conv(8, 3, stride: 2)')
    expect(conv!.inputSpans.map(at)).toEqual(['x'])
    expect(at(conv!.attributeSpans['out']!)).toBe('8')
    expect(at(conv!.attributeSpans['stride']!)).toContain('stride: 2')
    expect(conv!.attributeSpans['pad']).toBeUndefined()
  })

  test.each([
    ['no tensor', 'h = relu()', 'relu()'],
    ['one where two are joined', 'h = x -> add', 'add'],
    ['a number where a tensor is meant', 'h = relu(3)', '3'],
  ])('%s', (_, body, at) => {
    const [first, ...rest] = mistakes(net(body))
    expect(rest).toEqual([])
    expect(underlined(first!)).toBe(at)
  })
})

describe('names of layers', () => {
  test('by operator and order, each operator for itself', () => {
    expect(names('h = x -> conv(8, 3) -> relu -> conv(8, 3) -> relu')).toEqual(['conv_1', 'relu_1', 'conv_2', 'relu_2'])
  })

  test('as, behind a link and behind a call', () => {
    expect(names('h = x -> conv(8, 3) as c1 -> relu as r\n g = fc(h, 10) as head')).toEqual(['c1', 'r', 'head'])
  })

  test('a name that was chosen keeps its operator out of the count', () => {
    expect(names('h = x -> relu as r -> relu')).toEqual(['r', 'relu_1'])
  })

  test('blocks: inside their names, each instance counts for itself', () => {
    const block = 'block two(x, c) { return x -> conv(c, 3) -> relu -> conv(c, 3) }\n'
    const all = program(block + net('h = x -> two(4) as stage -> two(8) -> two(8) -> conv(1, 1)')).layers
    expect(all.map((l) => l.name)).toEqual([
      'stage.conv_1',
      'stage.relu_1',
      'stage.conv_2',
      'two_1.conv_1',
      'two_1.relu_1',
      'two_1.conv_2',
      'two_2.conv_1',
      'two_2.relu_1',
      'two_2.conv_2',
      'conv_1',
    ])
  })

  test('blocks within blocks', () => {
    const blocks = 'block inner(x) { return x -> relu }\nblock outer(x) { return x -> inner -> inner -> relu }\n'
    expect(program(blocks + net('h = x -> outer as a')).layers.map((l) => l.name)).toEqual([
      'a.inner_1.relu_1',
      'a.inner_2.relu_1',
      'a.relu_1',
    ])
  })

  test('one part of a net does not rename another', () => {
    const block = 'block head(x) { return x -> relu -> fc(3) }\n'
    const before = program(block + net('h = x -> head as a')).layers.map((l) => l.name)
    const after = program(block + net('g = y -> relu -> fc(9)\n h = x -> head as a')).layers.map((l) => l.name)
    expect(after).toEqual(expect.arrayContaining(before))
  })

  test('a counter in a name', () => {
    expect(names('h = x\n for c, i in [4, 8] { for j in 0..2 { h = h -> conv(c, 3) as stage{i}_{j} } }')).toEqual([
      'stage0_0',
      'stage0_1',
      'stage1_0',
      'stage1_1',
    ])
  })

  test('two layers of one name', () => {
    const [taken, ...rest] = mistakes(net('h = x -> relu as r -> relu as r'))
    expect(rest).toEqual([])
    expect(taken).toMatchObject({ code: 'name/taken', labels: [{}, {}] })
    expect(underlined(taken!)).toBe('r')
  })

  test('a name that another layer would have gotten', () => {
    expect(names('h = x -> relu as relu_1 -> relu')).toEqual(['relu_1', 'relu_2'])
  })

  test('a name that another layer got already', () => {
    expect(codes(net('h = x -> relu -> relu as relu_1'))).toEqual(['name/taken'])
  })

  test('blocks around a layer, innermost first', () => {
    const text = 'block inner(x) { return x -> relu }\nblock outer(x) { return x -> inner }\n' + net('h = x -> outer()')
    expect(program(text).layers[0]!.expandedFrom.map((span) => text.slice(span.start, span.end))).toEqual(['inner', 'outer()'])
  })
})
