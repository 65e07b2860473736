import { describe, expect, test } from 'vitest'
import { built, codesOf, expectClose, freshBuffers, graphOf, net, noise, programOf, run } from '../graph-passes/nets.ts'

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
