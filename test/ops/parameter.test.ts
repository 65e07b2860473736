import { expect, test } from 'vitest'
import { check } from '../../compiler/check.ts'
import { compile, interpreter } from '../../compiler/index.ts'
import { open } from '../../runtime/index.ts'
import { backward, expectClose, forward } from './run-operator.ts'

test('is its numbers, and hands their gradient back', () => {
  const call = { op: 'parameter', inputs: [], attributes: { dims: [2, 3] }, parameters: { weight: [1, 2, 3, 4, 5, 6] } }
  expectClose(forward(call), [1, 2, 3, 4, 5, 6])
  expectClose(backward(call, [6, 5, 4, 3, 2, 1]).parameters['weight'], [6, 5, 4, 3, 2, 1])
})

test('its gradient is summed over the batch; lr_mult: 0 keeps it; weights: shares it', async () => {
  const text = `net t {
  input x: f32[2, 2]
  p = parameter([2, 1], init: 3)
  c = parameter([1], init: 2, lr_mult: 0) as c
  output y = mul(x, p, c)
  output z = parameter([2, 1], weights: parameter_1)
  loss = sum(mul(x, p, c))
}
train { solver sgd(lr: 0.5, momentum: 0) }`
  const device = interpreter()
  const net = await open(compile(text, { programs: ['infer', 'train'] }), { device, batch: 2 })
  const x = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8)
  const before = await net.run({ x })
  expect([[...before['y']!], [...before['z']!]]).toEqual([[6, 12, 18, 24, 30, 36, 42, 48], [3, 3]])
  await net.trainStep({ x })
  // d loss / d p[c] = 2 times the sum of x over the batch and the row, and sums are not divided by the batch.
  const after = await net.parameters()
  expect([...after].map(([name, { shape, data }]) => [name, [...shape], [...data as Float32Array]])).toEqual([
    ['parameter_1.weight', [2, 1], [3 - 0.5 * 2 * 14, 3 - 0.5 * 2 * 22]],
    ['c.weight', [1], [2]],
  ])
  net.close()
  device.close()
})

test.each([
  ['output y = parameter([])', 'a parameter has at least one dimension'],
  ['output y = add(x, parameter([0, 3]))', '0 is not a dimension'],
  ['output y = x -> parameter([3])', 'parameter works on no tensors, so nothing stands in front of it'],
  ['output y = add(x, parameter)', 'parameter needs dims'],
  ['output y = add(x, parameter([5, 1]))', 'add cannot join [n, 4, 2] with [5, 1]'],
  ['output y = add(x, parameter([4, 1], init: uniform(2, 1)))', 'uniform(2, 1) has its ends in the wrong order'],
])('%s', (line, message) => {
  expect(check(`net t {\n  input x: f32[4, 2]\n  ${line}\n}`).map((d) => d.message)).toEqual([message])
})
