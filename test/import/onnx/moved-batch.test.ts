import { describe, expect, test } from 'vitest'
import { bytesSource } from '../../../import/byte-source.ts'
import { readOnnx } from '../../../import/onnx/read.ts'
import { holds, outputOf } from './holds.ts'
import { floats, ints, type Node, node, oneInput, type Sizes } from './write-onnx.ts'

const [TOKENS, HEADS, WIDTH] = [3, 2, 2]
const FEATURES = HEADS * WIDTH

/** Attention of x to itself in textbook loops, for each sample and head. */
function attention(x: readonly number[]): number[] {
  const y = x.map(() => 0)
  for (let n = 0; n < x.length / (TOKENS * FEATURES); n++) {
    for (let h = 0; h < HEADS; h++) {
      const at = (t: number, d: number): number => (n * TOKENS + t) * FEATURES + h * WIDTH + d
      for (let t = 0; t < TOKENS; t++) {
        const weights = Array.from({ length: TOKENS }, (_, s) => {
          let sum = 0
          for (let d = 0; d < WIDTH; d++) sum += x[at(t, d)]! * x[at(s, d)]!
          return Math.exp(sum)
        })
        const whole = weights.reduce((a, b) => a + b)
        for (let d = 0; d < WIDTH; d++) for (let s = 0; s < TOKENS; s++) y[at(t, d)]! += weights[s]! / whole * x[at(s, d)]!
      }
    }
  }
  return y
}

const turn = (from: string, to: string, ...perm: number[]): Node => node('Transpose', [from], [to], { perm })

/** As PyTorch writes it: tokens in front, heads as more samples, all rows as one matrix. */
const nodes = (x: string, y: string): Node[] => [
  turn(x, 'tokens', 1, 0, 2),
  node('Reshape', ['tokens', 'heads'], ['parts']),
  turn('parts', 'q', 1, 0, 2),
  turn('parts', 'k', 1, 2, 0),
  node('MatMul', ['q', 'k'], ['s']),
  node('Softmax', ['s'], ['a'], { axis: -1 }),
  node('MatMul', ['a', 'q'], ['o']),
  turn('o', 'back', 1, 0, 2),
  node('Reshape', ['back', 'rows'], ['matrix']),
  node('Gemm', ['matrix', 'one'], ['mixed']),
  node('Reshape', ['mixed', 'tokens first'], ['whole']),
  turn('whole', y, 1, 0, 2),
]
const identity = floats([FEATURES, FEATURES], Array.from({ length: FEATURES ** 2 }, (_, i) => Number(i % (FEATURES + 1) === 0)))

const given = (batch: number) => ({
  initializers: {
    heads: batch > 0 ? ints(TOKENS, batch * HEADS, WIDTH) : ints(TOKENS, -1, WIDTH),
    rows: batch > 0 ? ints(TOKENS * batch, FEATURES) : ints(-1, FEATURES),
    'tokens first': batch > 0 ? ints(TOKENS, batch, FEATURES) : ints(TOKENS, -1, FEATURES),
    one: identity,
  },
})

describe('the batch at another place than in front', () => {
  test.each<[string, number, Sizes]>([
    ['a batch that has a name', 0, ['n', TOKENS, FEATURES]],
    ['a batch of 1', 1, [1, TOKENS, FEATURES]],
    ['a batch of 2', 2, [2, TOKENS, FEATURES]],
  ])('attention, tokens in front: %s', async (_, batch, sizes) => {
    const more = given(batch)
    const x = [Math.max(1, batch || 3), TOKENS, FEATURES]
    await holds({ x, sizes, more, nodes: nodes('x', 'y'), want: attention })
    // It meets the value that it is of.
    await holds({
      x,
      sizes,
      more,
      nodes: [...nodes('x', 'z'), node('Add', ['x', 'z'], ['y'])],
      want: (v) => attention(v).map((o, i) => o + v[i]!),
    })
  })

  test('an output whose batch is not in front has it in front here', async () => {
    await holds({ x: [2, 3, 4], nodes: [turn('x', 't', 1, 0, 2), node('Relu', ['t'], ['y'])], want: (x) => x.map((v) => Math.max(0, v)) })
  })

  test.each<[string, Node[], RegExp]>([
    ['Softmax', [node('Softmax', ['t'], ['y'], { axis: 1 })], /works along the batch of \[3, n, 4\]/],
    ['ReduceMean', [node('ReduceMean', ['t'], ['y'], { axes: [1] })], /works along the batch/],
    [
      'a sum with a value whose batch is in front',
      [node('Add', ['t', 'x'], ['y'])],
      /the batch lies differently in \[3, n, 4\] and \[n, 3, 4\]/,
    ],
    ['a sum with a number for each sample', [node('Add', ['t', 'c'], ['y'])], /repeats the batch of \[3, n, 4\]/],
    ['a product along it', [turn('t', 'u', 0, 2, 1), node('MatMul', ['t', 'u'], ['y'])], /the batch lies differently/],
    ['a window', [node('MaxPool', ['t'], ['y'], { kernel_shape: [2] })], /the batch at another place than in front/],
    ['rows that tear samples', [node('Reshape', ['t', 's'], ['y'])], /it makes \[2, -1, 6\] of \[3, n, 4\]/],
  ])('%s is refused', async (_, rest, message) => {
    const more = { initializers: { c: floats([5, 1], [1, 2, 3, 4, 5]), s: ints(2, -1, 6) } }
    await expect(outputOf({ x: [2, 3, 4], nodes: [turn('x', 't', 1, 0, 2), ...rest], more, want: [] })).rejects.toThrow(message)
  })
})

describe('constants that learn', () => {
  /** The layers of a model that are parameters, with what they learn by. */
  const parametersOf = (nodes: Node[], initializers: Record<string, ReturnType<typeof floats>>) =>
    readOnnx(bytesSource('m.onnx', oneInput(['n', 2, 3], nodes, { initializers }))).layers.filter(({ op }) => op === 'parameter')

  test('a token of a class in front of others, of numbers and of zeros, and one behind', async () => {
    for (const token of [[5, 6, 7], [0, 0, 0]]) {
      const initializers = { c: floats([1, 1, 3], token), d: floats([1, 1, 3], [8, 9, 10]), sizes: ints(-1, 1, 3) }
      const nodes = [node('Concat', ['c', 'x', 'd'], ['y'], { axis: 1 })]
      await holds({
        x: [2, 2, 3],
        nodes,
        more: { initializers },
        want: (x) => [0, 6].flatMap((n) => [...token, ...x.slice(n, n + 6), 8, 9, 10]),
      })
      const learning = parametersOf(nodes, initializers).filter((layer) => layer.arguments['lr_mult'] !== 0)
      expect(learning.map((layer) => layer.arguments['dims'])).toEqual([[1, 3], [1, 3]])
    }
  })

  test('a mask that is stored as weights are does not learn, a table of positions does', () => {
    for (const [low, learns] of [[-Infinity, 0], [-1e9, 0], [-3, undefined]] as const) {
      const [mask] = parametersOf([node('Add', ['x', 'm'], ['y'])], { m: floats([2, 3], [0, low, 0, 0, 0, low]) })
      expect(mask!.arguments['lr_mult']).toBe(learns)
    }
  })
})
