import { describe, expect, test } from 'vitest'
import { vocabulary } from '../../compiler/front-end/vocabulary.ts'
import { loadProgram } from '../../dsl/index.ts'
import { type PlainNet, plainNet, plainParameters } from '../../measure/peer-net.ts'

const plain = (body: string, input = 'input image: f32[3, 8, 8]') => {
  const { program, diagnostics } = loadProgram({ file: 'n.net', text: `net n {\n  ${input}\n  ${body}\n}` }, { vocabulary })
  expect(diagnostics).toEqual([])
  return plainNet(program!)
}

test('layers that all libraries have, in their order, with what they are made with', () => {
  expect(plain(`x = image -> conv(4, 3, pad: 1, bias: false) as a.conv -> batch_norm(eps: 1e-3) as bn -> relu as r
  y = x -> conv(4, 1) as c
  logits = add(x, y) as sum -> max_pool(3, stride: 2, round: ceil) as p -> avg_pool(2) as q -> dropout(0.5) -> fc(10) as f
  output prob = softmax(logits)`.replace('a.conv', 'a'))).toEqual({
    name: 'n',
    input: 'image',
    inputShape: [3, 8, 8],
    output: 'f_8',
    softmax: true,
    result: 'prob',
    training: 'it has no loss',
    layers: [
      { op: 'conv', name: 'a_0', layer: 'a', inputs: ['image'], out: 4, kernel: 3, stride: 1, pad: 1, bias: false },
      { op: 'batchNorm', name: 'bn_1', layer: 'bn', inputs: ['a_0'], eps: 1e-3, newest: 0.95 },
      { op: 'relu', name: 'r_2', layer: 'r', inputs: ['bn_1'] },
      { op: 'conv', name: 'c_3', layer: 'c', inputs: ['r_2'], out: 4, kernel: 1, stride: 1, pad: 0, bias: true },
      { op: 'add', name: 'sum_4', layer: 'sum', inputs: ['r_2', 'c_3'] },
      { op: 'maxPool', name: 'p_5', layer: 'p', inputs: ['sum_4'], kernel: 3, stride: 2, pad: 0, round: 'ceil' },
      { op: 'avgPool', name: 'q_6', layer: 'q', inputs: ['p_5'], kernel: 2, stride: 2, pad: 0, round: 'floor' },
      // At test time dropout gives what it is given.
      { op: 'fc', name: 'f_8', layer: 'f', inputs: ['q_6'], out: 10 },
    ],
  })
})

test('constants a channel are a factor and a term', () => {
  const net = plain('output y = image -> normalize(mean: [0.5, 0.4, 0.3], std: 0.5) as n -> relu')
  expect(net).toMatchObject({ layers: [{ op: 'scale', layer: 'n', inputs: ['image'] }, { op: 'relu' }] })
  const { layers: [scale] } = net as PlainNet
  // (x - mean) / std
  const { weight, bias } = scale!.constants!
  for (const [c, mean] of [0.5, 0.4, 0.3].entries()) expect(0.7 * weight![c]! + bias![c]!).toBeCloseTo((0.7 - mean) / 0.5)
  expect(plain('output y = image -> relu -> normalize(0, 1) as n')).toBe('n (normalize) is not of the input')
})

test('groups, transposed convolutions, joins and bounds', () => {
  expect(plain(`a = image -> conv(6, 3, pad: 1, groups: 3) as c -> clip(0, 6) as k
  b = a -> conv(4, 3, stride: 2, pad: 1) as s -> deconv(4, 3, stride: 2, pad: 1, output_pad: 1) as d
  output y = concat(a, b) as j -> slice(1, 2, 6) as t -> sigmoid as g`)).toMatchObject({
    layers: [
      { op: 'conv', groups: 3, out: 6 },
      { op: 'clip', lo: 0, hi: 6 },
      { op: 'conv', stride: 2 },
      { op: 'deconv', out: 4, kernel: 3, stride: 2, pad: 1, outputPad: [1, 1], bias: true },
      { op: 'concat', inputs: ['k_1', 'd_3'] },
      { op: 'slice', from: 2, to: 6 },
      { op: 'sigmoid' },
    ],
  })
})

