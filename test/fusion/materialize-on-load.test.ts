import { describe, expect, test } from 'vitest'
import type { FusionContext } from '../../compiler/fusion/kernel-pass.ts'
import type { Equation } from '../../compiler/ir/equation.ts'
import { add, exp, load, tanh } from '../../compiler/ir/expression.ts'
import { tensor } from '../../compiler/ir/tensor.ts'
import { conv, each, expectSameValues, fuse, map, namesOf, relu, remarksOf } from './hand-built.ts'

const PASS = 'materialize-on-load'
const [x, a, b, y, z] = [map('x'), map('a'), map('b'), map('y'), map('z')]
const rejectFusedProducer = (): undefined => undefined
const equations = [relu(a, x), conv(y, a), relu(z, a)]

test('joins a value with several readers to the first convolution that loads it, which stores it', () => {
  const kernels = fuse(PASS, equations, { rejectFusedProducer })
  expect(namesOf(kernels)).toEqual(['a+y', 'z'])
  expect(kernels[0]!.equation.fusedProducer?.store.tensor).toBe(a)
  expect(remarksOf(kernels)).toBe('a is computed and stored as it is loaded')
  expectSameValues(kernels, equations, [a, y, z])
})

test('joins what has the same weight packed as without it', () => {
  const kernels = fuse(PASS, equations, { rejectFusedProducer, preparedFor: () => 'weight.panels' })
  expect(namesOf(kernels)).toEqual(['a+y', 'z'])
})

describe('leaves alone, without a word', () => {
  test.each<[string, readonly Equation[], Partial<FusionContext>]>([
    ['everything where a target has no such kernels', equations, {}],
    ['what no convolution reads first', [relu(a, x), relu(z, a), conv(y, a)], { rejectFusedProducer }],
    ['what is a sum itself', [conv(a, x), conv(y, a), relu(z, a)], { rejectFusedProducer }],
    ['a tensor with two shapes', equations, { rejectFusedProducer, viewOf: new Map([[b, a]]) }],
    ['a layer of style split', equations, { rejectFusedProducer, unfusedLayers: new Set(['y']) }],
  ])('%s', (_, program, changes) => {
    const kernels = fuse(PASS, program, changes)
    expect(kernels.map(({ equation }) => equation)).toEqual(program)
    expect(remarksOf(kernels)).toBe('')
  })
})

describe('refuses', () => {
  const sum = each(a, (at) => add(load(x, ...at), load(b, ...at)))
  const dear = each(a, (at) => exp(tanh(exp(load(x, ...at)))))
  const many = each(a, (at) => add(load(x, ...at), ...Array.from({ length: 5 }, (_, i) => load(tensor(`p${i}`, [2]), at[1]))))
  test.each<[string, readonly Equation[], Partial<FusionContext>, string]>([
    ['what the target rejects', equations, { rejectFusedProducer: () => 'its windows leave gaps' }, 'its windows leave gaps'],
    ['more maps than a prologue may read', [sum, conv(y, a)], { maxPrologueInputs: 1 }, 'a is too dear to compute as y loads it'],
    ['two exponentials and more', [dear, conv(y, a)], {}, 'a is too dear to compute as y loads it'],
    ['what reads a tensor that changes on the way', [relu(a, x), relu(x, z), conv(y, a)], {}, 'x changes before y loads a'],
    [
      'what leaves nothing that prepare could pack',
      equations,
      { preparedFor: (e) => (e.fusedProducer ? undefined : 'weight.panels') },
      'y is faster by itself: with what it would compute first, weight.panels could not be prepared for it',
    ],
    [
      'what another form would be packed for',
      equations,
      { preparedFor: (e) => (e.fusedProducer ? 'weight.rows' : 'weight.panels') },
      'y is faster by itself: with what it would compute first, weight.panels could not be prepared for it',
    ],
    ['more bindings than are granted', [many, conv(y, a)], {}, 'a+y would bind 9 buffers, 8 are granted everywhere'],
  ])('%s', (_, program, changes, reason) => {
    const kernels = fuse(PASS, program, { rejectFusedProducer, ...changes })
    expect(kernels.map(({ equation }) => equation)).toEqual(program)
    expect(remarksOf(kernels)).toBe(reason)
  })
})
