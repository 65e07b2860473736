import { describe, expect, test } from 'vitest'
import type { Attributes } from '../../dsl/signature.ts'
import { nowhere } from '../../dsl/source.ts'
import { type Node, type Value, value } from '../../compiler/graph/graph.ts'
import { writes } from '../../compiler/ir/equation.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { ask, type Call, codes, expectClose, expectGradients, type Fed, fed, forward, noise, size } from './run-operator.ts'
import { convolution, windowOf } from './plain-loops.ts'
import { generator, pick } from './random.ts'

const call = (x: Fed, attributes: Attributes, seed = 5): Call => {
  const out = attributes['out'] as number
  const { kernel, groups } = windowOf(attributes)
  const weight = noise(size([out, x.shape[1]! / groups, ...kernel]), seed)
  return {
    op: 'conv',
    inputs: [x],
    attributes,
    parameters: { weight: [...weight], ...(attributes['bias'] !== false && { bias: [...noise(out, seed + 1)] }) },
  }
}

function check(x: Fed, attributes: Attributes): void {
  const asked = call(x, attributes)
  const { y, shape } = convolution(x, asked.parameters!['weight']!, asked.parameters!['bias'], attributes)
  expect(ask(asked)).toMatchObject({ shape: [x.whole ? x.shape[0] : 'n', ...shape.slice(1)] })
  expectClose(forward(asked), y)
  expectGradients(asked)
}

const PLAIN = { out: 4, kernel: [3, 3] }

describe('conv is the sum over its windows', () => {
  test.each<[string, readonly number[], Attributes]>([
    ['one pixel', [2, 3, 4, 5], { out: 4, kernel: [1, 1] }],
    ['a window', [2, 3, 5, 6], PLAIN],
    ['no bias', [2, 3, 5, 6], { ...PLAIN, bias: false }],
    ['padding', [2, 2, 4, 5], { ...PLAIN, pad: [1, 1] }],
    ['unequal padding', [1, 2, 5, 6], { ...PLAIN, pad: [0, 1, 2, 1] }],
    ['unequal padding, stride and dilation', [2, 2, 8, 7], { ...PLAIN, stride: [2, 2], dilation: [2, 1], pad: [3, 0, 0, 1] }],
    ['more padding than half a window', [1, 2, 4, 4], { ...PLAIN, pad: [2, 2] }],
    ['one direction', [1, 2, 4, 6], { out: 3, kernel: [1, 5], pad: [0, 2] }],
    ['rectangles all over', [2, 2, 7, 6], { out: 3, kernel: [3, 2], stride: [2, 1], pad: [1, 0], dilation: [1, 2] }],
    ['a stride that leaves something over', [1, 2, 8, 6], { ...PLAIN, stride: [2, 2] }],
    ['a stride wider than the window', [2, 2, 7, 7], { out: 3, kernel: [1, 2], stride: [2, 3] }],
    ['stride and padding', [1, 2, 7, 7], { out: 2, kernel: [5, 5], stride: [3, 3], pad: [2, 2] }],
    ['dilation', [1, 2, 7, 7], { ...PLAIN, dilation: [2, 2], pad: [2, 2] }],
    ['dilation and stride', [1, 2, 9, 8], { ...PLAIN, dilation: [2, 3], stride: [2, 2], pad: [2, 3] }],
    ['the whole map', [3, 2, 3, 4], { out: 5, kernel: [3, 4] }],
    ['a single pixel with padding', [2, 3, 1, 1], { ...PLAIN, pad: [1, 1] }],
    ['groups', [2, 4, 5, 5], { out: 6, kernel: [3, 3], pad: [1, 1], groups: 2 }],
    ['groups with a stride', [1, 6, 5, 5], { out: 3, kernel: [3, 3], stride: [2, 2], groups: 3, bias: false }],
    ['depthwise', [2, 3, 5, 5], { out: 3, kernel: [3, 3], pad: [1, 1], groups: 3 }],
    ['depthwise, two outputs a channel', [1, 3, 6, 5], { out: 6, kernel: [3, 3], stride: [2, 2], pad: [1, 1], groups: 3 }],
    ['pad: same', [1, 2, 5, 6], { out: 3, kernel: [3, 5], pad: 'same' }],
    ['pad: same, even window: the odd zero comes last', [1, 2, 5, 6], { out: 3, kernel: [2, 4], pad: 'same' }],
    ['pad: same with a stride', [1, 2, 7, 6], { out: 3, kernel: [3, 3], stride: [2, 3], pad: 'same' }],
    ['pad: same with dilation', [1, 2, 6, 6], { out: 2, kernel: [3, 2], dilation: [2, 2], pad: 'same' }],
  ])('%s', (_, shape, attributes) => check(fed(shape, 3), attributes))

  test('where axis 0 is not the batch', () => check(fed([2, 3, 4, 4], 1, { whole: true }), { ...PLAIN, pad: [1, 1] }))

  test.each(Array.from({ length: 40 }, (_, seed) => seed))('whatever it is asked for: seed %i', (seed) => {
    const r = generator(seed)
    const groups = pick(r, [1, 1, 2, 3])
    const pairOf = (from: readonly number[]): readonly number[] => [pick(r, from), pick(r, from)]
    const [kernel, dilation] = [pairOf([1, 2, 3, 4]), pairOf([1, 1, 2])]
    const pad = pick(r, [true, false, false]) ? 'same' : pairOf([0, 1, 2])
    const attributes: Attributes = {
      out: groups * pick(r, [1, 2, 3]),
      kernel,
      dilation,
      stride: pairOf([1, 2, 3]),
      pad,
      groups,
      bias: pick(r, [true, false]),
    }
    const space = kernel.map((k, d) => dilation[d]! * (k - 1) + 1 + pick(r, [0, 1, 2, 3]))
    check(fed([pick(r, [1, 2, 3]), groups * pick(r, [1, 2]), ...space], seed + 1), attributes)
  })
})

