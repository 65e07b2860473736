import { describe, expect, test } from 'vitest'
import { backward, type Call, codes, expectClose, expectGradients, type Fed, fed, forward, noise } from './run-operator.ts'

const labels = (shape: readonly number[], data: readonly number[], classes?: number): Fed => ({
  shape,
  data,
  labels: true,
  ...(classes && { classes }),
})
const logSoftmax = (scores: readonly number[], at: number): number =>
  scores[at]! - Math.log(scores.reduce((sum, v) => sum + Math.exp(v), 0))

describe('softmax_loss', () => {
  const x = fed([6, 4])
  const given = [0, 3, -1, 2, 2, -1]
  const row = (i: number): number[] => Array.from(x.data).slice(4 * i, 4 * i + 4)
  const total = given.reduce((sum, label, i) => (label < 0 ? sum : sum - logSoftmax(row(i), label)), 0)
  const call = (attributes: Call['attributes'] = {}): Call => ({ op: 'softmax_loss', inputs: [x, labels([6], given)], attributes })

  test.each([['valid', 4], ['full', 6], ['batch_size', 6], ['none', 1]])('divides by what %s says', (normalization, divisor) => {
    expectClose(forward(call({ normalization })), [total / divisor])
    expectGradients(call({ normalization }))
  })

  test('divides by the labels that count unless told otherwise, whatever its weight', () => {
    expectClose(forward(call()), [total / 4])
    expectClose(forward(call({ weight: 3 })), [total / 4])
  })

  test('labels of a class count w times where a second loss leaves them out, as hints have it', () => {
    const [k, w] = [2, 3.5]
    const [whole, rest] = [-1, k].map((ignore) =>
      forward({
        op: 'softmax_loss',
        inputs: [x, labels([4], [0, 3, 2, 2])].map((
          f,
          i,
        ) => (i === 0 ? { ...f, shape: [4, 4], data: Array.from(f.data).slice(0, 16) } : f)),
        attributes: { ignore, normalization: 'full' },
      })[0]!
    )
    const weighted = [0, 3, 2, 2].reduce((sum, label, i) => sum - (label === k ? w : 1) * logSoftmax(row(i), label), 0)
    expectClose([w * whole! + (1 - w) * rest!], [weighted / 4])
  })

  test('of a map: a label a pixel', () => {
    const map = fed([2, 3, 2, 4])
    const pixels = labels([2, 2, 4], [0, 1, 2, 255, 255, 1, 1, 0, 0, 0, 0, 255, 2, 2, 2, 1])
    let sum = 0
    pixels.data.forEach((label, p) => {
      if (label === 255) return
      const scores = [0, 1, 2].map((c) => map.data[(Math.floor(p / 8) * 3 + c) * 8 + (p % 8)]!)
      sum -= logSoftmax(scores, label)
    })
    for (const [normalization, divisor] of [['valid', 13], ['full', 16], ['batch_size', 2], ['none', 1]] as const) {
      const of: Call = { op: 'softmax_loss', inputs: [map, pixels], attributes: { ignore: 255, normalization } }
      expectClose(forward(of), [sum / divisor])
      expectGradients(of)
    }
  })

  test('ignores all: loss 0, gradient 0', () => {
    const ignored: Call = { op: 'softmax_loss', inputs: [x, labels([6], [-1, -1, -1, -1, -1, -1])] }
    expect([...forward(ignored)]).toEqual([0])
    expect([...backward(ignored, [1]).inputs[0]!].every((d) => d === 0)).toBe(true)
  })

  test('of huge scores', () => {
    const of: Call = { op: 'softmax_loss', inputs: [{ shape: [2, 3], data: [1e4, 0, -1e4, 700, 710, 720] }, labels([2], [1, 2])] }
    expectClose(forward(of), [(1e4 + Math.log(1 + Math.exp(-10) + Math.exp(-20))) / 2])
  })

  test('of more images than are summed at once', () => {
    const many: Call = { op: 'softmax_loss', inputs: [fed([700, 2]), labels([700], Array.from({ length: 700 }, (_, i) => i % 2))] }
    const want =
      Array.from({ length: 700 }, (_, i) => -logSoftmax(Array.from(many.inputs[0]!.data).slice(2 * i, 2 * i + 2), i % 2)).reduce((a, b) =>
        a + b
      ) / 700
    expectClose(forward(many), [want])
  })

  test('refuses labels that do not fit', () => {
    expect(codes({ op: 'softmax_loss', inputs: [fed([6, 4, 2, 2]), labels([6], given)] })).toEqual(['shape/label-mismatch'])
    expect(codes({ op: 'softmax_loss', inputs: [fed([6]), labels([6], given)] })).toEqual(['shape/softmax-loss-rank'])
    expect(codes({ op: 'softmax_loss', inputs: [x, labels([6], given, 10)] })).toEqual(['shape/label-classes'])
    expect(codes({ op: 'softmax_loss', inputs: [x, labels([6], given, 4)] })).toEqual([])
    expect(codes({ op: 'softmax_loss', inputs: [labels([6], given), x] })).toContain('shape/label-as-numbers')
  })
})

