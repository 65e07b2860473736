import { describe, expect, test } from 'vitest'
import { printGraph } from '../../compiler/graph/print.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { buildGraph } from '../../compiler/front-end/build-graph.ts'
import type { Diagnostic } from '../../dsl/diagnostic.ts'
import { built, codesOf, graphOf, net, parsed } from '../graph-passes/nets.ts'

const only = (text: string): string[] => codesOf(built(text).diagnostics)
const parameter = (text: string, name: string) => graphOf(text).parameters.find((entry) => entry.name === name)!

describe('what is built', () => {
  test('inputs, layers, parameters and results read as the file says', () => {
    const graph = graphOf(net(`
      logits = x -> conv(2, 3) as c1 -> batch_norm as b1 -> relu -> fc(3) as ip
      output prob = softmax(logits)
      loss = softmax_loss(logits, label, weight: 0.5)
      metric accuracy = accuracy(logits, label)`))
    expect(graph.inputs.map(({ name, type, shape }) => ({ name, type, shape }))).toEqual([
      { name: 'x', type: 'f32', shape: ['n', 4, 6, 6] },
      { name: 'label', type: 'i32', shape: ['n'] },
    ])
    expect(graph.nodes.map(({ name, op }) => `${name} ${op}`)).toEqual([
      'c1 conv',
      'b1 batch_norm',
      'relu_1 relu',
      'ip fc',
      'softmax_1 softmax',
      'softmax_loss_1 softmax_loss',
      'accuracy_1 accuracy',
    ])
    expect(graph.nodes.map(({ outputs }) => outputs[0]!.shape)).toEqual([
      ['n', 2, 4, 4],
      ['n', 2, 4, 4],
      ['n', 2, 4, 4],
      ['n', 3],
      ['n', 3],
      [],
      [],
    ])
    expect(graph.outputs.map(({ name, role, weight }) => ({ name, role, weight }))).toEqual([
      { name: 'prob', role: 'output', weight: undefined },
      { name: 'loss', role: 'loss', weight: 0.5 },
      { name: 'accuracy', role: 'metric', weight: undefined },
    ])
  })

  test('parameters are packed at multiples of 64, learned ones apart from kept ones', () => {
    const { parameters } = graphOf(net('y = x -> conv(2, 3) as c1 -> batch_norm as b1\n output o = y -> fc(3) as ip'))
    const placed = parameters.map(({ name, value }) => [name, value.storage!.role, value.storage!.offset])
    // 72 weights take two blocks of 64
    expect(placed.filter(([, role]) => role === 'parameters')).toEqual([
      ['c1.weight', 'parameters', 0],
      ['c1.bias', 'parameters', 128],
      ['b1.gamma', 'parameters', 192],
      ['b1.beta', 'parameters', 256],
      ['ip.weight', 'parameters', 320],
      ['ip.bias', 'parameters', 448],
    ])
    expect(placed.filter(([, role]) => role === 'states').slice(0, 2)).toEqual([['b1.running_mean', 'states', 0], [
      'b1.running_var',
      'states',
      64,
    ]])
    expect(parameters.filter((p) => !p.trainable).map((p) => p.name)).toContain('b1.running_mean')
  })

  test.each([
    ['x -> conv(2, 3) as c -> relu', true],
    ['x -> conv(2, 3) as c -> batch_norm -> scale -> max_pool(2) -> dropout(0.5) -> relu', true],
    ['x -> conv(2, 3) as c -> lrn(3) -> relu', true],
    ['x -> conv(2, 3) as c -> normalize(0.5, 2) -> upsample(2) -> pad(1) -> slice(1, 0, 1) -> relu', true],
    ['x -> conv(2, 3) as c -> lrn(3) -> tanh', false],
    ['x -> conv(2, 3) as c -> sigmoid -> relu', false],
    ['x -> conv(2, 3) as c -> fc(3) -> relu', false],
    ['x -> conv(2, 3) as c', false],
  ])('%s: msra in front of a rectifier, xavier elsewhere', (chain, rectified) => {
    const { initializer } = parameter(net(`output o = ${chain}`), 'c.weight')
    // 4 channels of 3 x 3: He et al. 2015: sqrt(2 / 36); Glorot & Bengio 2010 as Caffe has it: sqrt(3 / 36)
    if (rectified) expect(initializer).toEqual({ kind: 'gaussian', mean: 0, deviation: Math.sqrt(2 / 36) })
    else expect(initializer).toEqual({ kind: 'uniform', low: -Math.sqrt(3 / 36), high: Math.sqrt(3 / 36) })
  })

  test('rates of single parameters', () => {
    const { parameters } = graphOf(net('output o = x -> conv(2, 3, lr_mult: [1, 2], decay_mult: [1, 0]) as c'))
    expect(parameters.map((p) => [p.name, p.rateMultiplier, p.decayMultiplier])).toEqual([['c.weight', 1, 1], ['c.bias', 2, 0]])
  })

  test('layers with weights: other share parameters, and the first one names them', () => {
    const graph = graphOf(net('a = x -> conv(4, 3, pad: 1) as one -> relu\n output o = a -> conv(4, 3, pad: 1, weights: one) as two'))
    expect(graph.parameters.map((p) => [p.name, p.layer])).toEqual([['one.weight', 'one'], ['one.bias', 'one']])
    const [one, , two] = graph.nodes
    expect(two!.parameters).toEqual(one!.parameters)
  })

  test.each(
    [
      ['', undefined, 'merged'],
      ['style split', undefined, 'split'],
      ['style split', 'merged', 'merged'],
    ] as const,
  )('the style of each batch_norm: %s in the file, %s on the command line', (line, option, want) => {
    const graph = graphOf(net(`${line}\n output o = x -> batch_norm as b`), option)
    expect(graph.nodes[0]!.attributes['style']).toBe(want)
  })

  test('a style: of one batch_norm counts before that of the net', () => {
    const graph = graphOf(net('style split\n y = x -> batch_norm(style: merged)\n output o = y -> batch_norm'))
    expect(graph.nodes.map((node) => node.attributes['style'])).toEqual(['merged', 'split'])
  })

  test('the same program prints as the same text', () => {
    const text = net('output o = x -> conv(2, 3) -> batch_norm')
    expect(printGraph(graphOf(text))).toBe(printGraph(graphOf(text)))
  })
})

