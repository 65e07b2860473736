import { describe, expect, test } from 'vitest'
import { expectClose, freshBuffers, graphOf, net, nodeOf, noise, opsOf, passed, programOf, reasonsOf, run } from './nets.ts'

const opsIn = (chain: string): string[] => opsOf(programOf(net(`output y = x -> ${chain}`), 'infer').graph)

describe('an average goes in front of a convolution of 1 x 1', () => {
  const hoisted: readonly (readonly [string, string])[] = [
    ['a transition of DenseNet', 'relu -> conv(8, 1, bias: false) -> avg_pool(2)'],
    ['with a bias', 'conv(8, 1) -> avg_pool(2)'],
    ['fewer channels behind it', 'conv(2, 1) -> avg_pool(3, stride: 2)'],
    ['in groups', 'conv(8, 1, groups: 4) -> avg_pool([2, 3])'],
    ['of the whole map', 'conv(3, 1) -> global_avg_pool'],
    ['padding that is not counted', 'conv(5, 1) -> avg_pool(3, stride: 2, pad: 1, count: valid)'],
    ['padding that is, without a bias', 'conv(5, 1, bias: false) -> avg_pool(3, stride: 2, pad: 1, count: padded)'],
    ['a window that hangs over the edge', 'conv(5, 1) -> avg_pool(4, stride: 4, round: ceil)'],
    ['dilated windows', 'conv(5, 1) -> avg_pool(2, stride: 2, dilation: 3)'],
  ]
  for (const [what, chain] of hoisted) {
    test(`${what}: the same numbers, and gradients`, () => {
      const text = net(`output y = x -> ${chain}\n loss = softmax_loss(y -> fc(3), label)`)
      for (const program of ['infer', 'gradients'] as const) {
        const base = graphOf(text)
        const inputs = { x: noise(3 * 4 * 36), label: [0, 2, 1] }
        const results = [undefined, 'hoist-average'].map((without) => {
          const { graph } = passed(base, program, without ? { without } : {})
          const order = opsOf(graph).filter((op) => op === 'conv' || op.endsWith('avg_pool'))
          expect(order[0]).toBe(without ? 'conv' : order.find((op) => op.endsWith('avg_pool')))
          return run(graph, freshBuffers(base, 7), { batch: 3, inputs })
        })
        expect(Object.keys(results[0]!).sort()).toEqual(Object.keys(results[1]!).sort())
        for (const [name, values] of Object.entries(results[0]!)) expectClose(values, results[1]![name]!, 1e-12)
      }
    })
  }

  test('batch_norm behind the average is then folded', () => {
    expect(opsIn('conv(8, 1) -> avg_pool(2) -> batch_norm')).toEqual(['avg_pool', 'conv'])
  })

  test('the convolution has as many points as there are windows', () => {
    const { graph } = programOf(net('output y = x -> conv(8, 1) as c -> avg_pool(2) as p'), 'infer')
    expect(nodeOf(graph, 'c')!.inputs[0]!.shape).toEqual(['n', 4, 3, 3])
    expect(nodeOf(graph, 'p')!.inputs[0]!.name).toBe('x')
  })
})

describe('it stays where it is', () => {
  const left: readonly (readonly [string, string])[] = [
    ['a window of the convolution', 'conv(8, 3) -> avg_pool(2)'],
    ['a stride of the convolution', 'conv(8, 1, stride: 2) -> avg_pool(3)'],
    ['padding of the convolution', 'conv(8, 1, pad: 1) -> avg_pool(2)'],
    ['a maximum', 'conv(8, 1) -> max_pool(2)'],
    ['an activation between them', 'conv(8, 1) -> relu -> avg_pool(2)'],
    // 6 x 6 points, of which 4 x 4 windows add up nine each: 160 products are saved for 288 sums more.
    ['windows that overlap, of channels that the convolution leaves out', 'conv(2, 1) -> avg_pool(3, stride: 1)'],
    ['as many windows as points', 'conv(2, 1, bias: false) -> avg_pool(3, stride: 1, pad: 1)'],
  ]
  test.each(left)('%s', (_, chain) => {
    expect(opsIn(chain)[0]).toBe('conv')
  })

  test('a bias of which windows at the border take a part', () => {
    const result = programOf(net('output y = x -> conv(8, 1) -> avg_pool(3, stride: 2, pad: 1, count: padded) as p'), 'infer')
    expect(opsOf(result.graph)).toEqual(['conv', 'avg_pool'])
    expect(reasonsOf(result, 'p')).toEqual(['conv_1 in front of it has a bias, of which windows at the border take a part'])
  })

  test('what else is read', () => {
    const result = programOf(net('c = x -> conv(8, 1) as c\n output y = c -> avg_pool(2) as p\n output z = c -> relu'), 'infer')
    expect(reasonsOf(result, 'p')).toEqual(['c in front of it is read by relu_1'])
    const given = programOf(net('output c = x -> conv(8, 1) as c\n output y = c -> avg_pool(2) as p'), 'infer')
    expect(reasonsOf(given, 'p')).toEqual(['c in front of it is an output of the net'])
  })
})
