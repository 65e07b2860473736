import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { check } from '../../compiler/check.ts'
import { argumentsOf, exampleText } from '../../compiler/manual/describe.ts'
import { find } from '../../compiler/manual/find.ts'
import { languagePages } from '../../compiler/manual/markdown.ts'
import { entries, type Entry, groups, signaturesOf } from '../../compiler/manual/table.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { vocabulary } from '../../compiler/front-end/vocabulary.ts'
import { buildGraph } from '../../compiler/front-end/build-graph.ts'
import { erf } from '../../compiler/targets/interpreter/erf.ts'
import { loadProgram } from '../../dsl/index.ts'
import type { Attribute, Parameter } from '../../dsl/signature.ts'
import { forward } from '../ops/run-operator.ts'

const errors = (text: string): string[] => check(text).filter((d) => d.severity === 'error').map((d) => `${d.message}; ${d.hint ?? ''}`)
const program = (text: string) => {
  const loaded = loadProgram({ file: 'test.net', text }, { vocabulary })
  if (!loaded.program) throw new Error(`${text}\n${loaded.diagnostics.map((d) => d.message).join('\n')}`)
  return loaded.program
}

test('every call has a page, and every page is of a call', () => {
  const told = new Map<string, string[]>()
  for (const group of groups) for (const name of Object.keys(group.pages)) told.set(name, [...(told.get(name) ?? []), group.file])
  const wanted = [...signaturesOf.values()].flat().map(({ name }) => name)
  expect([...entries.map(({ signature }) => signature.name)].sort()).toEqual([...wanted].sort())
  expect([...told].flatMap(([name, files]) => files.map(() => name)).sort()).toEqual([...wanted].sort())
})

test.each(entries.map((entry) => [`${entry.kind} ${entry.signature.name}`, entry] as const))(
  '%s: the example compiles and uses it, arguments are told',
  (_, entry) => {
    const text = exampleText(entry)
    expect(errors(text)).toEqual([])
    expect(text).toMatch(new RegExp(`\\b${entry.signature.name}\\b`))
    expect(entry.signature.doc).not.toBe('')
    for (const parameter of entry.signature.parameters)
      expect([parameter.name, (parameter.doc ?? '') !== '']).toEqual([
        parameter.name,
        true,
      ])
    // What may be left out and has no default: the page says what holds then.
    const silent = entry.signature.parameters.filter((p) => p.default === undefined && p.optional).map(({ name }) => name)
    expect(Object.keys(entry.page.absent ?? {}).sort()).toEqual(silent.sort())
    for (const name of entry.page.see ?? []) expect([name, find(name).kind]).toEqual([name, 'calls'])
  },
)

/** Something that an argument takes, where it must be given. */
const some = (
  { type }: Parameter,
): string => (({
  integer: '3',
  number: '0.5',
  window: '2',
  numbers: '[2, 3]',
  string: '"x"',
  duration: '5',
  durations: '[5]',
  boolean: 'true',
} as Record<string, string>)[type.kind] ?? '')

/** What a call's arguments come to. */
function attributesOf({ signature, kind }: Entry, given: readonly string[]): unknown {
  const required = signature.parameters.filter((p) => p.default === undefined && !p.optional).map((p) => `${p.name}: ${some(p)}`)
  const tensors = kind === 'loss' || kind === 'metric' || (signature.values?.min ?? 1) > 1
    ? Array.from({ length: signature.values?.min ?? 1 }, () => 'x') : []
  const call = (first: readonly string[]): string => `${signature.name}(${[...first, ...required, ...given].join(', ')})`
  const layer = (text: string) => program(`net t { input x: f32[8, 8, 8] output y = ${text} }`).layers.at(-1)!.attributes
  const trained = (line: string) => program(`net t { input x: f32[8] loss = sum(x) } train { ${line} }`).train!
  switch (kind) {
    case 'statistics':
      return (layer(`x -> batch_norm(stats: ${call([])})`)['stats'] as { args: unknown }).args
    case 'filler':
      return (layer(`x -> fc(3, weight_init: ${call([])})`)['weight_init'] as { args: unknown }).args
    case 'solver':
      return trained(`solver ${call([])}`).solver.args
    case 'schedule':
      return trained(`solver sgd schedule ${call([])}`).schedule[0]!.args
    case 'augmentation':
      return trained(`solver sgd augment ${call([])}`).augment[0]!.args
    case 'dataset':
      return trained(`solver sgd data ${call([])}`).data!.args
    default:
      return layer(tensors.length > 0 ? call(tensors) : signature.values?.max === 0 ? call([]) : `x -> ${call([])}`)
  }
}

test.each(entries.map((entry) => [`${entry.kind} ${entry.signature.name}`, entry] as const))(
  '%s: written out, its defaults say what nothing says',
  (_, entry) => {
    const defaults = argumentsOf(entry).flatMap(({ name, default: value }) => (value === undefined ? [] : [`${name}: ${value}`]))
    expect(attributesOf(entry, defaults)).toEqual(attributesOf(entry, []))
  },
)

