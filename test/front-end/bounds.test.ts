import { describe, expect, test } from 'vitest'
import { check, compile, CompileError, inspect } from '../../compiler/index.ts'
import { interpreter } from '../../compiler/interpreter-device.ts'
import { InputError } from '../../bundle/errors.ts'
import { open } from '../../runtime/open.ts'

/** What a bundle may hold is one set of limits: the runtime refuses what is beyond them, and the compiler says where it is written. */

const net = (input: string, layers: string): string => `net a {\n  input x: ${input}\n  y = x -> ${layers}\n  output o = y\n}`
const told = (text: string): string[] =>
  check(text).map(({ code, message, labels }) =>
    `${code} ${message} @${labels[0] ? text.slice(labels[0].span.start, labels[0].span.end) : ''}`
  )

describe('sizes that no device holds', () => {
  test.each([
    [
      'an input',
      'f32[65536, 65536, 65536]',
      'relu',
      /^shape\/too-large input x is \[n, 65536, 65536, 65536\], 281,474,976,710,656 numbers for one sample @input x/,
    ],
    [
      'weights',
      'f32[4]',
      'fc(2147483647)',
      /^shape\/too-large parameter fc_1\.weight is \[2147483647, 4\], 8,589,934,588 numbers @fc\(2147483647\)/,
    ],
    ['an output', 'f32[1, 4, 4]', 'upsample(100000)', /^shape\/too-large the output of upsample_1 is \[n, 1, 400000, 400000\]/],
    ['a border', 'f32[1, 4, 4]', 'conv(2, 3, pad: 2147483647)', /^shape\/too-large the output of conv_1 is/],
    [
      'parameters together',
      'f32[1]',
      'fc(400000000) -> fc(1)',
      /^shape\/too-large the parameters of this net are .* numbers, of which fc_1\.\w+ is the largest part/,
    ],
  ])('%s', (_, input, layers, message) => {
    const text = net(input, layers)
    expect(told(text)[0]).toMatch(message)
    expect(() => compile(text)).toThrow(CompileError)
  })

  test('of many only the first are told, one of a place', () => {
    expect(told(net('f32[1000]', Array.from({ length: 50 }, () => 'fc(2000000)').join(' -> ')))).toHaveLength(3)
  })

  test('what is just small enough is taken', () => {
    expect(told(net('f32[32768, 32768]', 'relu'))).toEqual([])
  })
})

describe('names', () => {
  const roles: Record<string, (name: string) => string> = {
    net: (name) => `net ${name} {\n  input x: f32[2]\n  output o = x -> fc(2)\n}`,
    input: (name) => `net a {\n  input ${name}: f32[2]\n  output o = ${name} -> fc(2)\n}`,
    output: (name) => `net a {\n  input x: f32[2]\n  output ${name} = x -> fc(2)\n}`,
    layer: (name) => `net a {\n  input x: f32[2]\n  output o = x -> fc(2) as ${name}\n}`,
    metric: (name) => `net a {\n  input x: f32[2]\n  output o = x -> fc(2)\n  metric ${name} = sum(x)\n}`,
  }
  test.each(Object.entries(roles))("of a file's own parts are refused where they are given: %s", (_, write) => {
    for (const name of ['__proto__', '__metadata__', 'a'.repeat(1001)]) {
      expect(told(write(name)).some((line) => /^(name|limit)\//.test(line)), name.slice(0, 20)).toBe(true)
      expect(() => compile(write(name))).toThrow(CompileError)
    }
  })

  test.each(Object.entries(roles))("of every object's parts are names like others: %s", async (role, write) => {
    for (const name of ['constructor', 'toString', 'hasOwnProperty', 'valueOf']) {
      const bundle = compile(write(name), { targets: ['wasm'] })
      const opened = await open(bundle, { device: interpreter(), batch: 1, weights: 'fresh' })
      const out = await opened.run({ [role === 'input' ? name : 'x']: [1, 2] })
      expect(Object.keys(out)).toEqual([role === 'output' ? name : 'o'])
      expect([...(await opened.parameters()).keys()]).toContain(role === 'layer' ? `${name}.weight` : 'fc_1.weight')
      opened.close()
    }
  })

  test('in blocks, counted with those around them', () => {
    const long = 'b'.repeat(400)
    const text =
      `block inner(x) { return x -> fc(2) as ${long} }\nblock outer(x) { return inner(x) as ${long} }\nnet a {\n  input x: f32[2]\n  output o = outer(x) as ${long}\n}`
    expect(told(text).some((line) => /^(name|limit)\/.* has 120\d letters/.test(line))).toBe(true)
  })
})

describe('options', () => {
  const text = net('f32[2]', 'fc(2)')
  test.each<[string, () => unknown, RegExp]>([
    ['no text', () => compile(undefined as never), /compile takes the text of a net, or \{ file, text \}; here is undefined/],
    ['half a source', () => compile({ file: 'a.net' } as never), /here is an object/],
    ['null', () => compile(text, null as never), /compile takes its options as an object, here is null/],
    ['a name with a slip', () => compile(text, { stile: 'merged' } as never), /compile has no option stile; did you mean style\?/],
    ['a style', () => compile(text, { style: 'mergd' as never }), /compile: style "mergd": 'merged' or 'split' is wanted/],
    ['a memory', () => compile(text, { memory: true as never }), /memory true: 'fast' or 'small'/],
    ['a storage', () => compile(text, { storage: 'f64' as never }), /storage "f64": 'f32' or 'f16'/],
    ['targets as a text', () => compile(text, { targets: 'wasm' as never }), /targets "wasm": a list of names/],
    ['programs with a hole', () => compile(text, { programs: ['infer', undefined as never] }), /programs a list of 2: a list of names/],
    ['a batch', () => compile(text, { batch: NaN }), /batch NaN: a positive integer/],
    ['inspect: a batch', () => inspect(text, { batch: 0.5 }), /inspect: batch 0\.5: a positive integer/],
    ['check: a name', () => check(text, { styl: 1 } as never), /check has no option styl; did you mean style\?/],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message)
    expect(call).toThrow(InputError)
  })
})

test('passes to leave out are passes that there are', () => {
  const text = net('f32[4]', 'fc(2)')
  expect(() => compile(text, { targets: [], without: ['fuze'] })).toThrow(/there is no pass "fuze"[\s\S]*did you mean fuse\?/)
  // Nothing comes of a net that is not lowered.
  expect(() => compile(text, { targets: [], without: ['lower'] })).toThrow(/lower is part of what a net means, and cannot be left out/)
  expect(compile(text, { targets: [], without: ['fuse', 'fold-batch-norm'] }).manifest.name).toBe('a')
})
