import { describe, expect, test } from 'vitest'
import type { InputEntry, ParameterEntry } from '../../bundle/format.ts'
import { withNamesOfWeights } from '../../runtime/data/names-of-weights.ts'

const x = (columns?: string[]): InputEntry => ({ name: 'x', type: 'f32', shape: ['n', 2], ...(columns && { columns }) })
const label = (classNames?: string[], name = 'label', classes = 3): InputEntry => ({
  name,
  type: 'i32',
  shape: ['n'],
  classes,
  ...(classNames && { classNames }),
})
const PARAMETERS = ['body.weight 5 2', 'body.bias 5', 'head.weight 3 5', 'head.bias 3'].map((text, i): ParameterEntry => {
  const [name, ...shape] = text.split(' ')
  return {
    name: name!,
    shape: shape.map(Number),
    offset: 64 * i,
    trainable: true,
    initializer: { kind: 'constant', value: 0 },
    layer: name!.split('.')[0]!,
  }
})
const ALL = PARAMETERS.map(({ name }) => name)
const BODY = ['body.weight', 'body.bias']
const names = (own: InputEntry, learned: InputEntry, taken = ALL): readonly string[] | undefined =>
  withNamesOfWeights([x(), own], PARAMETERS, { from: 'out/a', inputs: [x(), learned], taken: new Set(taken) })[1]!.classNames

describe('names of classes of the bundle that weights come from', () => {
  test('are those of a net without names', () => {
    expect(names(label(), label(['cat', 'dog', 'eel']))).toEqual(['cat', 'dog', 'eel'])
    expect(names(label(), label(['cat', 'dog', 'eel'], 'kind'))).toEqual(['cat', 'dog', 'eel'])
    expect(names(label(['cat', 'dog', 'eel']), label())).toEqual(['cat', 'dog', 'eel'])
    expect(names(label(['cat', 'dog', 'eel']), label(['cat', 'dog', 'eel']))).toEqual(['cat', 'dog', 'eel'])
  })

  test.each<[string, string[], string]>([
    ['another order', ['eel', 'dog', 'cat'], 'label'],
    ['another name', ['cat', 'dog', 'elk'], 'label'],
    ['another name of the input', ['eel', 'dog', 'cat'], 'kind'],
  ])('refused: %s', (_, own, name) =>
    expect(() => names(label(own), label(['cat', 'dog', 'eel'], name))).toThrow(
      new RegExp(`out/a: cat, dog, eel\\n  the net: ${own.join(', ')}\\nWrite input label: class\\[cat, dog, eel\\]`),
    ))

  test('belong to the parameters that score them: a fresh head is for other classes', () => {
    const own = ['eel', 'dog', 'cat']
    expect(names(label(own), label(['cat', 'dog', 'eel']), BODY)).toEqual(own)
    expect(names(label(), label(['cat', 'dog', 'eel']), BODY)).toBeUndefined()
    expect(names(label(), label(['cat', 'dog', 'eel']), [...BODY, 'head.weight'])).toBeUndefined()
    // A fresh body is no reason to forget what the head scores.
    expect(() => names(label(own), label(['cat', 'dog', 'eel']), ['head.weight', 'head.bias'])).toThrow(/for other classes/)
  })

  test('another number of classes is another matter', () =>
    expect(names(label(['a', 'b', 'c']), label(['a', 'b'], 'label', 2))).toEqual(['a', 'b', 'c']))
})

test('names of columns come with the first parameters', () => {
  const columns = (taken: string[]) =>
    withNamesOfWeights([x(), label()], PARAMETERS, { from: 'out/a', inputs: [x(['a', 'b']), label()], taken: new Set(taken) })[0]!.columns
  expect([columns(ALL), columns(BODY), columns(['head.weight', 'head.bias'])]).toEqual([['a', 'b'], ['a', 'b'], undefined])
})
