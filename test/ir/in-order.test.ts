import { expect, test } from 'vitest'
import { type Axis, axis, plus, times } from '../../compiler/ir/affine.ts'
import { equation, type Equation, store } from '../../compiler/ir/equation.ts'
import { add, load, mul, sum } from '../../compiler/ir/expression.ts'
import { canonicalText } from '../../compiler/ir/fingerprint.ts'
import { inOrder, inOrderOver } from '../../compiler/ir/in-order.ts'
import { tensor } from '../../compiler/ir/tensor.ts'

const x = tensor('x', ['n', 3, 10])
const w = tensor('w', [3, 5])
const y = tensor('y', ['n', 6])

/** y[n, i] = (sum over c, k of x[n, c, i + k] * w[c, k]) twice, the sum shared. */
function convolution([n, i, c, k]: readonly [Axis, Axis, Axis, Axis]): Equation {
  const total = sum([c, k], mul(load(x, n, c, plus(i, k)), load(w, c, k)))
  return equation('conv', ['conv'], [n, i], [store(y, [n, i], add(total, total))])
}

const forward = (): Equation => convolution([axis('n', 'n'), axis('i', 6), axis('c', 3), axis('k', 5)])
function backward(): Equation {
  const [k, c, i, n] = [axis('k', 5), axis('c', 3), axis('i', 6), axis('n', 'n')]
  return convolution([n, i, c, k])
}

test('the canonical text does not say in which order axes were made', () => {
  expect(canonicalText(backward()).text).toBe(canonicalText(forward()).text)
  const other = equation('conv', ['conv'], [axis('n', 'n')], [])
  expect(canonicalText(other).text).not.toBe(canonicalText(forward()).text)
})

test('axes are made anew in the order in which they are bound, values and what they share stay', () => {
  const given = backward()
  const e = inOrder(given)
  expect(canonicalText(e).text).toBe(canonicalText(given).text)
  const ids = canonicalText(e).axes.map(({ id }) => id)
  expect(ids).toEqual([...ids].sort((a, b) => a - b))
  const [{ value }] = e.stores as [Equation['stores'][number]]
  expect(value.kind === 'binary' && value.a === value.b).toBe(true)
  expect(canonicalText(e).tensors).toEqual(
    [x, w, y].sort((a, b) => canonicalText(given).tensors.indexOf(a) - canonicalText(given).tensors.indexOf(b)),
  )
  // Sums stand in that order now, whatever it was before.
  expect(plus(times(e.axes[1]!, 2), e.axes[0]!).terms.map(({ atom }) => atom.kind === 'axis' && atom.axis.name)).toEqual(['n', 'i'])
})

test('an equation whose axes are in order is given back as it is, and one is made anew once', () => {
  const e = forward()
  expect(inOrder(e)).toBe(e)
  const other = backward()
  expect(inOrder(other)).toBe(inOrder(other))
})

test('tensors are replaced by their numbers', () => {
  const e = inOrderOver(forward(), (t, number) => ({ ...t, name: `t${number}` }))
  expect(canonicalText(e).tensors.map(({ name }) => name)).toEqual(['t0', 't1', 't2'])
  expect(canonicalText(e, false).text).toBe(canonicalText(forward(), false).text)
})
