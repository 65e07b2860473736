import { describe, expect, test } from 'vitest'
import { built, codesOf, expectClose, freshBuffers, graphOf, net, nodeOf, noise, programOf, reasonsOf, run } from '../graph-passes/nets.ts'

const BATCH = 2
const inputs = { x: noise(BATCH * 144, 5).map((v) => 0.5 + 0.5 * v), label: [0, 2] }
const MEAN = [0.5, 0.4, -0.3, 0.1]
const STD = [0.25, 2, 0.3, 1]
const LISTS = `mean: [${MEAN.join(', ')}], std: [${STD.join(', ')}]`
/** (x - mean) / std by plain loops; x [n, 4, 6, 6] */
const normalized = (mean: readonly number[] = MEAN, std: readonly number[] = STD): number[] =>
  inputs.x.map((v, i) => {
    const c = Math.floor(i / 36) % 4
    return (v - mean[c % mean.length]!) / std[c % std.length]!
  })

describe('values', () => {
  const outputOf = (call: string, style?: 'split'): number[] => {
    const base = graphOf(net(`output y = x -> ${call}`), style)
    return run(programOf(net(`output y = x -> ${call}`), 'infer', style ? { style } : {}).graph, freshBuffers(base, 1), {
      batch: BATCH,
      inputs,
    })['y']!
  }
  test.each([
    [`normalize(${LISTS})`, normalized()],
    ['normalize(mean: 0.5, std: 0.25)', normalized([0.5], [0.25])],
    [`normalize([${MEAN.join(', ')}], 0.25)`, normalized(MEAN, [0.25])],
    [`normalize(0, [${STD.join(', ')}])`, normalized([0], STD)],
    ['normalize(mean: [0.5, 0.5, 0.5, 0.5], std: 1)', normalized([0.5], [1])],
  ])('%s', (call, want) => expectClose(outputOf(call), want))

  test('of rows, each feature is a channel', () => {
    const text = net(
      'output y = x -> reshape([2, 72]) -> flatten -> normalize(0.5, 0.1)\n output z = x -> avg_pool(6) -> flatten -> normalize(mean: [1, 2, 3, 4], std: [1, 2, 3, 4])',
    )
    const got = run(programOf(text, 'infer').graph, freshBuffers(graphOf(text), 1), { batch: BATCH, inputs })
    expectClose(got['y']!, normalized([0.5], [0.1]))
    expectClose(
      got['z']!,
      Array.from({ length: 8 }, (_, i) => (inputs.x.slice(36 * i, 36 * i + 36).reduce((a, b) => a + b) / 36 - (i % 4) - 1) / (i % 4 + 1)),
    )
  })

  test('pads that come behind it are zero', () => {
    const text = net('output y = x -> normalize(mean: 0.5, std: 0.1) -> pad(1)')
    const got = run(programOf(text, 'infer').graph, freshBuffers(graphOf(text), 1), { batch: BATCH, inputs })['y']!
    const want = normalized([0.5], [0.1])
    expectClose(
      got,
      Array.from({ length: BATCH * 4 * 64 }, (_, i) => {
        const [y, x] = [Math.floor((i % 64) / 8) - 1, (i % 8) - 1]
        return y >= 0 && y < 6 && x >= 0 && x < 6 ? want[Math.floor(i / 64) * 36 + 6 * y + x]! : 0
      }),
    )
  })
})

