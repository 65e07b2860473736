import { describe, expect, test } from 'vitest'
import type { Attributes } from '../../dsl/signature.ts'
import { nowhere } from '../../dsl/source.ts'
import type { Graph, Node, Value } from '../../compiler/graph/graph.ts'
import { value } from '../../compiler/graph/graph.ts'
import type { Equation } from '../../compiler/ir/equation.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { expandBatchNorm, type ExpandOptions } from '../../compiler/graph-passes/expand-batch-norm.ts'
import { evaluateEquation, type Numbers } from '../../compiler/targets/interpreter/evaluate.ts'
import type { Tensor } from '../../compiler/ir/tensor.ts'
import { evaluateInFloat32 } from './float32.ts'
import { reassociated } from './reassociate.ts'
import { backward, build, type Built, type Call, codes, expectClose, expectGradients, fed, forward, noise,
  runNode } from './run-operator.ts'

interface Statistics {
  readonly mean: number[]
  readonly variance: number[]
  readonly count: number
}

/** Batch statistics of each channel, two passes, in float64. */
function statisticsOf(data: ArrayLike<number>, [n, C, ...space]: readonly number[]): Statistics {
  const rest = space.reduce((a, b) => a * b, 1)
  const valuesOf = (c: number): number[] =>
    Array.from({ length: n! * rest }, (_, i) => data[(Math.floor(i / rest) * C! + c) * rest + (i % rest)]!)
  const mean = Array.from({ length: C! }, (_, c) => valuesOf(c).reduce((a, b) => a + b) / (n! * rest))
  const variance = mean.map((m, c) => valuesOf(c).reduce((sum, v) => sum + (v - m) ** 2, 0) / (n! * rest))
  return { mean, variance, count: n! * rest }
}

function normalize(
  data: ArrayLike<number>,
  shape: readonly number[],
  { mean, variance }: Pick<Statistics, 'mean' | 'variance'>,
  eps: number,
  gamma?: readonly number[],
  beta?: readonly number[],
): number[] {
  const rest = shape.slice(2).reduce((a, b) => a * b, 1)
  return Array.from(data, (v, i) => {
    const c = Math.floor(i / rest) % shape[1]!
    return ((v - mean[c]!) / Math.sqrt(variance[c]! + eps)) * (gamma?.[c] ?? 1) + (beta?.[c] ?? 0)
  })
}

/** The graph of one batch_norm, expanded. */
function expanded(built: Built, options: ExpandOptions): Graph {
  const { node } = built
  return expandBatchNorm({
    name: 'net',
    inputs: node.inputs,
    parameters: [],
    nodes: [node],
    outputs: [{ name: 'y', value: node.outputs[0]!, role: 'output' }],
  }, options)
}

const run = (built: Built, graph: Graph): void => {
  for (const node of graph.nodes) runNode(built, node)
}

const gamma = [1.5, -0.5, 0.75]
const beta = [0.1, 0.2, -0.3]
const policies: Readonly<Record<string, Attributes>> = {
  moving: { stats: { call: 'moving', args: { newest: 0.9 } } },
  cumulative: { stats: { call: 'cumulative', args: {} } },
  caffe: { stats: { call: 'caffe', args: { fraction: 0.99 } } },
}

