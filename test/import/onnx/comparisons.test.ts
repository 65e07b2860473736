import { describe, expect, test } from 'vitest'
import { compile, interpreter } from '../../../compiler/index.ts'
import { bytesSource } from '../../../import/byte-source.ts'
import { readOnnx } from '../../../import/onnx/read.ts'
import { open } from '../../../runtime/index.ts'
import { type Case, holds } from './holds.ts'
import { node, oneInput, scalar } from './write-onnx.ts'

const constants = {
  zero: scalar(0),
  half: scalar(0.5),
  slope: scalar(0.2),
  seven: scalar(7),
  // A condition for each channel.
  which: { shape: [3, 1, 1], data: [1, 0, 1] },
}
const map = (f: (v: number, channel: number) => number) => (x: readonly number[]): number[] => x.map((v, i) => f(v, Math.floor(i / 16) % 3))
const one = (nodes: Case['nodes'], f: (v: number, channel: number) => number): Case => ({
  nodes,
  more: { initializers: constants },
  want: map(f),
})
const ops = ({ nodes, more }: Case): string[] =>
  readOnnx(bytesSource('m.onnx', oneInput(['n', 3, 4, 4], nodes, more)), {}).layers.map(({ op }) => op)

describe('what has a name is called by it', () => {
  test.each<[string, readonly string[], Case]>([
    [
      'where(x > 0, x, 0.2 x)',
      ['leaky_relu'],
      one(
        [node('Greater', ['x', 'zero'], ['m']), node('Mul', ['x', 'slope'], ['s']), node('Where', ['m', 'x', 's'], ['y'])],
        (v) => v > 0 ? v : 0.2 * v,
      ),
    ],
    [
      'where(x < 0, 0, x)',
      ['relu'],
      one([node('Less', ['x', 'zero'], ['m']), node('Where', ['m', 'zero', 'x'], ['y'])], (v) => Math.max(0, v)),
    ],
    [
      'where(0.5 < x, x, 0)',
      ['thresholded_relu'],
      one([node('Less', ['half', 'x'], ['m']), node('Where', ['m', 'x', 'zero'], ['y'])], (v) => (v > 0.5 ? v : 0)),
    ],
    [
      'where(x >= 0.5, x, 0.5)',
      ['max'],
      one([node('GreaterOrEqual', ['x', 'half'], ['m']), node('Where', ['m', 'x', 'half'], ['y'])], (v) => Math.max(v, 0.5)),
    ],
    [
      'x (x > 0.5)',
      ['thresholded_relu'],
      one(
        [node('Greater', ['x', 'half'], ['m']), node('Cast', ['m'], ['f'], { to: 1 }), node('Mul', ['x', 'f'], ['y'])],
        (v) => v > 0.5 ? v : 0,
      ),
    ],
    [
      'x not (x < 0)',
      ['relu'],
      one([
        node('Less', ['x', 'zero'], ['l']),
        node('Not', ['l'], ['m']),
        node('Cast', ['m'], ['f'], { to: 1 }),
        node('Mul', ['f', 'x'], ['y']),
      ], (v) => Math.max(0, v)),
    ],
  ])('%s', async (_, names, given) => {
    expect(ops(given)).toEqual(names)
    await holds(given)
  })
})

describe('comparisons are 1 or 0', () => {
  const cast = node('Cast', ['m'], ['y'], { to: 1 })
  const both = (op: string) => [
    node('Greater', ['x', 'zero'], ['a']),
    node('Less', ['x', 'half'], ['b']),
    node(op, ['a', 'b'], ['m']),
    cast,
  ]
  test.each<[string, Case]>([
    ['>', one([node('Greater', ['x', 'half'], ['m']), cast], (v) => Number(v > 0.5))],
    ['>=', one([node('GreaterOrEqual', ['x', 'zero'], ['m']), cast], (v) => Number(v >= 0))],
    ['<', one([node('Less', ['x', 'half'], ['m']), cast], (v) => Number(v < 0.5))],
    ['<=', one([node('LessOrEqual', ['x', 'zero'], ['m']), cast], (v) => Number(v <= 0))],
    ['==', one([node('Relu', ['x'], ['r']), node('Equal', ['r', 'zero'], ['m']), cast], (v) => Number(v <= 0))],
    ['and', one(both('And'), (v) => Number(v > 0 && v < 0.5))],
    ['or', one(both('Or'), (v) => Number(v > 0 || v < 0.5))],
    ['xor', one(both('Xor'), (v) => Number((v > 0) !== (v < 0.5)))],
    ['sign', one([node('Relu', ['x'], ['r']), node('Sign', ['r'], ['y'])], (v) => Number(v > 0))],
    [
      'of another value',
      one(
        [node('Mul', ['x', 'x'], ['s']), node('Less', ['s', 'x'], ['m']), node('Where', ['m', 'seven', 'x'], ['y'])],
        (v) => v * v < v ? 7 : v,
      ),
    ],
    ['a constant condition', one([node('Neg', ['x'], ['u']), node('Where', ['which', 'x', 'u'], ['y'])], (v, c) => (c === 1 ? -v : v))],
    ['a constant condition and side', one([node('Where', ['which', 'seven', 'x'], ['y'])], (v, c) => (c === 1 ? v : 7))],
  ])('%s', async (_, given) => {
    await holds(given)
  })
})

