import { describe, expect, test } from 'vitest'
import { nowhere } from '../../dsl/source.ts'
import { type Node, value } from '../../compiler/graph/graph.ts'
import { reads, writes } from '../../compiler/ir/equation.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { ask, backward, build, codes, expectClose, expectGradients, fed, forward, runNode } from './run-operator.ts'

const shape = [3, 4, 2, 5]

describe.each(['add', 'mul', 'max', 'min'])('%s', (op) => {
  const scalar = {
    add: (a: number, b: number) => a + b,
    mul: (a: number, b: number) => a * b,
    max: (a: number, b: number) => Math.max(a, b),
    min: (a: number, b: number) => Math.min(a, b),
  }[op]!

  test('joins three of one shape', () => {
    const inputs = [1, 2, 3].map((seed) => fed(shape, seed))
    const want = Array.from(inputs[0]!.data, (v, i) => scalar(scalar(v, inputs[1]!.data[i]!), inputs[2]!.data[i]!))
    expectClose(forward({ op, inputs }), want)
    expectGradients({ op, inputs })
  })

  test.each([
    ['each channel', [3, 4, 1, 1]],
    ['each pixel', [3, 1, 2, 5]],
    ['each row of each image', [3, 1, 2, 1]],
  ])('repeats a number for %s', (_, small) => {
    const inputs = [fed(shape, 1), fed(small, 2)]
    const want = Array.from(inputs[0]!.data, (v, i) => {
      const at = [Math.floor(i / 40), Math.floor(i / 10) % 4, Math.floor(i / 5) % 2, i % 5].map((p, d) => (small[d] === 1 ? 0 : p))
      const other = ((at[0]! * small[1]! + at[1]!) * small[2]! + at[2]!) * small[3]! + at[3]!
      return scalar(v, inputs[1]!.data[other]!)
    })
    expectClose(forward({ op, inputs }), want)
    expectGradients({ op, inputs })
    expectGradients({ op, inputs: [...inputs].reverse() })
  })

  test('repeats one image for the batch, and a vector without a batch', () => {
    expectGradients({ op, inputs: [fed(shape, 1), fed([1, 4, 2, 5], 2, { whole: true })] })
    expectGradients({ op, inputs: [fed(shape, 1), fed([4, 1, 5], 2, { whole: true })] })
    expectGradients({ op, inputs: [fed(shape, 1), fed([5], 2, { whole: true }), fed([1, 4, 1, 1], 3, { whole: true })] })
  })

  test('both sides repeat', () => {
    expect(ask({ op, inputs: [fed([3, 4, 1, 5]), fed([3, 1, 2, 1])] })).toEqual({ shape: ['n', 4, 2, 5] })
    expectGradients({ op, inputs: [fed([3, 4, 1, 5], 1), fed([3, 1, 2, 1], 2)] })
  })

  test('more images than chunks of the batch', () => {
    expectGradients({ op, inputs: [fed([37, 2], 1), fed([1, 2], 2, { whole: true })] })
  })

  test.each([5, 7, 13])('joins %i operands, with eight bindings a kernel at most', (count) => {
    const inputs = Array.from({ length: count }, (_, k) => fed(k % 3 === 1 ? [2, 3, 1] : [2, 3, 2], k + 1))
    const { node, storage, scalars } = build({ op, inputs })
    const bindings = (of: Node): number[] => operators.get(of.op)!.equations(of).map((e) => reads(e).length + writes(e).length)
    expect(Math.max(...bindings(node))).toBeLessThanOrEqual(8)
    runNode({ storage, scalars }, node)
    const want = Array.from(
      { length: 12 },
      (_, i) => inputs.map((x) => x.data[x.data.length === 6 ? Math.floor(i / 2) : i]!).reduce((a, b) => scalar(a, b)),
    )
    expectClose(storage.get(node.outputs[0]!), want)
    expectGradients({ op, inputs })
    const dy = value('dy', node.outputs[0]!.shape, nowhere)
    operators.get(op)!.gradient!(node, dy, {
      needs: () => true,
      node: (spec) => {
        const outputs = spec.outputs.map((o) => value(o.name, o.shape, nowhere))
        const made: Node = { ...node, op: spec.op, inputs: spec.inputs, attributes: spec.attributes ?? {}, outputs }
        expect(Math.max(...bindings(made))).toBeLessThanOrEqual(8)
        return outputs
      },
    })
  })

  test('refuses what does not meet', () => {
    const code = [`shape/${op}-mismatch`]
    expect(codes({ op, inputs: [fed([3, 4, 2, 5]), fed([3, 3, 2, 5])] })).toEqual(code)
    expect(codes({ op, inputs: [fed([3, 4, 2, 5]), fed([3, 4, 2, 4])] })).toEqual(code)
    expect(codes({ op, inputs: [fed([3, 4, 2, 5]), fed([3, 4])] })).toEqual(code)
    expect(codes({ op, inputs: [fed([3, 4]), fed([3, 4], 1, { whole: true })] })).toEqual(code)
    expect(codes({ op, inputs: [fed([3, 4]), fed([3], 1, { labels: true })] })).toEqual(['shape/label-as-numbers'])
  })
})