describe('with stored statistics', () => {
  const x = fed([4, 3, 2, 5])
  const stored = { running_mean: [0.3, -1, 2], running_var: [0.5, 2, 4] }
  const used = { mean: stored.running_mean, variance: stored.running_var }

  test.each(['moving', 'cumulative'])('%s uses them as they are', (policy) => {
    const call: Call = {
      op: 'batch_norm',
      inputs: [x],
      attributes: { ...policies[policy], eps: 1e-3 },
      parameters: { ...stored, gamma, beta, ...(policy === 'cumulative' && { count: [3] }) },
    }
    expectClose(forward(call), normalize(x.data, x.shape, used, 1e-3, gamma, beta))
    // Statistics are not learned.
    expectGradients(call)
    expect(backward(call, x.data).parameters['running_mean']).toBeUndefined()
  })

  test('caffe divides the sums by their factor, and has nothing while that is 0', () => {
    const call = (factor: number): Call => ({
      op: 'batch_norm',
      inputs: [x],
      attributes: { ...policies['caffe'], affine: false, eps: 1e-3 },
      parameters: { ...stored, scale_factor: [factor] },
    })
    const divided = { mean: used.mean.map((m) => m / 2.5), variance: used.variance.map((v) => v / 2.5) }
    expectClose(forward(call(2.5)), normalize(x.data, x.shape, divided, 1e-3))
    expectGradients(call(2.5))
    expectClose(forward(call(0)), normalize(x.data, x.shape, { mean: [0, 0, 0], variance: [0, 0, 0] }, 1e-3))
  })

  test('global, with and without a factor', () => {
    const plain: Call = {
      op: 'batch_norm',
      inputs: [x],
      attributes: { stats: { call: 'global', args: {} } },
      parameters: { ...stored, gamma, beta },
    }
    expectClose(forward(plain), normalize(x.data, x.shape, used, 1e-10, gamma, beta))
    const sums: Call = {
      ...plain,
      attributes: { stats: { call: 'global', args: { scale_factor: true } } },
      parameters: { ...plain.parameters, scale_factor: [4] },
    }
    expectClose(
      forward(sums),
      normalize(x.data, x.shape, { mean: used.mean.map((m) => m / 4), variance: used.variance.map((v) => v / 4) }, 1e-10, gamma, beta),
    )
    expectGradients(sums)
  })

  test.each(['moving', 'cumulative', 'global'])('%s, never trained, passes its input on', (policy) => {
    const attributes = policies[policy] ?? { stats: { call: policy, args: {} } }
    expectClose(forward({ op: 'batch_norm', inputs: [x], attributes: { ...attributes, gamma: 1, beta: 0 } }), x.data, 1e-9)
  })
})

describe("with the batch's own statistics", () => {
  test.each([[[4, 3, 2, 5]], [[7, 3]], [[1, 3, 4, 4]], [[3, 3, 6]], [[20, 3]]])('%j', (shape) => {
    const x = fed(shape)
    const statistics = statisticsOf(x.data, shape)
    const call: Call = {
      op: 'batch_norm',
      inputs: [x],
      attributes: { stats: { call: 'batch', args: {} }, eps: 1e-3 },
      parameters: { gamma, beta },
    }
    const want = normalize(x.data, shape, statistics, 1e-3, gamma, beta)
    expectClose(forward(call), want)
    const built = build(call)
    run(built, expanded(built, { update: false, stats: 'global' }))
    expectClose(built.storage.get(built.node.outputs[0]!), want)
    expectGradients(call)
  })

  test('gradients without gamma and beta, and of long images', () => {
    expectGradients({
      op: 'batch_norm',
      inputs: [fed([3, 2, 3, 3])],
      attributes: { stats: { call: 'batch', args: {} }, affine: false, eps: 1e-3 },
    })
    const long = fed([2, 1, 80, 60])
    const call: Call = { op: 'batch_norm', inputs: [long], attributes: { stats: { call: 'batch', args: {} }, eps: 1e-3 } }
    const dy = noise(9600, 3)
    const given = backward(call, dy)
    const xhat = normalize(long.data, long.shape, statisticsOf(long.data, long.shape), 1e-3)
    expectClose(given.parameters['gamma'], [xhat.reduce((sum, v, i) => sum + v * dy[i]!, 0)], 1e-9)
    expectClose(given.parameters['beta'], [dy.reduce((a, b) => a + b)], 1e-9)
  })

  test('a constant channel and one value a channel give beta, and no gradient that is not finite', () => {
    for (const shape of [[2, 3, 2, 2], [1, 3], [1, 3, 1, 1]]) {
      const count = shape.reduce((a, b) => a * b)
      const call: Call = {
        op: 'batch_norm',
        inputs: [{ shape, data: new Array<number>(count).fill(7) }],
        attributes: { stats: { call: 'batch', args: {} } },
        parameters: { gamma, beta },
      }
      const rest = count / shape[0]! / 3
      expectClose(forward(call), Array.from({ length: count }, (_, i) => beta[Math.floor(i / rest) % 3]!))
      const given = backward(call, noise(count))
      expect([...given.inputs[0]!].every(Number.isFinite)).toBe(true)
    }
  })
})

