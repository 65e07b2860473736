import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { quoted } from '../../bundle/quoted.ts'

const WORDS = [
  'a/b.net',
  'ü',
  'a b',
  "a'b",
  "it's $HOME",
  'a"b',
  '`pwd`',
  'a\\b c',
  'a\\\\b c',
  'a b\\',
  '!!',
  '',
  '*',
  '(x)',
  'a;b',
  '~',
  '-o=x',
  'a#b',
  'a&b',
  'a|b',
]

test.runIf(process.platform !== 'win32').each(WORDS)('a shell takes %j as one word', (word) => {
  expect(execFileSync('sh', ['-c', `printf %s ${quoted(word)}`], { encoding: 'utf8' })).toBe(word)
})

test('what needs no quotes has none, and those that every shell knows are preferred', () => {
  expect(['a/b.net', 'größe', 'a b', "it's"].map(quoted)).toEqual(['a/b.net', 'größe', '"a b"', '"it\'s"'])
})
