import { expect, test } from 'vitest'
import { axis, plus } from '../../compiler/ir/affine.ts'
import { type Equation, equation, store } from '../../compiler/ir/equation.ts'
import { load, sum } from '../../compiler/ir/expression.ts'
import { type Tensor, tensor } from '../../compiler/ir/tensor.ts'
import { RecomputationModel } from '../../compiler/plan/recomputation-model.ts'
import { type At, conv, fuse, map, relu } from '../fusion/hand-built.ts'

const [x, weight] = [
  { ...map('x'), storage: { role: 'input', slot: 'x', offset: 0 } },
  { ...tensor('weight', [2, 2, 3, 3]), storage: { role: 'parameters', offset: 0 } },
] as const

/** Copies a map into the channels of another from `first` on. */
function copy(source: Tensor, target: Tensor, first: number): Equation {
  const [n, c, h, w] = source.shape.map((extent, d) => axis('nchw'[d]!, extent)) as unknown as At
  return equation(`copy of ${source.name}`, [], [n, c, h, w], [store(target, [n, plus(c, first), h, w], load(source, n, c, h, w))])
}

test('a map that is made part by part, of values made of its earlier parts: each is made again before it is read', () => {
  const [a, between, b, joined, one, all] = [map('a'), map('between'), map('b'), map('joined', 4), map('one'), map('all', 4)]
  const loss = tensor('loss', [1])
  const axes = joined.shape.map((extent, d) => axis('nchw'[d]!, extent))
  const equations = [
    conv(a, x, weight),
    conv(between, a, weight),
    conv(b, between, weight),
    copy(a, joined, 0),
    copy(b, joined, 2),
    equation('loss', [], [], [store(loss, [0], sum(axes, load(joined, ...axes)))]),
    relu(one, between),
    relu(all, joined),
  ]
  const results = [loss, one, all]
  const steps = fuse('place-in-slices', equations, { kept: new Set(results) })
  const model = new RecomputationModel({ steps, viewOf: new Map(), results, losses: [loss], batch: 2 })
  const order = (...names: string[]): string[] => {
    const dropped = Uint8Array.from(model.values, ({ name }) => (names.includes(name) ? 1 : 0))
    expect(model.weigh(dropped)).toBeDefined()
    return model.launches(dropped).map(({ kernel, again }) => `${steps[kernel]!.equation.name}${again ? ' again' : ''}`)
  }
  const forward = ['a', 'between', 'b', 'loss']
  expect(order()).toEqual([...forward, 'one', 'all'])
  expect(order('between')).toEqual([...forward, 'between again', 'one', 'all'])
  expect(order('joined')).toEqual([...forward, 'one', 'a again', 'b again', 'all'])
  expect(order('joined', 'between')).toEqual([...forward, 'a again', 'between again', 'one', 'b again', 'all'])
})