describe('expand-batch-norm', () => {
  const x = fed([4, 3, 2, 5])
  const callOf = (attributes: Attributes): Call => ({
    op: 'batch_norm',
    inputs: [x],
    attributes: { ...attributes, eps: 1e-3 },
    parameters: { gamma, beta },
  })
  const ops = (attributes: Attributes, options: ExpandOptions): string[] =>
    expanded(build(callOf(attributes)), options).nodes.map((node) => node.op)

  test('takes apart what normalizes with the batch, and leaves the rest alone', () => {
    const train = { update: true, stats: 'train' } as const
    expect(ops(policies['moving']!, train)).toEqual(['moments', 'batch_normalize', 'update_statistics'])
    expect(ops(policies['cumulative']!, train)).toEqual(['moments', 'batch_normalize', 'update_statistics', 'update_counts'])
    expect(ops(policies['moving']!, { update: false, stats: 'train' })).toEqual(['moments', 'batch_normalize'])
    expect(ops({ stats: { call: 'batch', args: {} } }, train)).toEqual(['moments', 'batch_normalize'])
    expect(ops({ stats: { call: 'global', args: {} } }, train)).toEqual(['batch_norm'])
    expect(ops({ stats: { call: 'global', args: {} } }, { update: false, stats: 'batch' })).toEqual(['moments', 'batch_normalize'])
    expect(ops(policies['moving']!, { update: false, stats: 'global' })).toEqual(['batch_norm'])
    expect(ops({ stats: { call: 'batch', args: {} } }, { update: false, stats: 'global' })).toEqual(['moments', 'batch_normalize'])
  })

  test('keeps the value that others read', () => {
    const built = build(callOf(policies['moving']!))
    const graph = expanded(built, { update: true, stats: 'train' })
    expect(graph.nodes.find((node) => node.op === 'batch_normalize')!.outputs[0]).toBe(built.node.outputs[0])
    expect(graph.outputs[0]!.value).toBe(built.node.outputs[0])
  })

  const formulas: Readonly<Record<string, (stored: number, batch: number, seen: number) => number>> = {
    moving: (r, m) => 0.9 * m + 0.1 * r,
    cumulative: (r, m, seen) => (r * seen + m) / (seen + 1),
    caffe: (r, m) => r * 0.99 + m,
  }
  test.each([
    ['moving', {}],
    ['moving', { unbiased: true }],
    ['cumulative', {}],
    ['cumulative', { unbiased: true }],
    ['caffe', {}],
  ])('%s %j follows three batches', (policy, more) => {
    const attributes = { ...policies[policy], ...more }
    const start = { running_mean: [0.5, 0, -1], running_var: [2, 1, 0.25] }
    const built = build({
      ...callOf(attributes),
      parameters: { gamma, beta, ...start, ...(policy === 'moving' ? {} : { [policy === 'caffe' ? 'scale_factor' : 'count']: [2] }) },
    })
    const graph = expanded(built, { update: true, stats: 'train' })
    let { running_mean: mean, running_var: variance } = start
    let count = 2
    for (let batch = 0; batch < 3; batch++) {
      const data = noise(120, 50 + batch)
      built.storage.set(built.node.inputs[0]!, data)
      run(built, graph)
      const seen = statisticsOf(data, x.shape)
      const corrected = policy === 'caffe' || 'unbiased' in more ? 40 / 39 : 1
      mean = mean.map((r, c) => formulas[policy]!(r, seen.mean[c]!, count))
      variance = variance.map((r, c) => formulas[policy]!(r, seen.variance[c]! * corrected, count))
      count = policy === 'caffe' ? count * 0.99 + 1 : count + 1
      const role = (name: string): ArrayLike<number> => built.storage.get(built.node.parameters[name]!)!
      expectClose(role('running_mean'), mean)
      expectClose(role('running_var'), variance)
      if (policy !== 'moving') expectClose(role(policy === 'caffe' ? 'scale_factor' : 'count'), [count])
    }
  })

  test.each([
    ['moving', 2],
    ['cumulative', 2],
    ['caffe', 2],
    ['caffe', 0],
  ])('%s leaves the statistics of a channel that are no numbers as they are used, after %d batches', (policy, count) => {
    const start = count === 0 ? { running_mean: [0, 0, 0], running_var: [0, 0, 0] }
      : { running_mean: [0.5, 0.25, -1], running_var: [2, 1, 0.25] }
    const counter = policy === 'moving' ? {} : { [policy === 'caffe' ? 'scale_factor' : 'count']: [count] }
    const built = build({ ...callOf(policies[policy]!), parameters: { gamma, beta, ...start, ...counter } })
    const data = noise(120, 50)
    const channels = x.shape[1] as number
    const points = data.length / ((x.shape[0] as number) * channels)
    // Of channel 1 one number is none.
    data[points + 1] = NaN
    built.storage.set(built.node.inputs[0]!, data)
    run(built, expanded(built, { update: true, stats: 'train' }))
    const role = (name: string): ArrayLike<number> => built.storage.get(built.node.parameters[name]!)!
    const divisor = (sums: number): number => (policy !== 'caffe' ? 1 : sums === 0 ? Infinity : sums)
    const now = policy === 'caffe' ? role('scale_factor')[0]! : 0
    if (policy === 'caffe') expect(now).toBeCloseTo(count * 0.99 + 1, 12)
    for (const name of ['running_mean', 'running_var'] as const)
      expect(role(name)[1]! / divisor(now)).toBeCloseTo(start[name][1]! / divisor(count), 12)
    // The other channels follow the batch.
    expect(role('running_mean')[0]).toBeCloseTo(formulas[policy]!(start.running_mean[0]!, statisticsOf(data, x.shape).mean[0]!, count), 10)
  })

  test('the variance of one value is not corrected', () => {
    const built = build({ op: 'batch_norm', inputs: [fed([1, 3])], attributes: policies['caffe']!, parameters: { gamma, beta } })
    run(built, expanded(built, { update: true, stats: 'train' }))
    expectClose(built.storage.get(built.node.parameters['running_var']!), [0, 0, 0])
    expectClose(built.storage.get(built.node.parameters['running_mean']!), fed([1, 3]).data)
  })

  test('layers that share statistics count one after the other; others are counted together', () => {
    const built = build(callOf(policies['cumulative']!))
    const twin: Node = { ...built.node, name: 'twin', outputs: [value('z', built.node.outputs[0]!.shape, nowhere)] }
    const graphOf = (nodes: readonly Node[]): Graph =>
      expandBatchNorm({ name: 'net', inputs: built.node.inputs, parameters: [], nodes, outputs: [] }, { update: true, stats: 'train' })
    run(built, graphOf([built.node, twin]))
    expectClose(built.storage.get(built.node.parameters['count']!), [2])
    // The mean of two equal batches is that of one.
    expectClose(built.storage.get(built.node.parameters['running_mean']!), statisticsOf(x.data, x.shape).mean)
    const nine = Array.from({ length: 9 }, (_, i): Node => {
      const own: Record<string, Value> = Object.fromEntries(
        Object.entries(built.node.parameters).map(([role, p]) => [role, value(role, p.shape, nowhere)]),
      )
      return { ...built.node, name: `bn${i}`, parameters: own, outputs: [value(`y${i}`, built.node.outputs[0]!.shape, nowhere)] }
    })
    expect(graphOf(nine).nodes.filter((node) => node.op === 'update_counts').map((node) => node.outputs.length)).toEqual([7, 2])
  })
})