describe('folding', () => {
  const NETS: readonly (readonly [string, string])[] = [
    ['convolution', 'conv(3, 3) as c'],
    ['stride, dilation, no bias', 'conv(3, 2, stride: 2, dilation: 2, bias: false) as c'],
    ['groups', 'conv(6, 3, groups: 2) as c'],
    ['depthwise', 'conv(4, 3, groups: 4) as c'],
    ['inner product', 'fc(5) as c'],
    ['inner product, transposed', 'fc(5, transpose: true) as c'],
    ['with batch_norm behind it', 'conv(3, 3) as c -> batch_norm as b'],
    ['inner product with batch_norm behind it', 'fc(5, bias: false) as c -> batch_norm as b'],
  ]
  test.each(NETS)('%s: the same values, and nothing is left of it', (_, layers) => {
    const text = net(`output y = x -> normalize(${LISTS}) as n -> ${layers}`)
    const base = graphOf(text)
    const set = Object.fromEntries(
      base.parameters.map((p, i) => [
        p.name,
        noise(p.value.shape.reduce<number>((a, d) => a * (d as number), 1), i + 3).map((v) => (p.name.endsWith('var') ? 1.5 + v : v)),
      ]),
    )
    const outcome = (without?: string) => {
      const { graph } = programOf(text, 'infer', without ? { without } : {})
      expect(nodeOf(graph, 'n') === undefined).toBe(without === undefined)
      return run(graph, freshBuffers(base, 2, set), { batch: BATCH, inputs })['y']!
    }
    expectClose(outcome(), outcome('fold-normalize'))
  })

  test.each([
    ['pads', 'output y = x -> normalize(0.5, 0.25) as n -> conv(3, 3, pad: 1) as c', 'c pads with zeros behind it'],
    ['pad: same', 'output y = x -> normalize(0.5, 0.25) as n -> conv(3, 3, pad: same) as c', 'c pads with zeros behind it'],
    [
      'two readers',
      'a = x -> normalize(0.5, 0.25) as n\n output y = a -> conv(3, 3) as c\n output z = a -> conv(3, 3) as d',
      'it is read by c, d',
    ],
    ['an output', 'a = x -> normalize(0.5, 0.25) as n\n output a = a\n output y = a -> conv(3, 3) as c', 'n is an output of the net'],
    ['another layer', 'output y = x -> normalize(0.5, 0.25) as n -> relu as r', 'r behind it is no convolution or inner product'],
    [
      'a mean far from zero',
      'output y = x -> normalize(1000, 0.01) as n -> conv(3, 3) as c',
      'its mean is so many deviations from zero that a bias would lose digits',
    ],
  ])('left alone: %s', (_, body, reason) => {
    const result = programOf(net(body), 'infer')
    expect(reasonsOf(result, 'n')).toEqual([reason])
    expect(nodeOf(result.graph, 'n')).toBeDefined()
  })
  test('training leaves it alone: what learns is the weight of the file', () => {
    const { graph } = programOf(net(`loss = sum(x -> normalize(${LISTS}) as n -> fc(2))`), 'train')
    expect(nodeOf(graph, 'n')).toBeDefined()
  })
})

describe('refused', () => {
  const told = (call: string, of = 'x'): string[] => built(net(`output y = ${of} -> ${call}`)).diagnostics.map((d) => d.message)
  test.each([
    ['normalize(mean: [1, 2, 3], std: 1)', 'mean has 3 numbers, and x 4 channels'],
    ['normalize(mean: 0, std: [1, 2])', 'std has 2 numbers, and x 4 channels'],
    ['normalize(mean: 0, std: 0)', 'nothing can be divided by a std of 0'],
    ['normalize(mean: 0, std: [1, 1, 0, 1])', 'nothing can be divided by a std of 0'],
    ['normalize(mean: 0, std: -1)', 'nothing can be divided by a std of -1'],
    ['normalize(mean: 0, std: 1e-300)', 'nothing can be divided by a std of 1e-300'],
    ['normalize(mean: 0, std: 1e-39)', 'nothing can be divided by a std of 1e-39'],
    ['normalize(mean: [], std: 1)', 'mean has 0 numbers, and x 4 channels'],
  ])('%s', (call, message) => expect(told(call)).toEqual([message]))
  test('labels, and what has no channels', () => {
    expect(codesOf(built(net('output y = label -> normalize(0, 1)')).diagnostics)).toContain('shape/label-as-numbers')
    expect(codesOf(built('net t { input v: f32[3] whole\n output y = v -> normalize(0, 1) }').diagnostics)).toEqual([
      'shape/normalize-rank',
    ])
  })
  test('the place is the argument', () => {
    const [problem] = built(net('output y = x -> normalize(mean: 0, std: [1, 2])')).diagnostics
    const { span } = problem!.labels[0]!
    expect(span.source.text.slice(span.start, span.end)).toBe('std: [1, 2]')
  })
})
