import { describe, expect, test } from 'vitest'
import { type Node, value } from '../../compiler/graph/graph.ts'
import { printGraph } from '../../compiler/graph/print.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { foldBatchNorm } from '../../compiler/graph-passes/fold-batch-norm.ts'
import { evaluateEquation, type Numbers } from '../../compiler/targets/interpreter/evaluate.ts'
import type { Tensor } from '../../compiler/ir/tensor.ts'
import { nowhere } from '../../dsl/source.ts'
import { expectClose, freshBuffers, graphOf, net, noise, opsOf, passed, programOf, reasonsOf, run } from './nets.ts'

const inputs = { x: noise(3 * 144), label: [0, 2, 1] }
const positive = (count: number, seed: number): number[] => noise(count, seed).map((v) => 1.5 + v)

/** Both styles on the same parameters and statistics: split computes the layers one by one. */
function bothStyles(
  body: string,
  extra: Record<string, readonly number[]> = {},
): { merged: Record<string, number[]>; split: Record<string, number[]>; ops: string[] } {
  const result = (style: 'merged' | 'split'): { values: Record<string, number[]>; ops: string[] } => {
    const base = graphOf(net(body), style)
    const set = Object.fromEntries(
      base.parameters.filter((p) => !p.name.endsWith('.weight')).map(({ name, value }, i) => {
        const count = value.shape[0] as number
        return [
          name,
          name.endsWith('_var') || name.endsWith('count') || name.endsWith('scale_factor') ? positive(count, i) : noise(count, i),
        ]
      }),
    )
    const { graph } = passed(base, 'infer')
    return { values: run(graph, freshBuffers(base, 5, { ...set, ...extra }), { batch: 3, inputs }), ops: opsOf(graph) }
  }
  const merged = result('merged')
  return { merged: merged.values, split: result('split').values, ops: merged.ops }
}

describe('infers what the layers infer one by one', () => {
  test.each([
    ['conv', 'output o = x -> conv(6, 3) -> batch_norm', ['conv']],
    ['conv without bias', 'output o = x -> conv(6, 3, bias: false) -> batch_norm(eps: 1e-5)', ['conv']],
    ['conv in groups', 'output o = x -> conv(6, 3, groups: 2) -> batch_norm', ['conv']],
    ['depthwise', 'output o = x -> conv(4, 3, groups: 4) -> batch_norm', ['conv']],
    ["Caffe's spelling", 'output o = x -> conv(6, 3, bias: false) -> batch_norm(affine: false) -> scale', ['conv']],
    ['no gamma at all', 'output o = x -> conv(6, 3) -> batch_norm(affine: false)', ['conv']],
    ['a scale without bias', 'output o = x -> conv(6, 3) -> batch_norm(affine: false) -> scale(bias: false)', ['conv']],
    ['inner product', 'output o = x -> fc(5) -> batch_norm', ['fc']],
    ['inner product with its weight as [in, out]', 'output o = x -> fc(5, transpose: true) -> batch_norm', ['fc']],
    ['transposed convolution', 'output o = x -> deconv(6, 3, stride: 2) -> batch_norm', ['deconv']],
    ['transposed convolution in groups', 'output o = x -> deconv(6, 3, stride: 2, groups: 2) -> batch_norm', ['deconv']],
    ['dropout between', 'output o = x -> conv(6, 3) -> dropout(0.5) -> batch_norm', ['conv']],
    ['twice', 'output o = x -> conv(6, 3) -> batch_norm -> batch_norm', ['conv']],
    [
      'a shared weight under two normalizations',
      'a = x -> conv(4, 3, pad: 1) as one -> batch_norm -> relu\n output o = a -> conv(4, 3, pad: 1, weights: one) -> batch_norm',
      ['conv', 'relu', 'conv'],
    ],
    ['sums of Caffe', 'output o = x -> conv(6, 3) -> batch_norm(stats: caffe(fraction: 0.9))', ['conv']],
    ['cumulative', 'output o = x -> conv(6, 3) -> batch_norm(stats: cumulative)', ['conv']],
    ['in front of a convolution', 'output o = x -> batch_norm -> relu -> conv(3, 3)', ['normalize_folded', 'relu', 'conv']],
    ['behind pooling', 'output o = x -> conv(6, 3) -> max_pool(2) -> batch_norm', ['conv', 'max_pool', 'normalize_folded']],
  ])('%s', (_, body, ops) => {
    const got = bothStyles(body)
    expect(got.ops).toEqual(ops)
    expectClose(got.merged['o']!, got.split['o']!)
  })

  test('statistics of which none were gathered yet', () => {
    const got = bothStyles('output o = x -> conv(6, 3) -> batch_norm(stats: caffe, eps: 0.5) as b', {
      'b.scale_factor': [0],
      'b.running_mean': [0, 0, 0, 0, 0, 0],
      'b.running_var': [0, 0, 0, 0, 0, 0],
    })
    expectClose(got.merged['o']!, got.split['o']!)
  })
})

