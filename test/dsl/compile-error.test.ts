import { expect, test } from 'vitest'
import { compile, CompileError } from '../../compiler/index.ts'

function errorOf(text: string): CompileError {
  try {
    compile({ file: 'page.net', text })
  } catch (error) {
    return error as CompileError
  }
  throw new Error('it compiled')
}

test('the message of an error says where it is and draws it', () => {
  const error = errorOf('net n {\n  input x: f32[4]\n  y = x -> fc(3) -> rleu\n  output y = y\n}')
  expect(error).toBeInstanceOf(CompileError)
  const [where, line, mark] = error.message.split('\n')
  expect(where).toMatch(/^page\.net:3:21: error: .*rleu/)
  expect(line).toBe('  3 |   y = x -> fc(3) -> rleu')
  expect(mark).toMatch(/^ {4}\| {21}\^\^\^\^/)
})

test('draws the first ones and counts the others', () => {
  const { message, diagnostics } = errorOf(
    `net n {\n  input x: f32[4]\n${['a', 'b', 'c', 'd', 'e'].map((name) => `  ${name} = fc(x, ${name}q)`).join('\n')}\n}`,
  )
  expect(diagnostics.filter((d) => d.severity === 'error')).toHaveLength(5)
  expect(message.match(/^page\.net:\d+/gm)).toEqual(['page.net:3', 'page.net:4', 'page.net:5'])
  expect(message).toMatch(/\nand 2 more errors$/)
})
