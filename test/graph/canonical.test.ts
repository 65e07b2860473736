import { expect, test } from 'vitest'
import { canonicalGraphText } from '../../compiler/graph/canonical.ts'
import { type Graph, type Node, type Value, value } from '../../compiler/graph/graph.ts'

const span = (start: number) => ({ file: '', start, end: start + 1 }) as unknown as Value['madeAt']

function graph({ at = 0, width = 4, slope = 0.1, shared = true } = {}): Graph {
  const x = value('x', ['n', width], span(at))
  const other = shared ? x : value('x', ['n', width], span(at))
  const node = (name: string, input: Value): Node => ({
    name,
    op: 'relu',
    layer: name,
    inputs: [input],
    parameters: {},
    outputs: [value(name, ['n', width], span(at))],
    attributes: { slope },
    span: span(at),
  })
  return { name: 'g', inputs: [x], parameters: [], nodes: [node('a', x), node('b', other)], outputs: [] }
}

test('graphs that are the same but for ids and places in the text have one text', () => {
  expect(canonicalGraphText(graph({ at: 7 }))).toBe(canonicalGraphText(graph()))
})

test('shapes, attributes and which value is read show in the text', () => {
  const texts = [graph(), graph({ width: 5 }), graph({ slope: 0 }), graph({ slope: -0 }), graph({ shared: false })].map(canonicalGraphText)
  expect(new Set(texts).size).toBe(texts.length)
})
