import { expect, test } from 'vitest'
import { identifier, KernelNames } from '../../compiler/codegen/kernel-names.ts'

test('nothing is called by a reserved word, nor two things by one name', () => {
  const names = new KernelNames(new Set(['for', 'v1']))
  expect(['for', 'x', 'x', 'x'].map((wanted) => names.unique(wanted))).toEqual(['for_2', 'x', 'x_2', 'x_3'])
  expect(names.unique('v2')).toBe('v2')
  expect(['v', 'v', 'b', 'v'].map((prefix) => names.numbered(prefix))).toEqual(['v0', 'v3', 'b0', 'v4'])
})

test('a name that is wanted is none of those with numbers that were given or passed over', () => {
  const names = new KernelNames(new Set(['i1']))
  expect(['i', 'i', 'sum'].map((prefix) => names.numbered(prefix))).toEqual(['i0', 'i2', 'sum0'])
  expect(['i0', 'i1', 'i2', 'i3', 'i03', 'sum0', 'sum1'].map((wanted) => names.unique(wanted)))
    .toEqual(['i0_2', 'i1_2', 'i2_2', 'i3', 'i03', 'sum0_2', 'sum1'])
  expect(['i', 'sum'].map((prefix) => names.numbered(prefix))).toEqual(['i4', 'sum2'])
})

test.each([
  ['conv1', 'conv1'],
  ['block.conv-1', 'block_conv_1'],
  ['_a__b_', 'a_b'],
  ['1x1', 't_1x1'],
])('%s is written %s', (name, want) => {
  expect(identifier(name)).toBe(want)
})
