import { describe, expect, test } from 'vitest'
import { check } from '../../../compiler/index.ts'
import type { ModelLayer } from '../../../import/model-net.ts'
import { writeNet } from '../../../import/write/write-net.ts'
import { layer, netOf } from './layers.ts'

const conv = (name: string, input: string, out: number, more: Record<string, number | boolean> = {}): ModelLayer =>
  layer('conv', name, [input], { arguments: { out, kernel: 3, pad: 1, bias: false, ...more } })
const bn = (name: string, input: string): ModelLayer => layer('batch_norm', name, [input], { arguments: { eps: 1e-5 } })
const relu = (name: string, input: string): ModelLayer => layer('relu', name, [input])

/** Residual blocks as PyTorch names them. */
function residual(name: string, input: string, out: number): ModelLayer[] {
  const at = (own: string): string => `${name}.${own}`
  return [
    conv(at('conv1'), input, out),
    bn(at('bn1'), at('conv1')),
    relu(at('relu'), at('bn1')),
    conv(at('conv2'), at('relu'), out),
    bn(at('bn2'), at('conv2')),
    layer('add', at('add'), [at('bn2'), input]),
    relu(at('out'), at('add')),
  ]
}

describe('blocks', () => {
  test('modules that are equal but for numbers become one, with the names of their parameters', () => {
    const layers = [conv('stem', 'image', 8), ...residual('layer1.0', 'stem', 8), ...residual('layer1.1', 'layer1.0.out', 8)]
    const { text, layers: rows } = writeNet(netOf([...layers, layer('fc', 'fc', ['layer1.1.out'], { arguments: { out: 10 } })]))
    expect(text.split('\n').slice(0, 20)).toEqual([
      'block residual(x) {',
      '  y = x',
      '    -> conv(8, 3, pad: 1, bias: false) as conv1',
      '    -> batch_norm(eps: 1e-5)           as bn1',
      '    -> relu',
      '    -> conv(8, 3, pad: 1, bias: false) as conv2',
      '    -> batch_norm(eps: 1e-5)           as bn2',
      '  return add(y, x) -> relu',
      '}',
      '',
      'net net1 {',
      '  input image: f32[3, 8, 8]',
      '',
      '  logits = image',
      '    -> conv(8, 3, pad: 1, bias: false) as stem',
      '    -> residual                        as layer1_0',
      '    -> residual                        as layer1_1',
      '    -> fc(10)                          as fc',
      '',
      '  output y = logits',
    ])
    expect(rows.map(({ name }) => name)).toContain('layer1_1.conv2')
    expect(rows.find(({ name }) => name === 'layer1_1.bn2')!.model).toBe('layer1.1.bn2')
  })

  test('blocks are called by what they do: a convolution by channel in front of one over channels, or between two', () => {
    const row = (i: number, input: string, wide: boolean): ModelLayer[] => {
      const at = (own: string): string => `blocks.${i}.${own}`
      return [
        ...(wide ? [conv(at('a'), input, 8, { kernel: 1, pad: 0 }), relu(at('r'), at('a'))] : []),
        conv(at('b'), wide ? at('r') : input, 8, { groups: 8 }),
        bn(at('c'), at('b')),
        relu(at('d'), at('c')),
        conv(at('e'), at('d'), 8, { kernel: 1, pad: 0 }),
        bn(at('f'), at('e')),
      ]
    }
    const textOf = (wide: boolean): string =>
      writeNet(netOf([conv('stem', 'image', 8), ...row(0, 'stem', wide), ...row(1, 'blocks.0.f', wide)])).text
    expect(textOf(false)).toMatch(/^block depthwise_separable\(x\)/)
    expect(textOf(true)).toMatch(/^block inverted_bottleneck\(x\)/)
  })

  test('four and more in a row become a loop', () => {
    const layers = [conv('stem', 'image', 8)]
    for (let i = 0; i < 4; i++) layers.push(...residual(`layer1.${i}`, layers.at(-1)!.output, 8))
    expect(writeNet(netOf(layers)).text).toContain('  for i in 0..4 {\n    x = x -> residual as layer1_{i}\n  }\n')
  })

  test('layers without telling names are units, and what repeats of units', () => {
    const layers: ModelLayer[] = []
    let value = 'image'
    const unit = (out: number, kernel: number): void => {
      const n = layers.length
      layers.push(
        layer('conv', `${n}`, [value], { arguments: { out, kernel, pad: (kernel - 1) / 2, bias: false } }),
        layer('batch_norm', `${n + 1}`, [`${n}`]),
        layer('leaky_relu', `${n + 2}`, [`${n + 1}`], { arguments: { slope: 0.1 } }),
      )
      value = `${n + 2}`
    }
    unit(8, 3)
    for (const out of [8, 8, 8]) {
      const before = value
      unit(out / 2, 1)
      unit(out, 3)
      layers.push(layer('add', `${layers.length}`, [value, before]))
      value = String(layers.length - 1)
    }
    const { text } = writeNet(netOf(layers))
    expect(text).toContain(
      'block conv_bn_leaky(x, out, kernel) {\n  return x\n    -> conv(out, kernel, pad: (kernel - 1) / 2, bias: false) as conv\n',
    )
    expect(text).toContain(
      'block residual(x) {\n  y = x -> conv_bn_leaky(4, 1) as conv1 -> conv_bn_leaky(8, 3) as conv2\n  return add(y, x)\n}\n',
    )
  })

  test('names that tell no module but agree are taken apart: res2a_branch2a, bn2a_branch2a are parts of res2a', () => {
    const layers: ModelLayer[] = [conv('conv1', 'image', 8)]
    for (const tag of ['2a', '2b']) {
      const before = layers.at(-1)!.output
      for (const branch of ['branch2a', 'branch2b'])
        layers.push(conv(`res${tag}_${branch}`, layers.at(-1)!.output, 8), bn(`bn${tag}_${branch}`, `res${tag}_${branch}`))
      layers.push(layer('add', `res${tag}`, [before, layers.at(-1)!.output]), relu(`res${tag}_relu`, `res${tag}`))
    }
    const { text, layers: rows } = writeNet(netOf(layers))
    expect(text).toContain('-> conv(8, 3, pad: 1, bias: false) as branch2a_conv\n    -> batch_norm(eps: 1e-5)           as branch2a_bn\n')
    expect(text).toContain('residual                        as res2a\n    -> residual                        as res2b')
    expect(rows.find(({ model }) => model === 'bn2b_branch2b')!.name).toBe('res2b.branch2b_bn')
  })

  test('layers that share parameters stay where their names are plain', () => {
    const shared = { ...conv('b.1.conv1', 'b.0.out', 8), sharesWith: 'b.0.conv1' }
    const second = residual('b.1', 'b.0.out', 8).map((one) => (one.name === 'b.1.conv1' ? shared : one))
    const { text } = writeNet(netOf([conv('stem', 'image', 8), ...residual('b.0', 'stem', 8), ...second]))
    expect(text).not.toContain('block')
    expect(text).toContain('weights: b_0_conv1')
    expect(check(text)).toEqual([])
  })

  test('a module that makes two values stays open', () => {
    const layers = [
      conv('m.a', 'image', 4),
      conv('m.b', 'm.a', 4),
      conv('n.a', 'm.b', 4),
      conv('n.b', 'n.a', 4),
      layer('concat', 'y', ['m.a', 'n.a', 'n.b']),
    ]
    expect(writeNet(netOf(layers)).text).not.toContain('block')
  })
})

