import { describe, expect, test } from 'vitest'
import { expectClose, freshBuffers, graphOf, net, nodeOf, noise, programOf, reasonsOf, run } from './nets.ts'

const BATCH = 2
const inputs = { x: noise(BATCH * 144, 5).map((v) => 0.5 + 0.5 * v), label: [0, 2] }
const LISTS = 'mean: [0.5, 0.4, -0.3, 0.1], std: [0.25, 2, 0.3, 1]'

describe('fold-normalize', () => {
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
