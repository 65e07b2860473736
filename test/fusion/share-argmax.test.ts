import { expect, test } from 'vitest'
import { type Axis, axis, plus, times } from '../../compiler/ir/affine.ts'
import type { Equation } from '../../compiler/ir/equation.ts'
import { argmax, type Expression, load, maximum } from '../../compiler/ir/expression.ts'
import { type Tensor, tensor } from '../../compiler/ir/tensor.ts'
import { each, expectSameValues, fuse, map, namesOf, remarksOf } from './hand-built.ts'

const PASS = 'share-argmax'
const x = map('x')
const pooled = tensor('pool', ['n', 2, 2, 2])
const positions = tensor('positions', ['n', 2, 2, 2])

/** Windows of `size` x 2 that move by 2. */
const pool = (result: Tensor, of: (axes: readonly Axis[], e: Expression) => Expression, size = 2): Equation =>
  each(result, ([n, c, h, w]) => {
    const [kh, kw] = [axis('kh', size), axis('kw', 2)]
    return of([kh, kw], load(x, n, c, plus(times(h, 2), kh), plus(times(w, 2), kw)))
  })

test('joins the position of a maximum to the kernel that finds the maximum', () => {
  const equations = [pool(pooled, maximum), pool(positions, argmax)]
  const kernels = fuse(PASS, equations)
  expect(namesOf(kernels)).toEqual(['pool'])
  expect(remarksOf(kernels)).toBe("keeps the positions of its maxima for positions's gradient")
  expectSameValues(kernels, equations, [pooled, positions])
})

test('leaves alone the positions of other windows', () => {
  expect(namesOf(fuse(PASS, [pool(pooled, maximum), pool(positions, argmax, 1)]))).toEqual(['pool', 'positions'])
})

test('leaves alone positions that are wanted before the maxima', () => {
  expect(namesOf(fuse(PASS, [pool(positions, argmax), pool(pooled, maximum)]))).toEqual(['positions', 'pool'])
})

test('refuses more bindings than are granted', () => {
  const kernels = fuse(PASS, [pool(pooled, maximum), pool(positions, argmax)], { maxBindings: 2 })
  expect(namesOf(kernels)).toEqual(['pool', 'positions'])
  expect(remarksOf(kernels)).toBe('pool would bind too many buffers if it kept the positions of its maxima')
})
