import { expect, test } from 'vitest'
import { vocabulary } from '../../compiler/front-end/vocabulary.ts'
import { loadProgram } from '../../dsl/index.ts'
import { plainNet } from '../../measure/peer-net.ts'

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
    layers: [
      { op: 'conv', name: 'a_0', layer: 'a', inputs: ['image'], out: 4, kernel: 3, stride: 1, pad: 1, bias: false },
      { op: 'batchNorm', name: 'bn_1', layer: 'bn', inputs: ['a_0'], eps: 1e-3 },
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

test('constants a channel are a batchNorm with these as its tensors', () => {
  expect(plain('output y = image -> normalize(mean: [0.5, 0.4, 0.3], std: 0.5) as n -> relu')).toMatchObject({
    layers: [{
      op: 'batchNorm',
      layer: 'n',
      inputs: ['image'],
      eps: 0,
      constants: { gamma: [1, 1, 1], beta: [0, 0, 0], running_mean: [0.5, 0.4, 0.3], running_var: [0.25, 0.25, 0.25] },
    }, { op: 'relu' }],
  })
  expect(plain('output y = image -> relu -> normalize(0, 1) as n')).toBe('n (normalize) is not of the input')
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
  ['output y = image -> conv(3, 3, groups: 3) as c', /^c \(conv\) has groups/],
  ['output y = image -> conv(3, 3, dilation: 2) as c', /^c \(conv\) is dilated/],
  ['output y = image -> conv(3, [1, 3]) as c', /^c \(conv\) has a window that is not square/],
  ['output y = image -> conv(3, 3, pad: same) as c', /^c \(conv\) has a window .*pad: same/],
  ['output y = image -> avg_pool(3, pad: 1) as p', /^p \(avg_pool\) counts its padding/],
  ['output y = image -> batch_norm(affine: false) as b', /^b \(batch_norm\) has no gamma and beta/],
  ['output y = image -> batch_norm(stats: caffe) as b', /^b \(batch_norm\) has stats: caffe/],
  ['output y = image -> softmax as s', /^s \(softmax\) does not stand behind fc/],
  ['output y = image -> relu\n  output z = image -> fc(2)', /^it has 2 outputs/],
  ['output y = image', /^its output is its input/],
])('%s', (body, reason) => {
  expect(plain(body)).toMatch(reason)
})