describe('sigmoid_loss', () => {
  const x = fed([5, 7], 1)
  const target = { shape: [5, 7], data: Array.from(noise(35, 2), (v) => (v + 2) / 4) }
  const cross = (v: number, t: number): number => -(t * Math.log(1 / (1 + Math.exp(-v))) + (1 - t) * Math.log(1 - 1 / (1 + Math.exp(-v))))
  const sum = Array.from(x.data, (v, i) => cross(v, target.data[i]!)).reduce((a, b) => a + b)

  test.each([['batch_size', 5], ['valid', 35], ['full', 35], ['none', 1]])('divides by what %s says', (normalization, divisor) => {
    const call: Call = { op: 'sigmoid_loss', inputs: [x, target], attributes: { normalization } }
    expectClose(forward(call), [sum / divisor])
    expectGradients(call)
  })
  test('divides by the batch unless told otherwise', () => expectClose(forward({ op: 'sigmoid_loss', inputs: [x, target] }), [sum / 5]))
  test('ignores targets', () => {
    const some = { shape: [5, 7], data: target.data.map((t, i) => (i % 3 === 0 ? -1 : t)) }
    const kept = Array.from(x.data, (v, i) => (i % 3 === 0 ? 0 : cross(v, target.data[i]!))).reduce((a, b) => a + b)
    const call: Call = { op: 'sigmoid_loss', inputs: [x, some], attributes: { ignore: -1, normalization: 'valid' } }
    expectClose(forward(call), [kept / 23])
    const d = backward(call, [2]).inputs[0]!
    expectClose(d, Array.from(x.data, (v, i) => (i % 3 === 0 ? 0 : (2 * (1 / (1 + Math.exp(-v)) - target.data[i]!)) / 23)))
  })
  test('stays finite far out', () =>
    expectClose(
      forward({ op: 'sigmoid_loss', inputs: [{ shape: [1, 3], data: [1000, -1000, -1000] }, { shape: [1, 3], data: [0, 1, 0] }] }),
      [2000],
    ))
  test('refuses other shapes', () =>
    expect(codes({ op: 'sigmoid_loss', inputs: [fed([2, 3]), fed([2, 4])] })).toEqual(['shape/sigmoid-loss-mismatch']))
})

describe('squared_loss', () => {
  test.each([[[5, 7]], [[3, 2, 4, 5]], [[4]]])('is half the mean squared distance: %j', (shape) => {
    const inputs = [fed(shape, 1), fed(shape, 2)]
    const sum = Array.from(inputs[0]!.data, (v, i) => (v - inputs[1]!.data[i]!) ** 2).reduce((a, b) => a + b)
    expectClose(forward({ op: 'squared_loss', inputs }), [sum / (2 * shape[0]!)])
    expectGradients({ op: 'squared_loss', inputs })
  })
  test('of whole inputs divides by axis 0', () => {
    const inputs = [fed([3, 2], 1, { whole: true }), fed([3, 2], 2, { whole: true })]
    expectGradients({ op: 'squared_loss', inputs })
    expectClose(
      forward({ op: 'squared_loss', inputs }),
      forward({ op: 'squared_loss', inputs: inputs.map(({ shape, data }) => ({ shape, data })) }),
    )
  })
  test('refuses other shapes', () =>
    expect(codes({ op: 'squared_loss', inputs: [fed([2, 3]), fed([2, 4])] })).toEqual(['shape/squared-loss-mismatch']))
})

describe('hinge_loss', () => {
  const x = fed([6, 5])
  const given = [4, 0, 1, 1, 2, 3]
  test.each([1, 2])('norm %i', (norm) => {
    let sum = 0
    given.forEach((label, i) => {
      for (let c = 0; c < 5; c++) sum += Math.max(0, 1 + (c === label ? -1 : 1) * x.data[5 * i + c]!) ** norm
    })
    const call: Call = { op: 'hinge_loss', inputs: [x, labels([6], given)], attributes: { norm } }
    expectClose(forward(call), [sum / 6])
    expectGradients(call)
  })
  test('refuses maps', () =>
    expect(codes({ op: 'hinge_loss', inputs: [fed([2, 3, 4, 4]), labels([2, 4, 4], [])] })).toEqual(['shape/hinge-loss-rank']))
})

describe('sum', () => {
  test.each([[[3, 2, 4, 5]], [[300, 3]], [[5]], [[2, 3, 4]]])('of all elements: %j', (shape) => {
    const x = fed(shape)
    expectClose(forward({ op: 'sum', inputs: [x] }), [Array.from(x.data).reduce((a, b) => a + b)])
    expectClose(backward({ op: 'sum', inputs: [x] }, [2.5]).inputs[0], Array.from(x.data, () => 2.5))
  })
})

describe('accuracy', () => {
  const x = { shape: [4, 3], data: [1, 2, 3, 3, 2, 1, 1, 3, 2, 0, 1, 2] }
  test.each([[1, 2 / 4], [2, 3 / 4], [3, 1]])('among the best %i', (top, share) => {
    expectClose(forward({ op: 'accuracy', inputs: [x, labels([4], [2, 1, 1, 0])], attributes: { top } }), [share])
  })
  test('a tie counts against you', () => {
    expectClose(forward({ op: 'accuracy', inputs: [{ shape: [2, 2], data: [1, 1, 0, 1] }, labels([2], [0, 1])] }), [0.5])
  })
  test('what is no number is wrong', () => {
    expectClose(forward({ op: 'accuracy', inputs: [{ shape: [2, 2], data: [NaN, NaN, 0, 1] }, labels([2], [0, 1])] }), [0.5])
  })
  test('ignores labels', () => {
    expectClose(forward({ op: 'accuracy', inputs: [x, labels([4], [2, -1, 1, -1])] }), [1])
    expectClose(forward({ op: 'accuracy', inputs: [x, labels([4], [-1, -1, -1, -1])] }), [0])
  })
  test('of maps', () => {
    const map = { shape: [1, 2, 1, 3], data: [1, 0, 1, 0, 1, 0] }
    expectClose(forward({ op: 'accuracy', inputs: [map, labels([1, 1, 3], [0, 1, 1])] }), [2 / 3])
  })
  test('refuses more than there are', () =>
    expect(codes({ op: 'accuracy', inputs: [x, labels([4], [0, 0, 0, 0])], attributes: { top: 4 } })).toEqual(['argument/top']))
})