describe('in float32, with eps 1e-10', () => {
  /** Forward and backward with every operation rounded, and the same in float64. */
  function both(
    shape: readonly number[],
    data: Float32Array,
    compiled: (e: Equation) => Equation,
  ): { y: ArrayLike<number>[]; dx: ArrayLike<number>[] } {
    const dy = Float32Array.from(noise(data.length, 5))
    const results = [
      (e: Equation, storage: Map<Tensor, Numbers>, batch: number) => evaluateInFloat32(compiled(e), storage, batch),
      (e: Equation, storage: Map<Tensor, Numbers>, batch: number) => evaluateEquation(e, storage, { batch }),
    ].map((evaluate, exact) => {
      const built = build({
        op: 'batch_norm',
        inputs: [{ shape, data: Array.from(data) }],
        attributes: { stats: { call: 'batch', args: {} }, affine: false },
      })
      const made = exact ? Float64Array : Float32Array
      const runNode32 = (node: Node): void => {
        for (const e of operators.get(node.op)!.equations(node)) evaluate(e, built.storage, shape[0]!)
      }
      const graph = expanded(built, { update: false, stats: 'batch' })
      graph.nodes.forEach(runNode32)
      const normalizeNode = graph.nodes[1]!
      const dOut = value('dy', built.node.outputs[0]!.shape, nowhere)
      built.storage.set(dOut, made.from(dy))
      const given = operators.get('batch_normalize')!.gradient!(normalizeNode, dOut, {
        needs: () => true,
        node: (spec) => {
          const outputs = spec.outputs.map((o) => value(o.name, o.shape, nowhere))
          runNode32({
            name: spec.suffix,
            op: spec.op,
            layer: 'bn',
            inputs: spec.inputs,
            parameters: spec.parameters ?? {},
            attributes: {},
            outputs,
            span: nowhere,
          })
          return outputs
        },
      })
      return { y: built.storage.get(built.node.outputs[0]!)!, dx: built.storage.get(given.inputs![0]!)! }
    })
    return { y: results.map((r) => r.y), dx: results.map((r) => r.dx) }
  }
  const largest = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => Math.max(a, Math.abs(b)), 0)

  const cases = [
    ['mean 1000, deviation 0.01', [6, 2, 7, 5], (v: number) => 1000 + v * 0.01],
    ['mean 1000, deviation 0.01 of features', [20, 3], (v: number) => 1000 + v * 0.01],
    ['a channel that is constant', [3, 2, 4, 4], () => 0.1],
    ['tiny deviations', [3, 2, 4, 4], (v: number) => v * 1e-6],
    ['large numbers', [3, 2, 4, 4], (v: number) => v * 1e6],
  ] as const
  const compilers = [['as written', (e: Equation) => e], [
    'by a compiler that takes it for real numbers',
    (e: Equation) => reassociated(e),
  ]] as const
  const dataOf = ([, shape, f]: (typeof cases)[number]): Float32Array =>
    Float32Array.from(noise(shape.reduce<number>((a, b) => a * b, 1)), f)

  test('what such a compiler makes of equations that do not mind it loses the digits', () => {
    const { y } = both(cases[0][1], dataOf(cases[0]), (e) => reassociated(e, true))
    expect(Math.max(...Array.from(y[0]!, (v, i) => Math.abs(v - y[1]![i]!)))).toBeGreaterThan(1e-4)
  })

  test.each(compilers.flatMap(([how, compiled]) => cases.map((c) => [`${c[0]}, ${how}`, c, compiled] as const)))('%s', (_, c, compiled) => {
    const { y, dx } = both(c[1], dataOf(c), compiled)
    // One float32 for the mean would be wrong by up to 3e-5 at 1000: 0.003 deviations, and by 1e5 where they are 0.
    expectClose(Array.from(y[0]!, (v) => v / 2), Array.from(y[1]!, (v) => v / 2), 2e-6, 'y')
    const scale = Math.max(largest(dx[1]!), 1e-30)
    expectClose(Array.from(dx[0]!, (v) => v / scale), Array.from(dx[1]!, (v) => v / scale), 4e-6, 'dx')
  })
})