test('a mismatch shows where both values were made, and a way out', () => {
  const answer = ask({ op: 'add', inputs: [fed([2, 4]), fed([2, 4, 3, 3])] })
  expect(answer).toMatchObject([{
    message: 'add cannot join [n, 4] with [n, 4, 3, 3]',
    labels: [{ text: 'here' }, { text: '[n, 4] made here' }, { text: '[n, 4, 3, 3] made here' }],
    hint: 'give [n, 4] as many dimensions, e.g. reshape([4, 1, 1])',
  }])
})

test('add weighs its operands', () => {
  const inputs = [fed([2, 3], 1), fed([2, 3], 2)]
  const call = { op: 'add', inputs, attributes: { coeff: [1, -0.5] } }
  expectClose(forward(call), Array.from(inputs[0]!.data, (v, i) => v - 0.5 * inputs[1]!.data[i]!))
  expectGradients(call)
  expect(codes({ ...call, attributes: { coeff: [1, 2, 3] } })).toEqual(['argument/coeff-count'])
})

describe.each(
  [
    ['sub', (a: number, b: number) => a - b],
    ['div', (a: number, b: number) => a / b],
  ] as const,
)('%s', (op, scalar) => {
  const away = (seed: number, of: readonly number[]) => {
    const some = fed(of, seed)
    return { ...some, data: Float64Array.from(some.data, (v) => v + Math.sign(v)) }
  }
  test.each([[shape, shape], [shape, [3, 4, 1, 1]], [[3, 1, 2, 5], shape], [[3, 4, 1, 5], [3, 1, 2, 1]]])(
    'of %j and %j',
    (first, second) => {
      const inputs = [away(1, first), away(2, second)]
      expectGradients({ op, inputs })
      const same = first === second
      if (same) expectClose(forward({ op, inputs }), Array.from(inputs[0]!.data, (v, i) => scalar(v, inputs[1]!.data[i]!)))
    },
  )
  test('of a number and a tensor, and the other way round', () => {
    const x = away(3, [2, 3])
    const behind = { op, inputs: [x], attributes: { numbers: [4], numbers_at: [1] } }
    const front = { op, inputs: [x], attributes: { numbers: [4], numbers_at: [0] } }
    expectClose(forward(behind), Array.from(x.data, (v) => scalar(v, 4)))
    expectClose(forward(front), Array.from(x.data, (v) => scalar(4, v)))
    expectGradients(behind)
    expectGradients(front)
  })
})

test('mean of three, and of a number among them', () => {
  const inputs = [fed([2, 3], 1), fed([2, 1], 2), fed([2, 3], 3)]
  expectClose(
    forward({ op: 'mean', inputs }),
    Array.from({ length: 6 }, (_, i) => (inputs[0]!.data[i]! + inputs[1]!.data[Math.floor(i / 3)]! + inputs[2]!.data[i]!) / 3),
  )
  expectGradients({ op: 'mean', inputs })
  const some = { op: 'mean', inputs: [inputs[0]!], attributes: { numbers: [5, -1], numbers_at: [0, 2] } }
  expectClose(forward(some), Array.from(inputs[0]!.data, (v) => (v + 4) / 3))
  expectGradients(some)
})

