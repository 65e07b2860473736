import { expect, test } from 'vitest'
import { loadProgram } from '../../dsl/index.ts'
import { codes, mistakes, net, program } from './programs.ts'
import { vocabulary } from './vocabulary.ts'

const using = (path: string): string => `import "${path}"\n${net('h = x -> twice')}`

test('blocks of another file', () => {
  const { layers } = program(using('./blocks.net'), { 'blocks.net': 'block twice(x) { return x -> relu -> relu }' })
  expect(layers.map((l) => l.name)).toEqual(['twice_1.relu_1', 'twice_1.relu_2'])
  expect(layers[0]!.span.source.file).toBe('blocks.net')
})

test('imports of imports, each file once', () => {
  const files = {
    'a.net': 'import "./base.net"\nblock once(x) { return x -> rectify }',
    'b.net': 'import "./base.net"\nblock twice(x) { return x -> rectify -> rectify }',
    'base.net': 'block rectify(x) { return x -> relu }',
  }
  expect(program(`import "./a.net"\nimport "./b.net"\n${net('h = x -> once -> twice')}`, files).layers).toHaveLength(3)
})

test('a constant belongs to its file', () => {
  const files = { 'blocks.net': 'width = 7\nblock head(x) { return x -> fc(width) }' }
  expect(program(`import "./blocks.net"\nwidth = 3\n${net('h = x -> head -> fc(width)')}`, files).layers.map((l) => l.attributes['out']))
    .toEqual([7, 3])
})

test('a file that is not there', () => {
  const found = mistakes(using('./nowhere.net'))
  expect(found[0]!.code).toBe('import/missing')
  expect(found[0]!.message).toBe('there is no file ./nowhere.net')
})

test.each(['', ' ', 'a.net ', ' a.net', '..'])('a file that is not there and whose name does not show where it ends: "%s"', (path) => {
  expect(mistakes(using(path))[0]!.message).toBe(`there is no file "${path}"`)
})

test('nobody who could read', () => {
  const { diagnostics } = loadProgram({ file: 'test.net', text: `import "./a.net"\n${net('x -> relu')}` }, { vocabulary })
  expect(diagnostics.map((d) => d.code)).toEqual(['import/missing'])
})

test('files in a circle', () => {
  expect(codes(using('./a.net'), { 'a.net': 'import "./b.net"\nblock twice(x) { return x -> relu }', 'b.net': 'import "./a.net"' }))
    .toEqual(['import/cycle'])
  expect(codes(using('./a.net'), { 'a.net': 'import "./a.net"\nblock twice(x) { return x -> relu }' })).toEqual(['import/cycle'])
})

test('mistakes of another file are told there', () => {
  const [first] = mistakes(using('./blocks.net'), { 'blocks.net': 'block twice(x) {\n  return x -> relu ->\n}' })
  expect(first!.labels[0]!.span.source.file).toBe('blocks.net')
})

test('a net of another file is left alone', () => {
  expect(program(using('./blocks.net'), { 'blocks.net': `block twice(x) { return x -> relu }\n${net('h = x -> twice')}` }).layers)
    .toHaveLength(1)
})
