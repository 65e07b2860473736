import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { beforeAll, describe, expect, test } from 'vitest'
import type { IGrammar } from 'vscode-textmate'

/* The grammar in the engine that VS Code has. */

const require = createRequire(import.meta.url)
let grammar: IGrammar

beforeAll(async () => {
  const { INITIAL: _, Registry } = require('vscode-textmate') as typeof import('vscode-textmate')
  const { createOnigScanner, createOnigString, loadWASM } = require('vscode-oniguruma') as typeof import('vscode-oniguruma')
  await loadWASM(readFileSync(require.resolve('vscode-oniguruma/release/onig.wasm')))
  const registry = new Registry({
    onigLib: Promise.resolve({ createOnigScanner, createOnigString }),
    loadGrammar: async () => JSON.parse(readFileSync('editors/fusenet.tmLanguage.json', 'utf8')),
  })
  grammar = (await registry.loadGrammar('source.fusenet'))!
})

interface Token {
  readonly text: string
  readonly scopes: readonly string[]
  readonly line: number
  readonly column: number
}

function tokens(text: string): Token[] {
  let state = null as Parameters<IGrammar['tokenizeLine']>[1]
  return text.split('\n').flatMap((line, number) => {
    const made = grammar.tokenizeLine(line, state)
    state = made.ruleStack
    return made.tokens.map(({ startIndex, endIndex, scopes }) => ({
      text: line.slice(startIndex, endIndex),
      scopes: scopes.map((s) => s.replace('.fusenet', '')),
      line: number + 1,
      column: startIndex,
    }))
  })
}

/** The innermost scope of a word, where it stands first. */
const scopeOf = (text: string, word: string, nth = 0): string | undefined =>
  tokens(text).filter((t) => t.text.trim() === word)[nth]?.scopes.at(-1)

const NET = `import "./blocks.net"
width = 16 // channels
block basic(x, planes, stride: 1) {
  main = x -> conv(planes, 3, stride: stride, pad: 1) -> batch_norm
  skip = if stride != 1 { x -> conv(planes, 1) } else { x }
  return add(main, skip) -> relu
}
net small {
  style split
  input image: f32[3, 32, 32]
  input label: class[cat, train, "sea lion"]
  input map: class[10][8, 8] whole
  /* several
     lines -> of no code */
  for planes, i in [16, 32] { image = image -> basic(planes) as stage{i + 1}_x }
  logits = image -> global_avg_pool -> fc(10) as head
  output prob = softmax(logits)
  loss = softmax_loss(logits, label, weight: .5)
  metric top = accuracy(logits, label)
}
train {
  data images("photos")
  epochs 2
  solver sgd(lr: 5e-4)
  schedule multistep(gamma: 0.1, at: [1 epoch, 2 epochs])
  test every 1 epoch
}`

test.each([
  ['import', 'keyword.control.import'],
  ['width', 'variable.other.assignment'],
  ['block', 'storage.type.block'],
  ['basic', 'entity.name.function'],
  ['planes', 'variable.parameter'],
  ['conv', 'entity.name.function.layer'],
  ['batch_norm', 'entity.name.function.layer'],
  ['pad', 'variable.parameter'],
  ['if', 'keyword.control.conditional'],
  ['return', 'keyword.control.return'],
  ['net', 'storage.type.net'],
  ['small', 'entity.name.type.net'],
  ['split', 'constant.language'],
  ['input', 'storage.modifier.input'],
  ['f32', 'support.type'],
  ['cat', 'constant.other.class'],
  ['train', 'constant.other.class'],
  ['whole', 'storage.modifier.whole'],
  ['for', 'keyword.control.loop'],
  ['as', 'keyword.other.as'],
  ['head', 'entity.name.label'],
  ['prob', 'variable.other.result'],
  ['loss', 'storage.modifier.result'],
  ['.5', 'constant.numeric'],
  ['5e-4', 'constant.numeric'],
  ['solver', 'keyword.other.setting'],
  ['sgd', 'entity.name.function.layer'],
  ['every', 'keyword.other.every'],
  ['epoch', 'keyword.other.unit'],
  ['epochs', 'keyword.other.setting'],
])('%s is %s', (word, scope) => {
  expect(scopeOf(NET, word)).toBe(scope)
})