test("the weight's gradient is right whatever the batch: its images are summed in chunks", () => {
  for (const batch of [1, 15, 16, 17, 33]) expectGradients(call(fed([batch, 1, 3, 4], batch), { out: 1, kernel: [2, 2] }))
})

test('on a machine that few tasks keep busy a sum over images goes through all rows of a map, but of one that no cache holds', () => {
  const partials = (channels: number, side: number, groups = 1): readonly number[] => {
    const [x, dy] = ['x', 'dy'].map((name) => value(name, ['n', channels, side, side], nowhere)) as [Value, Value]
    const node: Node = {
      name: 'conv.dweight',
      op: 'conv_dweight',
      layer: 'conv',
      inputs: [x, dy],
      parameters: {},
      outputs: [value('dw', [channels, channels / groups, 3, 3], nowhere)],
      attributes: { stride: [1, 1], pad: [1, 1], dilation: [1, 1], groups },
      span: nowhere,
    }
    const { equations, equationsInTasks } = operators.get('conv_dweight')!
    return [equations, equationsInTasks!].map((of) => writes(of(node)[0]!)[0]!.shape[0] as number)
  }
  // 2 x 24 x 1024 elements are 48 Ki; 4 maps of 32 x 32 have as many as one of 64 x 64.
  expect(partials(24, 32)).toEqual([16 * 2, 8])
  expect(partials(24, 64)).toEqual([16 * 8, 8 * 4])
  // Partial sums of a large filter stay small beside both maps: 4 x 327680 / 230400 parts, all of them of images; a power of two of them, so that those of
  // usual batches are even.
  expect(partials(160, 32)).toEqual([6, 4])
  // Of a depthwise filter a task has one channel.
  expect(partials(96, 64, 96)).toEqual([16 * 64, 8])
})

describe('parameters', () => {
  const parametersOf = (attributes: Attributes) => {
    const answer = ask({ op: 'conv', inputs: [fed([1, 6, 8, 8])], attributes: { out: 4, kernel: [3, 5], ...attributes } })
    return 'shape' in answer ? answer.parameters! : []
  }
  test("weight [out, in / groups, kh, kw] with Caffe's fans, bias [out]", () => {
    expect(parametersOf({ groups: 2 })).toMatchObject([
      // fan_in = count / num = 3 * 15, fan_out = count / channels = 4 * 15
      { role: 'weight', shape: [4, 3, 3, 5], filler: { fanIn: 45, fanOut: 60 }, rateMultiplier: 1, decayMultiplier: 1 },
      { role: 'bias', shape: [4], filler: { value: 0 } },
    ])
    expect(parametersOf({ bias: false }).map((p) => p.role)).toEqual(['weight'])
  })
  test('fillers and multipliers', () => {
    const gaussian = { call: 'gaussian', args: { std: 0.01 } }
    expect(
      parametersOf({ weight_init: gaussian, bias_init: { call: 'constant', args: { value: 0.1 } }, lr_mult: [1, 2], decay_mult: [1, 0] }),
    ).toMatchObject([
      { filler: { filler: gaussian }, rateMultiplier: 1, decayMultiplier: 1 },
      { filler: { filler: { call: 'constant', args: { value: 0.1 } } }, rateMultiplier: 2, decayMultiplier: 0 },
    ])
  })
  test('a bare number is a constant', () => {
    expect(parametersOf({ bias_init: 0.5 })[1]).toMatchObject({ filler: { filler: { call: 'constant', args: { value: 0.5 } } } })
  })
})