test('needs channels, and numbers', () => {
  expect(codes({ op: 'batch_norm', inputs: [fed([4])] })).toEqual(['shape/batch-norm-rank'])
  expect(codes({ op: 'batch_norm', inputs: [fed([4, 4], 1, { labels: true })] })).toEqual(['shape/label-as-numbers'])
})

test('parameters and what they start with', () => {
  const of = (attributes: Attributes): Record<string, unknown> => {
    const { node, storage } = build({ op: 'batch_norm', inputs: [fed([2, 2])], attributes })
    return Object.fromEntries(Object.entries(node.parameters).map(([role, p]) => [role, [...storage.get(p)!]]))
  }
  expect(of({})).toEqual({ gamma: [1.0000001, 1.0000001], beta: [1e-7, 1e-7], running_mean: [0, 0], running_var: [1, 1] })
  expect(of({ gamma: 2, beta: 3, stats: { call: 'batch', args: {} } })).toEqual({ gamma: [2, 2], beta: [3, 3] })
  expect(of({ affine: false, ...policies['caffe'] })).toEqual({ running_mean: [0, 0], running_var: [0, 0], scale_factor: [0] })
  expect(of({ affine: false, ...policies['cumulative'] })).toEqual({ running_mean: [0, 0], running_var: [1, 1], count: [0] })
})
