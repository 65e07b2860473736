import { expect, test } from 'vitest'
import { operators } from '../../compiler/ops/registry.ts'
import { vocabulary } from '../../compiler/front-end/vocabulary.ts'
import { buildGraph } from '../../compiler/front-end/build-graph.ts'
import { loadProgram } from '../../dsl/index.ts'

/** Layers with windows as a file writes them: what the front end hands on is what the operators understand. */
function read(chain: string) {
  const text = `net test {\n  input x: f32[3, 12, 10]\n  output y = x -> ${chain}\n}\n`
  const { program, diagnostics } = loadProgram({ file: 'test.net', text }, { vocabulary })
  if (!program) return { diagnostics, text }
  const built = buildGraph(program, { operators })
  return { diagnostics: [...diagnostics, ...built.diagnostics], graph: built.graph, text }
}

test.each<[string, readonly (number | string)[]]>([
  ['conv(16, 3)', ['n', 16, 10, 8]],
  ['conv(16, [3, 5])', ['n', 16, 10, 6]],
  ['conv(16, 3, stride: 2, pad: 1)', ['n', 16, 6, 5]],
  ['conv(16, [4, 3], stride: [3, 2], pad: same)', ['n', 16, 4, 5]],
  ['conv(6, 3, dilation: [2, 1], groups: 3, bias: false)', ['n', 6, 8, 8]],
  ['conv(4, 3, weight_init: gaussian(0.01), bias_init: 0.1, lr_mult: [1, 2], decay_mult: [1, 0])', ['n', 4, 10, 8]],
  ['conv(4, 3, weight_init: msra(variance_norm: fan_out), bias_init: uniform(-1, 1))', ['n', 4, 10, 8]],
  ['conv(16, 3, stride: 2, pad: [0, 1, 2, 0])', ['n', 16, 6, 5]],
  ['avg_pool(3, stride: 2, pad: [0, 1, 1, 0], count: valid)', ['n', 3, 6, 5]],
  ['deconv(8, 4, stride: 2, pad: 1)', ['n', 8, 24, 20]],
  ['deconv(8, 3, stride: 2, pad: 1, output_pad: 1)', ['n', 8, 24, 20]],
  ['deconv(3, 4, stride: 2, pad: 1, groups: 3, weight_init: bilinear, bias: false)', ['n', 3, 24, 20]],
  ['fc(7)', ['n', 7]],
  ['fc(7, transpose: true, weight_init: xavier, bias_init: constant(0.5))', ['n', 7]],
  ['max_pool(2)', ['n', 3, 6, 5]],
  ['max_pool(3, stride: 2, round: ceil)', ['n', 3, 6, 5]],
  ['avg_pool([3, 2], stride: 2, pad: [1, 0], count: valid)', ['n', 3, 6, 5]],
  ['global_avg_pool', ['n', 3, 1, 1]],
  ['global_max_pool -> fc(2)', ['n', 2]],
  ['lrn', ['n', 3, 12, 10]],
  ['lrn(3, alpha: 5e-5, region: within)', ['n', 3, 12, 10]],
  ['upsample(2)', ['n', 3, 24, 20]],
  ['upsample([2, 3], mode: bilinear)', ['n', 3, 24, 30]],
  ['pad(1)', ['n', 3, 14, 12]],
  ['pad([0, 1, 2, 3], value: -1)', ['n', 3, 13, 15]],
  ['pad(channels: [2, 3])', ['n', 8, 12, 10]],
])('%s', (chain, shape) => {
  const { diagnostics, graph } = read(chain)
  expect(diagnostics).toEqual([])
  expect(graph!.outputs[0]!.value.shape).toEqual(shape)
})

/** Code of the only error, and what of the text it underlines. */
test.each<[string, string, string]>([
  ['conv(16, 3, stride: 0)', 'argument/range', '0'],
  ['conv(0, 3)', 'argument/range', '0'],
  ['conv(16, 13)', 'shape/conv-window', 'conv(16, 13)'],
  ['conv(16, 3, groups: 2)', 'argument/groups', 'groups: 2'],
  ['fc(10) -> conv(4, 3)', 'shape/conv-rank', 'conv(4, 3)'],
  ['max_pool(2, pad: 2)', 'argument/max-pool-pad', 'pad: 2'],
  ['avg_pool(2, count: all)', 'argument/word', 'all'],
  ['deconv(4, 3, output_pad: 1)', 'argument/output-pad', 'output_pad: 1'],
  ['conv(4, [3, 5], weight_init: bilinear)', 'argument/bilinear', 'weight_init: bilinear'],
  ['lrn(size: 4)', 'argument/lrn-size', 'size: 4'],
  ['pad([1, 2, 3])', 'argument/pad-size', '[1, 2, 3]'],
])('refuses %s with %s', (chain, code, underlined) => {
  const { diagnostics, text } = read(chain)
  expect(diagnostics.map((d) => d.code)).toEqual([code])
  const { span } = diagnostics[0]!.labels[0]!
  expect(text.slice(span.start, span.end)).toBe(underlined)
})

test('padding of four sides that are equal two by two is that of height and width', () => {
  const padding = (pad: string) => read(`conv(4, 3, pad: ${pad})`).graph!.nodes[0]!.attributes['pad']
  expect([padding('[1, 1, 2, 2]'), padding('[1, 0, 2, 2]'), padding('2')]).toEqual([[1, 2], [1, 0, 2, 2], [2, 2]])
  expect(read('conv(4, 3, pad: [1, 0, 2])').diagnostics[0]!.message)
    .toBe('pad of conv is a number, [height, width], [top, bottom, left, right] or same, not a list of 3')
})