test.each(
  [
    ['add', (x: number, y: number) => 2 + x - 3 + y],
    ['mul', (x: number, y: number) => 2 * x * -3 * y],
    ['max', (x: number, y: number) => Math.max(0.5, x, -0.5, y)],
    ['min', (x: number, y: number) => Math.min(0.5, x, -0.5, y)],
  ] as const,
)('%s joins numbers and tensors', (op, scalar) => {
  const inputs = [fed([2, 3], 1), fed([2, 3], 2)]
  const numbers = op === 'max' || op === 'min' ? [0.5, -0.5] : [2, -3]
  const call = { op, inputs, attributes: { numbers, numbers_at: [0, 2] } }
  expectClose(forward(call), Array.from(inputs[0]!.data, (v, i) => scalar(v, inputs[1]!.data[i]!)))
  expectGradients(call)
})

test('coefficients count numbers too, and their products are looked at', () => {
  const call = { op: 'add', inputs: [fed([2, 3])], attributes: { numbers: [4], numbers_at: [0], coeff: [0.5, -2] } }
  expectClose(forward(call), Array.from(call.inputs[0]!.data, (v) => 2 - 2 * v))
  expectGradients(call)
  expect(codes({ ...call, attributes: { ...call.attributes, coeff: [1] } })).toEqual(['argument/coeff-count'])
  expect(codes({ ...call, attributes: { numbers: [1e30], numbers_at: [0], coeff: [1e30, 1] } })).toEqual(['argument/coeff-size'])
})

test('equal operands of min: of the first two the second gets the gradient, a later one must be smaller', () => {
  const inputs = [[1, 1, 3, 2], [1, 1, 1, 2], [1, 2, 3, 2]].map((data) => ({ shape: [2, 2], data }))
  const given = backward({ op: 'min', inputs }, [1, 1, 1, 1])
  expect(given.inputs.map((d) => [...d!])).toEqual([[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
})

test('equal operands of max: of the first two the second gets the gradient, a later one must be larger', () => {
  const inputs = [[1, 1, 3, 2], [1, 1, 1, 2], [1, 2, 3, 2]].map((data) => ({ shape: [2, 2], data }))
  const given = backward({ op: 'max', inputs }, [1, 1, 1, 1])
  expect(given.inputs.map((d) => [...d!])).toEqual([[0, 0, 1, 0], [1, 0, 0, 1], [0, 1, 0, 0]])
})

describe('concat', () => {
  test.each([[1], [2], [-1]])('along axis %i', (axis) => {
    const at = axis < 0 ? axis + 4 : axis
    const inputs = [3, 1, 2].map((extent, seed) => fed([2, 2, 3, 2].map((d, i) => (i === at ? extent : d)), seed + 1))
    const y = forward({ op: 'concat', inputs, attributes: { axis } })
    const want: number[] = []
    const outer = [2, 2, 3].slice(0, at).reduce((a, b) => a * b, 1)
    for (let o = 0; o < outer; o++)
      for (const x of inputs) want.push(...Array.from(x.data).slice((o * x.data.length) / outer, ((o + 1) * x.data.length) / outer))
    expectClose(y, want)
    expectGradients({ op: 'concat', inputs, attributes: { axis } })
  })

  test('of whole inputs along axis 0', () => {
    const inputs = [fed([2, 3], 1, { whole: true }), fed([4, 3], 2, { whole: true })]
    expectClose(forward({ op: 'concat', inputs, attributes: { axis: 0 } }), [...inputs[0]!.data, ...inputs[1]!.data])
    expectGradients({ op: 'concat', inputs, attributes: { axis: 0 } })
  })

  test('refuses the batch axis, axes that are not there, and other sizes', () => {
    expect(codes({ op: 'concat', inputs: [fed([2, 3]), fed([2, 3])], attributes: { axis: 0 } })).toEqual(['argument/batch-axis'])
    expect(codes({ op: 'concat', inputs: [fed([2, 3]), fed([2, 3])], attributes: { axis: 2 } })).toEqual(['argument/axis'])
    expect(codes({ op: 'concat', inputs: [fed([2, 3, 4]), fed([2, 3, 5])] })).toEqual(['shape/concat-mismatch'])
    expect(codes({ op: 'concat', inputs: [fed([2, 3, 4]), fed([2, 3])] })).toEqual(['shape/concat-mismatch'])
  })
})
