import { expect, test } from 'vitest'
import { ImportError } from '../../../import/import-error.ts'
import type { ModelNet } from '../../../import/model-net.ts'
import { numberText } from '../../../import/write/argument-text.ts'
import { LayerNames, pathOf } from '../../../import/write/layer-names.ts'
import { wordOf } from '../../../import/write/words.ts'
import { writeNet } from '../../../import/write/write-net.ts'
import { layer, netOf, tensor } from './layers.ts'

test.each([
  ['data', 'data'],
  ['input', 'input_'],
  ['for', 'for_'],
  ['191', '_191'],
  ['conv1/7x7_s2', 'conv1_7x7_s2'],
  ['images:0', 'images_0'],
  ['__metadata__', 'metadata__'],
  ['Größe', 'Gro_e'],
  ['///', 'x'],
])('%s is called %s', (name, word) => {
  expect(wordOf(name, 'x')).toBe(word)
})

test.each([
  ['layer1.0.conv1', ['layer1', '0', 'conv1']],
  ['/layer1/layer1.0/conv1/Conv', ['layer1', '0', 'conv1']],
  ['/layer1/layer1.0/Add', ['layer1', '0']],
  ['conv1/7x7_s2', ['conv1', '7x7_s2']],
  ['res2a_branch2a', ['res2a_branch2a']],
])('%s lies in %j', (name, path) => {
  expect(pathOf(name)).toEqual(path)
})

test('layers without letters in front get their kind before it, those without names a number', () => {
  const names = new LayerNames()
  expect(names.give('conv', ['inception', '1x1'])).toBe('inception_1x1')
  expect(names.give('conv', ['1x1'])).toBe('conv_1x1')
  expect(names.give('batch_norm', [])).toBe('bn1')
  expect(names.give('batch_norm', ['7'])).toBe('bn2')
  // Two unnamed layers called relu_1 would be one too many.
  expect(names.give('prelu', ['relu_1'])).toBe('relu1')
  expect(names.give('conv', ['a'])).toBe('a')
  expect(names.give('conv', ['a'])).toBe('a_2')
})

test.each([
  [Math.fround(0.1), '0.1'],
  [0.1, '0.1'],
  [1e-5, '1e-5'],
  [Math.fround(1e-5), '1e-5'],
  [0.001, '0.001'],
  [-0, '0'],
  [-2.5, '-2.5'],
  [16777216, '16777216'],
  [1 / 3, '0.3333333333333333'],
])('the number %s is written %s', (value, text) => {
  expect(numberText(value, 'eps')).toBe(text)
  expect(Math.fround(Number(text))).toBe(Math.fround(value) + 0)
})

test('all that is wrong is told at once, by the names of the model', () => {
  const net: ModelNet = netOf([
    layer('conv', '/a/Conv', ['image'], { arguments: { out: 4, kernel: 9 }, output: 'a' }),
    layer('conv', '/b/Conv', ['image'], { arguments: { out: 4, kernel: 3, groups: 2 }, output: 'b' }),
    layer('clip', '/c/Clip', ['image'], { arguments: { lo: -Infinity, hi: 6 }, output: 'c' }),
    layer('wobble', '/d/Wobble', ['c'], { output: 'd' }),
    layer('add', '/e/Add', ['a', 'b', 'd'], { output: 'e' }),
  ])
  const problems = (net: ModelNet): readonly string[] => {
    try {
      writeNet(net)
      return []
    } catch (error) {
      return (error as ImportError).problems.map(({ where, what }) => `${where}: ${what}`)
    }
  }
  expect(problems(net)).toEqual([
    '/c/Clip: lo of clip is -Infinity, and the language has finite numbers alone',
    '/d/Wobble: the language has no layer wobble',
  ])
  const first = net.layers.slice(0, 2)
  const joined = netOf([...first, layer('add', '/e/Add', ['a', 'b'], { output: 'e' })])
  expect(problems(joined)).toEqual([
    expect.stringMatching(/^\/a\/Conv: .*window/),
    expect.stringMatching(/^\/b\/Conv: 3 channels cannot be split into 2 groups/),
  ])
})

test('parameters have the shapes that the layers want', () => {
  const conv = (parameters: Record<string, ReturnType<typeof tensor>>): ModelNet =>
    netOf([layer('conv', 'conv1', ['image'], { arguments: { out: 4, kernel: 3 }, parameters, output: 'y' })])
  expect(() => writeNet(conv({ weight: tensor([4, 3, 5, 5]), gamma: tensor([4]) }))).toThrow(
    'conv1: its weight is [4, 3, 5, 5], and conv here wants [4, 3, 3, 3]\n' +
      'conv1: the model has no bias for it\n' +
      'conv1: the model has a gamma for it, which conv with these arguments has not',
  )
  expect(writeNet(conv({ weight: tensor([4, 3, 3, 3]), bias: tensor([4]) })).tensors.map(({ name }) => name)).toEqual([
    'conv1.weight',
    'conv1.bias',
  ])
})

test('what no output needs is left out, and told', () => {
  const { text, notes } = writeNet(netOf([layer('sigmoid', 'unused', ['image']), layer('relu', 'used', ['image'])]))
  expect(text).not.toContain('sigmoid')
  expect(notes).toEqual([{ about: 'unused', kind: 'left out', text: 'no output needs it' }])
})
