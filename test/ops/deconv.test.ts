import { describe, expect, test } from 'vitest'
import type { Attributes } from '../../dsl/signature.ts'
import { transposedConvolution, windowOf } from './plain-loops.ts'
import { generator, pick } from './random.ts'
import { ask, type Call, codes, expectClose, expectGradients, type Fed, fed, forward, noise, size } from './run-operator.ts'

const call = (x: Fed, attributes: Attributes, seed = 5): Call => {
  const out = attributes['out'] as number
  const { kernel, groups } = windowOf(attributes)
  const weight = noise(size([x.shape[1]!, out / groups, ...kernel]), seed)
  return {
    op: 'deconv',
    inputs: [x],
    attributes,
    parameters: { weight: [...weight], ...(attributes['bias'] !== false && { bias: [...noise(out, seed + 1)] }) },
  }
}

function check(x: Fed, attributes: Attributes): void {
  const asked = call(x, attributes)
  const { y, shape } = transposedConvolution(x, asked.parameters!['weight']!, asked.parameters!['bias'], attributes)
  expect(ask(asked)).toMatchObject({ shape: ['n', ...shape.slice(1)] })
  expectClose(forward(asked), y)
  expectGradients(asked)
}

describe('deconv adds a window for every input', () => {
  test.each<[string, readonly number[], Attributes]>([
    ['windows side by side', [2, 3, 3, 2], { out: 2, kernel: [2, 2], stride: [2, 2] }],
    ['windows that overlap', [1, 2, 3, 4], { out: 3, kernel: [4, 4], stride: [2, 2], pad: [1, 1] }],
    ['unequal padding', [1, 2, 4, 3], { out: 2, kernel: [4, 3], stride: [2, 2], pad: [0, 2, 1, 0] }],
    ['an uneven overlap', [1, 2, 3, 4], { out: 2, kernel: [5, 3], stride: [2, 2], pad: [1, 0] }],
    ['no stride', [2, 2, 4, 3], { out: 3, kernel: [3, 3], pad: [1, 1], bias: false }],
    ['gaps between windows', [1, 2, 3, 3], { out: 2, kernel: [2, 2], stride: [3, 3] }],
    ['rectangles', [1, 3, 4, 3], { out: 2, kernel: [3, 2], stride: [1, 2], pad: [1, 0] }],
    ['groups', [1, 4, 3, 4], { out: 6, kernel: [4, 4], stride: [2, 2], pad: [1, 1], groups: 2 }],
    ['depthwise', [2, 3, 3, 3], { out: 3, kernel: [4, 4], stride: [2, 2], pad: [1, 1], groups: 3, bias: false }],
    ['dilation', [1, 2, 4, 4], { out: 2, kernel: [3, 3], dilation: [2, 2], pad: [1, 1] }],
    ['dilation and stride', [1, 2, 3, 3], { out: 2, kernel: [3, 2], dilation: [2, 3], stride: [2, 2] }],
    ['output_pad', [1, 2, 4, 4], { out: 2, kernel: [3, 3], stride: [2, 2], pad: [1, 1], output_pad: [1, 1] }],
    ['output_pad beside the windows', [1, 2, 3, 3], { out: 2, kernel: [2, 2], stride: [3, 2], output_pad: [2, 0] }],
    ['pad: same', [1, 2, 3, 4], { out: 2, kernel: [4, 5], stride: [2, 2], pad: 'same' }],
    ['pad: same with windows smaller than the stride', [1, 2, 3, 4], { out: 2, kernel: [2, 1], stride: [3, 2], pad: 'same' }],
  ])('%s', (_, shape, attributes) => check(fed(shape, 3), attributes))

  test.each(Array.from({ length: 40 }, (_, seed) => seed))('whatever it is asked for: seed %i', (seed) => {
    const r = generator(seed)
    const groups = pick(r, [1, 1, 2])
    const pairOf = (from: readonly number[]): [number, number] => [pick(r, from), pick(r, from)]
    const [kernel, dilation, stride] = [pairOf([1, 2, 3, 4, 5]), pairOf([1, 1, 2]), pairOf([1, 2, 3])]
    const space = pairOf([2, 3, 4])
    const touched = kernel.map((k, d) => dilation[d]! * (k - 1) + 1)
    // Something must be left, and output_pad stays below stride or dilation.
    const pad = touched.map((t, d) => Math.min(pick(r, [0, 1, 2]), Math.floor((stride[d]! * (space[d]! - 1) + t - 1) / 2)))
    const output_pad = stride.map((s, d) => Math.min(pick(r, [0, 0, 1]), Math.max(s, dilation[d]!) - 1))
    const same = pick(r, [true, false, false])
    check(fed([pick(r, [1, 2]), groups * pick(r, [1, 2]), ...space], seed + 1), {
      out: groups * pick(r, [1, 2]),
      kernel,
      dilation,
      stride,
      groups,
      bias: pick(r, [true, false]),
      ...(same ? { pad: 'same' } : { pad, output_pad }),
    })
  })
})

test("weight [in, out / groups, kh, kw] with Caffe's fans", () => {
  expect(ask({ op: 'deconv', inputs: [fed([1, 6, 4, 4])], attributes: { out: 4, kernel: [3, 5], groups: 2 } })).toMatchObject({
    // fan_in = count / num = 2 * 15, fan_out = count / channels = 6 * 15
    parameters: [{ role: 'weight', shape: [6, 2, 3, 5], filler: { fanIn: 30, fanOut: 90 } }, { role: 'bias', shape: [4] }],
  })
})

describe('refuses', () => {
  const refused = (attributes: Attributes, shape: readonly number[] = [2, 4, 3, 3]) =>
    codes({ op: 'deconv', inputs: [fed(shape)], attributes: { out: 4, kernel: [2, 2], ...attributes } })
  test('what was flattened', () => expect(refused({}, [2, 36])).toEqual(['shape/deconv-rank']))
  test('padding that leaves nothing', () => expect(refused({ pad: [2, 2] })).toEqual(['shape/deconv-size']))
  test('groups that do not divide', () => expect(refused({ groups: 3 })).toEqual(['argument/groups', 'argument/groups']))
  test('output_pad as large as the stride', () => {
    expect(refused({ stride: [2, 2], output_pad: [1, 2] })).toEqual(['argument/output-pad'])
    expect(refused({ stride: [2, 2], output_pad: [1, 1] })).toEqual([])
    expect(refused({ dilation: [2, 2], output_pad: [1, 1] })).toEqual([])
  })
  test('output_pad with pad: same', () =>
    expect(refused({ pad: 'same', stride: [2, 2], output_pad: [1, 1] })).toEqual(['argument/output-pad']))
  test('bilinear weights of oblong windows', () => {
    expect(refused({ kernel: [2, 3], weight_init: { call: 'bilinear', args: {} } })).toEqual(['argument/bilinear'])
    expect(refused({ kernel: [4, 4], weight_init: { call: 'bilinear', args: {} } })).toEqual([])
    expect(refused({ bias_init: { call: 'bilinear', args: {} } })).toEqual(['argument/bilinear'])
  })
})