describe('what holds other things', () => {
  test('comments end where they end', () => {
    const inside = tokens(NET).filter(({ line }) => line === 13 || line === 14)
    expect(inside.filter(({ scopes, text }) => text.trim() !== '' && !scopes.includes('comment.block'))).toEqual([])
    expect(scopeOf('x = 1 // net x { "\ny = 2', 'y')).toBe('variable.other.assignment')
  })
  test('a text that is not closed ends with its line', () => {
    expect(scopeOf('data "abc\nsolver = 1', 'solver')).toBe('variable.other.assignment')
  })
  test.each([
    ['a call', '  a = x -> conv(8, 3\n'],
    ['a list', '  a = x -> pad([1, 2\n'],
    ['a list in a call', '  a = x -> pad(size: [1, 2\n'],
    ['a class list', '  input q: class[cat, dog\n'],
    ['parentheses', '  a = x -> conv((1 + 2, 3)\n'],
  ])('%s that is not closed ends where the next statement begins', (_, open) => {
    const rest = `  b = x -> conv(4, 3)
  input label: class[2]
  output prob = softmax(b)
  loss = softmax_loss(b, label)
}
train {
  solver adam
}`
    const text = `net n {\n${open}${rest}`
    const plain = tokens(`net n {\n  a = x\n${rest}`).filter(({ line }) => line > 2).map(({ text, scopes }) => [text, scopes])
    expect(tokens(text).filter(({ line }) => line > 2).map(({ text, scopes }) => [text, scopes])).toEqual(plain)
  })
  test('a net that is not closed ends where the next item begins', () => {
    const text = 'net n {\n  input x: f32[3]\n  if true { x -> relu\ntrain {\n  solver adam\n}'
    expect(scopeOf(text, 'train')).toBe('storage.type.train')
    expect(scopeOf(text, 'solver')).toBe('keyword.other.setting')
    expect(tokens(text).find(({ text }) => text === 'solver')!.scopes).not.toContain('meta.net')
    expect(scopeOf('block b(x, n: 3\nnet n {\n input x: f32[3]\n}', 'input')).toBe('storage.modifier.input')
  })
  test('calls and lists may go over several lines', () => {
    const text =
      'net n {\n  a = add(\n    x -> conv(8, 3,\n      pad: 1),\n    if s == 2 {\n      q = x -> relu\n      q\n    } else { x }\n  )\n  b = a\n}'
    expect(scopeOf(text, 'pad')).toBe('variable.parameter')
    expect(tokens(text).filter(({ text }) => text === ')').map(({ scopes }) => scopes.at(-1))).toEqual([
      'punctuation.section.parens.end',
      'punctuation.section.parens.end',
    ])
    expect(scopeOf(text, 'q')).toBe('variable.other.assignment')
  })
  test('names are put together', () => {
    const parts = tokens(NET).filter(({ scopes, line }) =>
      line === 15 && (scopes.includes('entity.name.label') || scopes.includes('meta.interpolation'))
    )
    expect(parts.map(({ text }) => text).join('')).toBe('stage{i + 1}_x')
    expect(parts.find(({ text }) => text === 'i')!.scopes.at(-1)).toBe('variable.other')
  })
  test('a range is no number', () => {
    expect(tokens('for i in 0..12 {').map(({ text, scopes }) => [text, scopes.at(-1)]).filter(([text]) => /[\d.]/.test(text!))).toEqual([
      ['0', 'constant.numeric'],
      ['..', 'keyword.operator.range'],
      ['12', 'constant.numeric'],
    ])
  })
  test('loss and input may be names', () => {
    expect(scopeOf('net n { h = conv(loss, 3, input: 2) }', 'loss')).toBe('variable.other')
  })
})

describe.each(readdirSync('samples').filter((file) => file.endsWith('.net')))('samples/%s', (file) => {
  test('every word has a scope, and every bracket is closed', () => {
    const all = tokens(readFileSync(`samples/${file}`, 'utf8'))
    expect(
      all.filter(({ text, scopes }) =>
        /\S/.test(text) && !/^[\s{}]*$/.test(text) &&
        !scopes.some((s) => /^(comment|string|keyword|storage|entity|variable|constant|support|punctuation)/.test(s))
      ),
    ).toEqual([])
    // The last bracket closes the train block that is open: nothing is left over.
    const last = all.filter(({ text }) => text.trim() !== '').at(-1)!
    expect([last.text, last.scopes.at(-1)]).toEqual(['}', 'punctuation.section.block.end'])
    expect(last.scopes).toContain('meta.train')
  })
})

test('the extension names what is there', () => {
  const { contributes } = JSON.parse(readFileSync('editors/package.json', 'utf8')) as {
    contributes: { grammars: { path: string; scopeName: string }[]; languages: { configuration: string; extensions: string[] }[] }
  }
  for (const { path, scopeName } of contributes.grammars)
    expect(JSON.parse(readFileSync(`editors/${path}`, 'utf8')).scopeName).toBe(scopeName)
  for (const { configuration, extensions } of contributes.languages) {
    expect(JSON.parse(readFileSync(`editors/${configuration}`, 'utf8')).comments.lineComment).toBe('//')
    expect(extensions).toEqual(['.net'])
  }
})