describe('Where takes one side and does not look at the other', () => {
  const initializers = {
    ...constants,
    inf: scalar(-Infinity),
    nan: scalar(NaN),
    causal: { shape: [4, 4], data: [...'0111001100010000'].map(Number) },
  }
  const positive = node('Greater', ['x', 'zero'], ['m'])
  const log = node('Log', ['x'], ['l'])
  test.each<[string, readonly string[], Case]>([
    ['log of what is negative', ['where'], one([positive, log, node('Where', ['m', 'l', 'x'], ['y'])], (v) => (v > 0 ? Math.log(v) : v))],
    ['0 for it', ['where'], one([positive, log, node('Where', ['m', 'l', 'zero'], ['y'])], (v) => (v > 0 ? Math.log(v) : 0))],
    [
      'by a constant',
      ['where'],
      one(
        [node('Neg', ['x'], ['u']), node('Sqrt', ['u'], ['s']), node('Where', ['which', 'x', 's'], ['y'])],
        (v, c) => (c === 1 ? Math.sqrt(-v) : v),
      ),
    ],
    [
      'masked_fill(-inf) and softmax',
      ['where', 'softmax'],
      {
        nodes: [node('Where', ['causal', 'inf', 'x'], ['s']), node('Softmax', ['s'], ['y'], { axis: -1 })],
        more: { initializers },
        want: (x) =>
          x.map((v, i) => {
            const row = x.slice(i - i % 4, i - i % 4 + 4).filter((_, k) => k <= Math.floor(i / 4) % 4)
            return i % 4 <= Math.floor(i / 4) % 4 ? Math.exp(v) / row.reduce((sum, w) => sum + Math.exp(w), 0) : 0
          }),
      },
    ],
    [
      'a float cast to a truth',
      ['where'],
      one([node('Cast', ['x'], ['m'], { to: 9 }), node('Where', ['m', 'x', 'seven'], ['y'])], (v) => (v === 0 ? 7 : v)),
    ],
  ])('%s', async (_, names, given) => {
    expect(ops(given).filter((op) => names.includes(op))).toEqual(names)
    await holds(given)
  })
  test('NaN as a side is refused', () => {
    const given = one([positive, node('Where', ['m', 'x', 'nan'], ['y'])], (v) => v)
    expect(() => ops({ ...given, more: { initializers } })).toThrow('it chooses NaN')
  })
})

const mod = (a: number, b: number): number => a - b * Math.floor(a / b)
test.each<[string, Case]>([
  ['Floor', one([node('Floor', ['x'], ['y'])], Math.floor)],
  ['Ceil', one([node('Ceil', ['x'], ['y'])], Math.ceil)],
  ['Round', one([node('Round', ['x'], ['y'])], Math.round)],
  ['Mod', one([node('Mod', ['x', 'slope'], ['y'])], (v) => mod(v, Math.fround(0.2)))],
  ['Mod of what is computed', one([node('Neg', ['x'], ['u']), node('Mod', ['seven', 'u'], ['y'])], (v) => mod(7, -v))],
  ['Mod by its sign', one([node('Mod', ['x', 'half'], ['y'], { fmod: 1 })], (v) => v % 0.5)],
])('%s', async (_, given) => {
  await holds({ ...given, data: Array.from({ length: 96 }, (_, i) => (i - 47) / 7 + 0.01) })
})

test('a comparison passes on no gradient, also where both sides are equal', async () => {
  const text = `net a {
    input x: f32[4]
    input t: f32[4]
    w = x -> scale(bias: false) as w
    loss = squared_loss(mul(w, w -> relu -> relu -> min(1) -> mul(1e38) -> min(1)), t)
  }`
  const net = await open(compile(text, { targets: [], programs: ['gradients'] }), {
    device: interpreter(),
    batch: 1,
    programs: ['gradients'],
  })
  const { grads } = await net.step({ x: [-2, 0, 1e-30, 3], t: [1, 1, 1, 1] } as never, { update: false })
  const got = Array.from((grads as Readonly<Record<string, ArrayLike<number>>>)['w.weight']!)
  for (const [i, want] of [0, 0, -1e-30, 6].entries()) expect(got[i]).toBeCloseTo(want, 12)
  net.close()
})