test('maps that grow by one each time are joined one by one', () => {
  const layers = [conv('stem', 'image', 8)]
  const maps = ['stem']
  for (let i = 1; i <= 4; i++) {
    const input = maps.length === 1 ? 'stem' : `joined${i}`
    if (maps.length > 1) layers.push(layer('concat', `joined${i}`, [...maps]))
    layers.push(
      bn(`dense.layer${i}.norm`, input),
      relu(`dense.layer${i}.relu`, `dense.layer${i}.norm`),
      conv(`dense.layer${i}.conv`, `dense.layer${i}.relu`, 4),
    )
    maps.push(`dense.layer${i}.conv`)
  }
  const { text } = writeNet(netOf([...layers, layer('concat', 'all', maps)]))
  expect(text).toContain('  return concat(x, y)\n')
  expect(text).toContain('for i in 1..5 {\n    all = all -> dense as dense_layer{i}\n  }')
})

describe('a net without a loss', () => {
  test('trains on the output that gives probabilities, wherever it stands', () => {
    const net = netOf([
      layer('fc', 'boxes', ['image'], { arguments: { out: 4 } }),
      layer('fc', 'scores', ['image'], { arguments: { out: 2 } }),
      layer('softmax', 'faces', ['scores']),
    ], { results: [{ kind: 'output', name: 'boxes', value: 'boxes' }, { kind: 'output', name: 'faces', value: 'faces' }] })
    expect(writeNet(net).text).toMatch(/class\[2\][^]*softmax_loss\(logits\d?, label\)/)
  })

  const uncommented = (text: string): string => text.replace(/^( *)\/\/ (?: {2}(?=\S))?(?!To )/gm, '$1').replace(/^ *\/\/.*\n/gm, '')
  const trained = (op: string | undefined, shape: number[]): string => {
    const head: ModelLayer[] = shape.length === 1 ? [layer('fc', 'head', ['image'], { arguments: { out: shape[0]! } })]
      : [conv('head', 'image', shape[0]!)]
    return writeNet(netOf([...head, ...(op ? [layer(op, 'last', ['head'])] : [])])).text
  }

  test.each([
    ['softmax', [10], 'loss            = softmax_loss(logits, label)'],
    [undefined, [10], 'loss            = softmax_loss(logits, label)'],
    [undefined, [4, 8, 8], 'input label: class[4][8, 8]'],
    ['sigmoid', [1], 'loss = sigmoid_loss(logits, target)'],
    ['tanh', [1], 'loss = squared_loss(y, target)'],
  ])('%s of %j says how to train on, and that compiles', (op, shape, line) => {
    const text = trained(op, shape)
    expect(text).toContain(`//   ${line}`)
    const whole = uncommented(text)
    expect(whole).toContain('solver   sgd')
    expect(check(whole).map(({ message }) => message)).toEqual([])
  })

  test.each([
    [['circle', 'square', 'round thing'], 'class[circle, square, "round thing"]'],
    [['circle', 'square'], 'class[3]'],
    [['circle', 'square', 'circle'], 'class[3]'],
    [['circle', 'square', 'a\n} net'], 'class[3]'],
    [['circle', 'square', 'x'.repeat(600)], 'class[3]'],
  ])('the labels of classes %j are %s', (classes, type) => {
    const results = [{ kind: 'output' as const, name: 'y', value: 'last', classes }]
    const text =
      writeNet(netOf([layer('fc', 'head', ['image'], { arguments: { out: 3 } }), layer('softmax', 'last', ['head'])], { results })).text
    expect(text).toContain(`//   input label: ${type}\n`)
    expect(check(uncommented(text)).map(({ message }) => message)).toEqual([])
  })
})