describe('what is refused', () => {
  test('neither output nor loss', () => expect(only(net('y = x -> relu'))).toContain('graph/no-result'))

  test('independent errors are told together, and what follows from one is not', () => {
    const codes = only(net(`
      a = x -> clip(2, 1) -> relu -> sigmoid
      b = x -> dropout(1) -> fc(3)
      output o = add(a, b)`))
    expect(codes.sort()).toEqual(['argument/clip-order', 'argument/dropout-p'])
  })

  test.each([
    ['a name of an input', 'output x = x -> relu'],
    ['a name that was given out before', 'output o = x -> relu\n output o = x -> sigmoid'],
  ])('%s for an output', (_, body) => expect(only(net(body))).toContain('graph/name-taken'))

  test('a loss or metric that is not one number', () => {
    expect(only(net('loss = x -> relu'))).toEqual(['graph/loss-not-scalar'])
    expect(only(net('output o = relu(x)\n metric m = x -> sigmoid'))).toEqual(['graph/metric-not-scalar'])
  })

  test.each([
    ['graph/weights-shape', 'a = x -> conv(4, 3) as one\n output o = a -> conv(4, 1, weights: one)'],
    ['graph/weights-role', 'a = x -> conv(4, 3, pad: 1, bias: false) as one\n output o = a -> conv(4, 3, weights: one)'],
  ])('%s', (code, body) => expect(only(net(body))).toEqual([code]))

  describe('sharing with what is not there: however the name got past the language', () => {
    const sharing = (name: string): readonly Diagnostic[] => {
      const program = parsed(net('a = x -> conv(4, 3, pad: 1) as first\n output o = a -> conv(4, 3, pad: 1) as second'))
      const layers = program.layers.map((
        layer,
        i,
      ) => (i === (name === 'second' ? 0 : 1) ? { ...layer, attributes: { ...layer.attributes, weights: name } } : layer))
      return buildGraph({ ...program, layers }, { operators }).diagnostics
    }
    test('an unknown layer: the closest name is offered', () => {
      expect(sharing('frist')).toMatchObject([{ code: 'graph/weights-unknown', hint: 'did you mean first?' }])
    })
    test('a layer that comes later', () => {
      expect(sharing('second')).toMatchObject([{ code: 'graph/weights-later', hint: 'write weights: first on second instead' }])
    })
  })
})

describe('what is only warned of', () => {
  test('a layer that nothing reads', () => {
    const { graph, diagnostics } = built(net('idle = x -> sigmoid as idle\n output o = x -> relu'))
    expect(graph).toBeDefined()
    expect(diagnostics).toMatchObject([{ severity: 'warning', code: 'graph/unread', message: 'nothing reads what idle makes' }])
  })
  test('not of a scalar that is a metric', () => expect(only(net('output o = x -> relu\n metric total = sum(x)'))).toEqual([]))
})