test('the folded values follow the parameters: prepare runs again, the program stays', () => {
  const base = graphOf(net('output o = x -> conv(2, 1, bias: false) as c -> batch_norm(affine: false, eps: 0) as b'))
  const { graph } = passed(base, 'infer')
  const ones = { 'c.weight': [1, 0, 0, 0, 0, 1, 0, 0], 'b.running_mean': [1, 2], 'b.running_var': [4, 9] }
  const x = noise(144)
  const { o } = run(graph, freshBuffers(base, 1, ones), { batch: 1, inputs: { x } })
  expectClose(o!, x.slice(0, 72).map((v, i) => (i < 36 ? (v - 1) / 2 : (v - 2) / 3)))
  const doubled = run(graph, freshBuffers(base, 1, { ...ones, 'c.weight': ones['c.weight'].map((w) => 2 * w) }), {
    batch: 1,
    inputs: { x },
  })
  expectClose(doubled['o']!, x.slice(0, 72).map((v, i) => (i < 36 ? (2 * v - 1) / 2 : (2 * v - 2) / 3)))
})

test.each(
  [
    ['oihw', 1, [4, 2], (o: number) => o],
    // Transposed, in two groups of two inputs and three outputs: input i belongs to group i / 2.
    ['iohw', 2, [4, 3], (i: number, o: number) => Math.floor(i / 2) * 3 + o],
    ['iohw', 1, [4, 3], (_: number, o: number) => o],
  ] as const,
)('k goes along the output channels of %s in %i groups', (layout, groups, [rows, columns], channelOf) => {
  const channels = layout === 'oihw' ? rows : columns * groups
  const weight = value('w', [rows, columns, 1, 1], nowhere)
  const k = value('k', [channels], nowhere)
  const out = value('folded', weight.shape, nowhere)
  const node: Node = {
    name: 'f',
    op: 'fold_weight',
    layer: 'f',
    inputs: [k],
    parameters: { weight },
    outputs: [out],
    attributes: { layout, groups },
    span: nowhere,
  }
  const storage = new Map<Tensor, Numbers>([[weight, Float64Array.from(noise(rows * columns))], [k, Float64Array.from(noise(channels, 2))]])
  for (const equation of operators.get('fold_weight')!.equations(node)) evaluateEquation(equation, storage, { batch: 1 })
  expectClose(
    [...storage.get(out)!],
    noise(rows * columns).map((w, at) => w * noise(channels, 2)[channelOf(Math.floor(at / columns), at % columns)]!),
  )
})

describe('what it leaves alone', () => {
  const unchanged = (body: string, style?: 'split'): readonly { node: string; reason: string }[] => {
    const graph = graphOf(net(body), style)
    const result = foldBatchNorm.run(graph, { program: 'infer', operators })
    expect(printGraph(result.graph)).toBe(printGraph(graph))
    return result.declined
  }
  test('a convolution that is read twice', () => {
    expect(unchanged('c = x -> conv(4, 3) as c\n output o = add(c -> batch_norm as b, c -> relu as r)')).toEqual([{
      node: 'b',
      reason: 'c is read elsewhere too, by r',
    }])
  })
  test('an inner product of the last axis, whose outputs are not the channels', () => {
    expect(unchanged('output o = x -> fc(6, axis: -1) -> batch_norm as b')).toEqual([{ node: 'b', reason: 'no convolution in front' }])
  })
  test('a convolution that two normalizations read', () => {
    expect(unchanged('c = x -> conv(4, 3) as c\n output o = add(c -> batch_norm as b1, c -> batch_norm as b2)').map((d) => d.reason))
      .toEqual([
        'c is read elsewhere too, by b2',
        'c is read elsewhere too, by b1',
      ])
  })
  test('a convolution that is an output', () => {
    expect(unchanged('c = x -> conv(4, 3) as c\n output raw = c\n output o = c -> batch_norm as b')).toEqual([{
      node: 'b',
      reason: 'c is an output of the net before b',
    }])
  })
  test('pooling between', () => {
    expect(unchanged('output o = x -> conv(4, 3) as c -> max_pool(2) as p -> batch_norm as b')).toEqual([{
      node: 'b',
      reason: 'pooling stands between it and c: p',
    }])
  })
  test('an activation between, and nothing at all', () => {
    expect(unchanged('y = x -> conv(4, 3) -> relu -> batch_norm as b1\n output o = add(y, y)')).toEqual([{
      node: 'b1',
      reason: 'no convolution in front',
    }])
    expect(unchanged('output o = x -> batch_norm as b')).toEqual([{ node: 'b', reason: 'no convolution in front' }])
  })
  test('test batches with their own statistics', () => {
    expect(unchanged('output o = x -> conv(4, 3) -> batch_norm(stats: batch) as b')).toEqual([{
      node: 'b',
      reason: 'test batches use their own statistics',
    }])
  })
  test('split style', () => expect(unchanged('output o = x -> conv(4, 3) -> batch_norm', 'split')).toEqual([]))
  test('programs in which batches have their own statistics', () => {
    for (const program of ['infer/batch', 'eval/batch', 'train'] as const) {
      const { graph } = programOf(net('y = x -> conv(4, 3) -> batch_norm\n output o = y\n loss = sum(y)'), program)
      expect(graph.prepare ?? []).toEqual([])
      expect(opsOf(graph)).toContain('moments')
    }
  })
})

test('a reading that nobody asks for at inference does not stop folding', () => {
  const text = net('c = x -> conv(4, 3) as c\n output o = c -> batch_norm as b\n metric raw = sum(c)')
  expect(opsOf(programOf(text, 'infer').graph)).toEqual(['conv'])
  const evaluated = programOf(text, 'eval')
  expect(opsOf(evaluated.graph)).toEqual(['conv', 'normalize_folded', 'sum'])
  expect(reasonsOf(evaluated, 'b')).toEqual(['c is read elsewhere too, by sum_1'])
})