test("the parameters that peers get: Caffe's sums divided, what is not learned as 1 and 0", () => {
  const net = plain('output y = image -> batch_norm(affine: false, stats: caffe) as b -> scale(bias: false) as s') as PlainNet
  const tensor = (...data: number[]) => ({ shape: [data.length], type: 'f32' as const, data: Float32Array.from(data) })
  const found = plainParameters(
    net,
    new Map([
      ['b.running_mean', tensor(2, 4, 6)],
      ['b.running_var', tensor(8, 4, 2)],
      ['b.scale_factor', tensor(2)],
      ['s.weight', tensor(5, 6, 7)],
    ]),
  )
  expect(Object.fromEntries([...found].map(([name, data]) => [name, [...data]]))).toEqual({
    'b_0.running_mean': [1, 2, 3],
    'b_0.running_var': [4, 2, 1],
    'b_0.gamma': [1, 1, 1],
    'b_0.beta': [0, 0, 0],
    's_1.weight': [5, 6, 7],
    's_1.bias': [0, 0, 0],
  })
})

describe('what peers train on', () => {
  const training = (body: string): unknown => (plain(body, 'input image: f32[3, 8, 8]\n  input label: class[4]') as PlainNet).training
  test('the softmax loss of what comes out', () => {
    expect(training('x = image -> conv(4, 1) -> global_avg_pool -> fc(4)\n  output y = softmax(x)\n  loss = softmax_loss(x, label)'))
      .toEqual({ label: 'label' })
  })
  test.each([
    ['output y = image -> fc(4)', 'it has no loss'],
    [
      'x = image -> fc(4)\n  output y = x\n  loss = softmax_loss(x, label, weight: 2)',
      'its loss is not the softmax loss of what comes out',
    ],
    ['x = image -> fc(4)\n  output y = x\n  loss = sum(x)', 'its loss is not the softmax loss of what comes out'],
    ['x = image -> dropout(0.5) as d -> fc(4)\n  output y = x\n  loss = softmax_loss(x, label)', /^d \(dropout\) draws a mask/],
    [
      'x = image -> fc(4, lr_mult: [1, 2]) as f\n  output y = x\n  loss = softmax_loss(x, label)',
      /^f \(fc\) has a rate or decay of its own/,
    ],
  ])('not %s', (body, reason) => {
    expect(training(body)).toMatch(reason)
  })
})

test('what the output does not need does not matter', () => {
  expect(plain('output y = image -> relu\n  loss = sum(elu(image))')).toMatchObject({
    layers: [{ op: 'relu' }],
    output: 'relu_1_0',
    softmax: false,
  })
})

test.each([
  ['output y = image -> elu as e', /^e \(elu\) is a layer that the peers are not built from/],
  ['output y = image -> conv(3, 3, dilation: 2) as c', /^c \(conv\) is dilated/],
  ['output y = image -> conv(3, [1, 3]) as c', /^c \(conv\) has a window that is not square/],
  ['output y = image -> conv(3, 3, pad: same) as c', /^c \(conv\) has a window .*pad: same/],
  ['output y = image -> avg_pool(3, pad: 1) as p', /^p \(avg_pool\) counts its padding/],
  ['output y = image -> batch_norm(stats: batch) as b', /^b \(batch_norm\) has stats: batch/],
  ['output y = image -> softmax as s', /^s \(softmax\) does not stand behind fc or conv/],
  ['output y = image -> relu\n  output z = image -> fc(2)', /^it has 2 outputs/],
  ['output y = image', /^its output is its input/],
])('%s', (body, reason) => {
  expect(plain(body)).toMatch(reason)
})
