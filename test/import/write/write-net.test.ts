import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { check } from '../../../compiler/index.ts'
import { format } from '../../../dsl/index.ts'
import { isSameProgram } from '../../../import/write/same-program.ts'
import { writeNet } from '../../../import/write/write-net.ts'
import { randomNet } from '../../support/random-net.ts'
import { programNet, programOf, withoutOwnStrides } from './program-net.ts'

const samples = fileURLToPath(new URL('../../../samples', import.meta.url))

describe('a program that goes through the writer', () => {
  const texts: [string, string][] = [
    ...readdirSync(samples).filter((name) => name.endsWith('.net')).map((
      file,
    ): [string, string] => [file, readFileSync(join(samples, file), 'utf8')]),
    ...Array.from({ length: 8 }, (_, i): [string, string] => [`random net ${i + 1}`, randomNet(i + 1)]),
    ...['output a = y', 'output a = y -> relu', 'output a = y -> pad(1) -> max_pool(2)'].flatMap((own) =>
      [
        'z = x -> tanh -> conv(2, 3, weights: y) -> relu\n  w = x -> sigmoid -> conv(2, 3, weights: y)\n  output b = add(z, w) -> relu',
        'output b = x -> tanh -> conv(2, 3, weights: y)',
      ].flatMap((others): [string, string][] => [
        [`${own} before ${others}`, `net m {\n  input x: f32[2, 5, 5]\n  y = x -> conv(2, 3) as y\n  ${own}\n  ${others}\n}`],
        [`${own} behind ${others}`, `net m {\n  input x: f32[2, 5, 5]\n  y = x -> conv(2, 3) as y\n  ${others}\n  ${own}\n}`],
      ])
    ),
    ['a mask by its name', 'net m { input x: f32[4] input m: f32[4] output y = x -> dropout(0.5, mask: m) -> relu }'],
  ]
  test.each(texts)('%s computes the same, and is laid out', (_, text) => {
    const program = withoutOwnStrides(programOf(text))
    const written = writeNet(programNet(program)!)
    expect(check(written.text)).toEqual([])
    expect(format(written.text)).toBe(written.text)
    const owners = new Map(written.layers.map(({ name, model }) => [name, model]))
    const known = new Set(owners.values())
    expect(isSameProgram(program, programOf(written.text), (name) => (known.has(name) ? name : undefined), (name) => owners.get(name)))
      .toBe(true)
  })
})