describe('what holds without an argument', () => {
  const graph = (body: string) => {
    const built = buildGraph(program(`net t { input x: f32[6, 9, 9] input label: class[6] ${body} }`), { operators })
    return {
      parameters: built.graph!.parameters.map(({ name, initializer }) => ({ name, initializer })),
      shape: built.graph!.outputs[0]!.value.shape,
    }
  }
  const layer = (text: string, behind = '') => graph(`output y = x -> ${text}${behind}`)
  test.each([
    ['conv(4, 3)', 'conv(4, 3, weight_init: xavier, bias_init: 0)', ''],
    ['conv(4, 3)', 'conv(4, 3, weight_init: msra)', ' -> batch_norm -> relu'],
    ['deconv(4, 3)', 'deconv(4, 3, weight_init: xavier, bias_init: 0)', ''],
    ['deconv(4, 3)', 'deconv(4, 3, weight_init: msra)', ' -> clip(0, 6)'],
    ['fc(4)', 'fc(4, weight_init: xavier, bias_init: 0)', ' -> tanh'],
    ['fc(4)', 'fc(4, weight_init: msra)', ' -> gelu'],
    ['max_pool(3)', 'max_pool(3, stride: 3)', ''],
    ['avg_pool([2, 3])', 'avg_pool([2, 3], stride: [2, 3])', ''],
    ['scale', 'scale(weight_init: 1, bias_init: 0)', ''],
    ['bias', 'bias(bias_init: 0)', ''],
    ['slice(1, 2)', 'slice(1, 2, 6)', ''],
  ])('%s is %s%s', (bare, full, behind) => {
    expect(layer(bare, behind)).toEqual(layer(full, behind))
  })

  test('msra stands in front of the rectifiers that the page of fillers names', () => {
    const named = /rectifier \(([^;)]*)/.exec(groups.find(({ file }) => file === 'fillers')!.intro)![1]!.split(',').map((name) =>
      name.trim()
    )
    expect(named.sort()).toEqual(
      [...operators.values()].filter((op) => op.traits?.rectifier && op.signature).map(({ name }) => name).sort(),
    )
  })
})

describe('formulas of activations', () => {
  const data = [-5, -3.5, -2, -0.4, -1e-3, 1e-3, 0.3, 0.9, 1.7, 2.9, 4, 7]
  /** `a where b, else c` and functions by their usual names. */
  const compute = (formula: string, values: Readonly<Record<string, number>>): number => {
    const [text, ...where] = formula.split(/, (?=\w = )/)
    const js = (part: string): string => {
      const chosen = /^(.*?) where (.*?), (?:else )?(.*)$/.exec(part)
      return chosen ? `((${chosen[2]!.replaceAll(' and ', ' && ')}) ? (${js(chosen[1]!)}) : (${js(chosen[3]!)}))` : part
    }
    const given = {
      ...values,
      pi: Math.PI,
      erf,
      max: Math.max,
      min: Math.min,
      exp: Math.exp,
      log: Math.log,
      tanh: Math.tanh,
      sqrt: Math.sqrt,
      abs: Math.abs,
    }
    for (const definition of where) {
      const [name, value] = [definition.slice(0, definition.indexOf(' = ')), definition.slice(definition.indexOf(' = ') + 3)]
      Object.assign(given, { [name]: new Function(...Object.keys(given), `return ${js(value)}`)(...Object.values(given)) })
    }
    return new Function(...Object.keys(given), `return ${js(text!)}`)(...Object.values(given)) as number
  }
  const activations = entries.filter(({ group, signature }) => group.file === 'activations' && signature.name !== 'prelu')

  test.each(activations.map((entry) => [entry.signature.name, entry] as const))('%s', (op, { signature, page }) => {
    const numbers = Object.fromEntries(
      signature.parameters.flatMap((
        p,
      ): [string, Attribute][] => (p.type.kind === 'number' ? [[p.name, p.default ?? (p.name === 'lo' ? -0.5 : 2)]] : [])),
    )
    const f = (x: number): number => compute(page.formula![0]!.replace('y = ', ''), { ...numbers, x } as Record<string, number>)
    const got = forward({ op, inputs: [{ shape: [1, 12], data }], attributes: numbers })
    data.forEach((x, i) => {
      expect(got[i]).toBeCloseTo(f(x), 10)
    })
    // The gradient as it is told, against the slope of the formula.
    for (const x of data) {
      const told = compute(page.gradient![0]!.replace('dx = ', ''), { ...numbers, x, y: f(x), dy: 1 } as Record<string, number>)
      expect(told).toBeCloseTo((f(x + 1e-6) - f(x - 1e-6)) / 2e-6, 5)
    }
  })

  test('the older form of gelu', () => {
    const formula = entries.find(({ signature }) => signature.name === 'gelu')!.page.formula![1]!.replace('approximate: tanh: y = ', '')
    const got = forward({ op: 'gelu', inputs: [{ shape: [1, 12], data }], attributes: { approximate: 'tanh' } })
    data.forEach((x, i) => {
      expect(got[i]).toBeCloseTo(compute(formula, { x }), 10)
    })
  })
})

test('the pages of docs/language are those of the tables: npm run docs:language', () => {
  const made = languagePages()
  for (const [file, text] of made) expect([file, readFileSync(`docs/language/${file}`, 'utf8') === text]).toEqual([file, true])
  const others = readdirSync('docs/language').filter((file) => !made.has(file))
  expect(others.filter((file) => readFileSync(`docs/language/${file}`, 'utf8').includes('Made by `npm run docs:language`'))).toEqual([])
})

test.each([
  ['conv', 'calls'],
  ['sigmoid', 'calls'],
  ['losses', 'list'],
  ['loss', 'list'],
  ['optimizer', 'list'],
  ['InnerProduct', 'elsewhere'],
  ['relu6', 'elsewhere'],
  ['LayerNorm', 'elsewhere'],
  ['stride', 'argument'],
  ['cnov', 'unknown'],
])('%s is found as %s', (word, kind) => {
  expect(find(word).kind).toBe(kind)
})

test('a word for a layer in one framework and a schedule in another is the layer; the schedule is named', () => {
  const found = find('linear')
  expect(found).toMatchObject({ kind: 'elsewhere', of: 'PyTorch', note: 'linear (transformers) is poly(power: 1)' })
  expect(found.kind === 'elsewhere' && found.entries.map(({ signature }) => signature.name)).toEqual(['fc'])
})
