import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Diagnostic } from '../../dsl/diagnostic.ts'
import { parse, render } from '../../dsl/index.ts'
import { load } from './programs.ts'
import { programTexts, scattered, spoiled } from './texts.ts'

const SAMPLES = readdirSync('samples').filter((name) => name.endsWith('.net')).map((name) => readFileSync(join('samples', name), 'utf8'))
/** No text of a few kilobytes keeps anybody waiting: of a processor's time, whatever else it does. */
const HANGS_MS = 10_000

/** Everything that can be asked of a text, and what always holds of the answers. */
function survives(text: string): readonly Diagnostic[] {
  const begun = process.cpuUsage()
  const { program, diagnostics } = load(text)
  const { user, system } = process.cpuUsage(begun)
  expect((user + system) / 1000).toBeLessThan(HANGS_MS)
  expect(program !== undefined).toBe(!diagnostics.some((d) => d.severity === 'error'))
  for (const diagnostic of diagnostics) {
    expect(diagnostic.code).toMatch(/^[a-z]+\/[a-z-]+$/)
    expect(diagnostic.message).toMatch(/[^.\s]$/)
    expect(diagnostic.labels.length).toBeGreaterThan(0)
    for (const { span } of diagnostic.labels) {
      expect(span.start).toBeGreaterThanOrEqual(0)
      expect(span.end).toBeGreaterThanOrEqual(span.start)
      expect(span.end).toBeLessThanOrEqual(span.source.text.length)
    }
    expect(render(diagnostic)).toContain(`(${diagnostic.code})`)
  }
  return diagnostics
}

describe('never throws, never hangs, tells places that are there', () => {
  test('whatever the characters', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => void survives(text)), { numRuns: 300 })
  })

  test('whatever the words', () => {
    const word = fc.constantFrom(
      'net',
      'block',
      'train',
      'import',
      'input',
      'output',
      'loss',
      'metric',
      'style',
      'for',
      'in',
      'if',
      'else',
      'as',
      'return',
      'whole',
      'and',
      'not',
      '{',
      '}',
      '(',
      ')',
      '[',
      ']',
      '->',
      '=',
      ':',
      ',',
      '..',
      '+',
      '-',
      '*',
      '==',
      '3',
      '0.5',
      '"text"',
      'x',
      'relu',
      'conv',
      'every',
      'epochs',
      'solver',
      '\n',
      '//',
      '/*',
      '*/',
      '"',
    )
    fc.assert(fc.property(fc.array(word, { maxLength: 60 }), (words) => void survives(words.join(' '))), { numRuns: 500 })
  })

  test('whatever a sample is spoiled with', () => {
    fc.assert(fc.property(spoiled(SAMPLES), (text) => void survives(text)), { numRuns: 300 })
  })

  test('whatever the grammar allows', () => {
    fc.assert(fc.property(programTexts, (text) => void survives(text)), { numRuns: 300 })
  })
})

test('what the grammar allows has no syntax error', () => {
  fc.assert(
    fc.property(scattered, ({ text }) => {
      expect(parse({ file: 'a.net', text }).diagnostics).toEqual([])
    }),
    { numRuns: 300 },
  )
})

test('the same text says the same again', () => {
  fc.assert(
    fc.property(spoiled(SAMPLES), (text) => {
      expect(load(text)).toEqual(load(text))
    }),
    { numRuns: 50 },
  )
})

test('a long text', () => {
  const lines = Array.from({ length: 20_000 }, (_, i) => `  h = h -> relu as r${i} // ${i}`)
  expect(survives(`net n {\n  input x: f32[1]\n  h = x\n${lines.join('\n')}\n  output o = h\n}`)).toEqual([])
})