describe('refuses', () => {
  const refusal = (shape: readonly number[], attributes: Attributes, more: Partial<Fed> = {}) => {
    const answer = ask({ op: 'conv', inputs: [fed(shape, 1, more)], attributes })
    return 'shape' in answer ? [] : answer
  }
  test.each<[string, readonly number[], Attributes, string, string]>([
    [
      'what was flattened',
      [2, 800],
      PLAIN,
      'shape/conv-rank',
      'conv comes before what flattens; fc works on [n, 800], and reshape([800, 1, 1]) makes a map of it',
    ],
    ['a map without channels', [2, 28, 28], PLAIN, 'shape/conv-rank', 'give it a channel first, e.g. reshape([1, 28, 28])'],
    ['a window larger than the map', [2, 3, 2, 4], PLAIN, 'shape/conv-window', 'take a smaller window or write pad: [1, 0]'],
    [
      'a window larger than the padded map',
      [2, 3, 2, 2],
      { out: 4, kernel: [7, 7], pad: [1, 1] },
      'shape/conv-window',
      'take a smaller window or write pad: 3',
    ],
    [
      "PyTorch's order, with the channels that go in first",
      [2, 3, 8, 8],
      { out: 3, kernel: [64, 64], stride: [3, 3] },
      'shape/conv-window',
      'the channels that go in are known, and not said: conv(64, 3) has 64 filters of 3 x 3',
    ],
    ['a dilated window', [2, 3, 4, 4], { ...PLAIN, dilation: [2, 2] }, 'shape/conv-window', 'take a smaller window or write pad: 1'],
    [
      'channels that groups do not divide',
      [2, 3, 5, 5],
      { ...PLAIN, groups: 2 },
      'argument/groups',
      'groups must divide the 3 channels and the 4 outputs: 1',
    ],
    [
      'outputs that groups do not divide',
      [2, 6, 5, 5],
      { ...PLAIN, groups: 3 },
      'argument/groups',
      'groups must divide the 6 channels and the 4 outputs: 1, 2',
    ],
    [
      'bilinear weights of oblong windows',
      [2, 3, 5, 5],
      { out: 4, kernel: [3, 2], weight_init: { call: 'bilinear', args: {} } },
      'argument/bilinear',
      'it belongs to deconv, e.g. deconv(21, 4, stride: 2, pad: 1, groups: 21, weight_init: bilinear)',
    ],
    [
      'an empty range',
      [2, 3, 5, 5],
      { ...PLAIN, weight_init: { call: 'uniform', args: { lo: 1, hi: -1 } } },
      'argument/uniform',
      'the smaller number comes first',
    ],
  ])('%s', (_, shape, attributes, code, hint) => {
    expect(refusal(shape, attributes).map((d) => ({ code: d.code, hint: d.hint }))).toEqual([{ code, hint }])
  })
  test('labels', () => expect(refusal([2, 3, 5, 5], PLAIN, { labels: true })[0]!.code).toBe('shape/label-as-numbers'))
  test('a whole input of three dimensions', () => {
    expect(refusal([3, 8, 8], PLAIN, { whole: true })[0]!.hint).toBe('declare the input without `whole`, and the batch is implied')
  })
  test('several things at once, and says where they were made', () => {
    const problems = refusal([2, 5, 2, 2], { ...PLAIN, groups: 3 })
    expect(problems.map((d) => d.code)).toEqual(['argument/groups', 'argument/groups', 'shape/conv-window'])
    expect(problems.map((d) => d.labels.length)).toEqual([2, 2, 2])
    expect(problems[2]!.message).toBe('a window of 3 x 3 does not fit into the 2 x 2 of [n, 5, 2, 2]')
  })
  test('nothing that fits', () => expect(codes({ op: 'conv', inputs: [fed([2, 4, 3, 3])], attributes: PLAIN })).toEqual([]))
})
