import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { operators } from '../../compiler/ops/registry.ts'
import { traitsOf } from '../../compiler/ops/traits.ts'

const compiler = fileURLToPath(new URL('../../compiler', import.meta.url))
/** The names that files can write. A pass that makes inner nodes names these as it makes them. */
const NAMES = [...operators.values()].filter(({ signature }) => signature).map(({ name }) => name)
/** Those that loops have too: no list of them tells that layers are meant. */
const OF_LOOPS = new Set(['sub', 'div', 'min', 'neg', 'abs', 'exp', 'log', 'sqrt', 'pow', 'erf'])
const ANY = NAMES.filter((name) => !OF_LOOPS.has(name)).join('|')
const NAME = `'(?:${ANY})'`
const LIST = new RegExp(`${NAME},?\\s*${NAME}`)
const COMPARISONS = new RegExp(`\\bop [!=]== ${NAME}[^\\n]{0,40}\\bop [!=]== ${NAME}`)
const KEYS = new RegExp(`\\{\\s*(?:${ANY}): '[^']*',\\s*(?:${ANY}): `)
const SUFFIX = /\bop\b\S*\.(?:endsWith|startsWith|includes)\(/

const listsNames = (text: string): boolean => [LIST, COMPARISONS, KEYS, SUFFIX].some((rule) => rule.test(text))

/** Sources of the compiler but for the operators themselves and the manual, which sorts them into chapters. */
const sources = readdirSync(compiler, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !/^(?:ops|manual)[\\/]/.test(file))

describe('operators are known by their traits', () => {
  test('no file but those of operators holds a list of their names', () => {
    expect(sources.filter((file) => listsNames(readFileSync(join(compiler, file), 'utf8')))).toEqual([])
  })

  test.each([
    `new Set(['conv', 'deconv', 'fc'])`,
    `['conv',\n  'fc']`,
    `node.op === 'conv' || node.op === 'fc'`,
    `layer.op !== 'conv' && layer.op !== 'fc'`,
    `const LAYOUTS = { conv: 'oihw', fc: 'oihw' }`,
    `op.endsWith('_loss')`,
    `producer?.op.endsWith('_pool')`,
  ])('a list is seen: %s', (text) => expect(listsNames(text)).toBe(true))

  test.each([
    `rewrite(graph, 'batch_norm', (bn) => undefined)`,
    `const scale = readers.find((reader) => reader.op === 'scale')`,
    `{ op: 'scale', parameters: { weight: gamma, bias: beta } }`,
  ])('one operator may be named: %s', (text) => expect(listsNames(text)).toBe(false))
})

describe('traits', () => {
  const having = (has: (traits: ReturnType<typeof traitsOf>) => unknown): string[] =>
    [...operators.values()].filter(({ name }) => has(traitsOf(operators, { op: name }))).map(({ name }) => name).sort()

  test('an operator without traits, and one that there is none of, have none', () => {
    expect(traitsOf(operators, { op: 'add' })).toEqual({})
    expect(traitsOf(operators, { op: 'nothing' })).toEqual({})
  })

  test('linear in a weight: what gradients of weights are made for', () => {
    // An operator of a parameter `weight` with fans, as `weightAndBias` makes them.
    expect(having(({ linear }) => linear)).toEqual(
      NAMES.filter((name) => operators.get(name)!.signature!.parameters.some((p) => p.name === 'weight_init' && p.doc?.includes('msra')))
        .sort(),
    )
  })

  test.each(
    [
      ['conv', {}, 'oihw', true],
      ['conv', { pad: [0, 1] }, 'oihw', false],
      ['conv', { pad: [0, 0, 0, 1] }, 'oihw', false],
      ['conv', { pad: 'same' }, 'oihw', false],
      ['fc', {}, 'oihw', true],
      ['fc', { transpose: true }, 'iohw', true],
      ['deconv', {}, 'iohw', undefined],
    ] as const,
  )('%s %o: its weight is %s, and folds an affine input: %s', (op, attributes, layout, folds) => {
    const linear = traitsOf(operators, { op }).linear!
    expect(linear.weightLayout(attributes)).toBe(layout)
    expect(linear.foldsInput?.(attributes)).toBe(folds)
  })

  test('what has running statistics says their policy, and how they freeze', () => {
    expect(having(({ statistics }) => statistics)).toEqual(['batch_norm'])
    const { policy, frozen } = traitsOf(operators, { op: 'batch_norm' }).statistics!
    const caffe = { stats: { call: 'caffe', args: { fraction: 0.9 } } }
    expect([policy({}), policy(caffe), policy(frozen(caffe))]).toEqual(['moving', 'caffe', 'global'])
    expect(frozen(caffe)['stats']).toEqual({ call: 'global', args: { scale_factor: true } })
    const none = { stats: { call: 'batch', args: {} } }
    expect(frozen(none)).toEqual(none)
  })

  test('every loss is better when it is lower, every share when it is higher', () => {
    expect(having(({ betterIs }) => betterIs === 'lower')).toEqual(NAMES.filter((name) => name.endsWith('_loss')).sort())
    expect(having(({ betterIs }) => betterIs === 'higher')).toEqual(['accuracy'])
  })

  test('views move nothing, so they have no work at test time and no equations', () => {
    expect(having(({ view }) => view)).toEqual(['flatten', 'reshape'])
    expect(having(({ identityAtTest }) => identityAtTest)).toEqual(['dropout'])
  })
})
