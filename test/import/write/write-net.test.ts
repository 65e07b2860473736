import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { check } from '../../../compiler/index.ts'
import { format } from '../../../dsl/index.ts'
import { isSameProgram } from '../../../import/write/same-program.ts'
import { writeNet } from '../../../import/write/write-net.ts'
import { programNet, programOf, withoutOwnStrides } from './program-net.ts'

const samples = fileURLToPath(new URL('../../../samples', import.meta.url))

describe('a program that goes through the writer', () => {
  test.each(readdirSync(samples).filter((name) => name.endsWith('.net')))('%s computes the same, and is laid out', (file) => {
    const text = readFileSync(join(samples, file), 'utf8')
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
