import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fusenet, json } from './helper.ts'
import { programFiles } from './program-files.ts'

/** The verbs check and fmt. */
const at = programFiles()

describe('check', () => {
  test('a program without errors: exit code 0', async () => {
    const { code, out } = await fusenet(['check', at('line.net'), at('conv.net')])
    expect(code).toBe(0)
    expect(out).toContain(`${at('line.net')}: no errors`)
  })

  test('several errors in one run, each with its place: exit code 1', async () => {
    const { code, out, err } = await fusenet(['check', at('wrong.net')])
    expect(code).toBe(1)
    expect(out).toBe('')
    expect(err).toContain(`${at('wrong.net')}:3:`)
    expect(err).toMatch(/conw.*|did you mean/s)
    expect(err).toContain('a = image -> conw(4, 3)')
  })

  test('--json: severity, code, line and column', async () => {
    const said = await fusenet(['check', at('wrong.net'), '--json'])
    const { ok, files } = json(said)
    expect({ code: said.code, ok }).toEqual({ code: 1, ok: false })
    expect(files[0].errors).toBeGreaterThanOrEqual(1)
    expect(files[0].diagnostics[0]).toMatchObject({
      severity: 'error',
      labels: [{ file: at('wrong.net'), line: 3, column: expect.any(Number), endLine: 3 }],
    })
  })

  test('imports are read beside the file', async () => {
    await mkdir(at('lib'))
    await writeFile(at('lib/blocks.net'), 'block twice(x) { return x -> fc(2) -> fc(2) }\n')
    await writeFile(at('importing.net'), 'import "./lib/blocks.net"\nnet a { input x: f32[2] output y = x -> twice }\n')
    await writeFile(at('lost.net'), 'import "./lib/block.net"\nnet a { input x: f32[2] output y = x -> twice }\n')
    expect((await fusenet(['check', at('importing.net')])).code).toBe(0)
    const { code, err } = await fusenet(['check', at('lost.net')])
    expect(code).toBe(1)
    expect(err).toContain('lib/block.net')
  })
})

describe('fmt', () => {
  const UGLY = 'net a{input x:f32[2]// two\noutput y=x->fc(2)}'
  test('rewrites a file, once', async () => {
    await writeFile(at('ugly.net'), UGLY)
    expect((await fusenet(['fmt', '--check', at('ugly.net')])).code).toBe(1)
    expect(await readFile(at('ugly.net'), 'utf8')).toBe(UGLY)
    expect(json(await fusenet(['fmt', at('ugly.net'), '--json'])).files).toEqual([{ file: at('ugly.net'), changed: true }])
    expect(await readFile(at('ugly.net'), 'utf8')).toContain('// two')
    expect((await fusenet(['fmt', '--check', at('ugly.net')])).code).toBe(0)
  })

  test('- reads standard input', async () => {
    const { code, out } = await fusenet(['fmt', '-'], { input: UGLY })
    expect(code).toBe(0)
    expect(out).toContain('output y = x -> fc(2)')
  })

  test('what cannot be parsed stays as it is', async () => {
    await writeFile(at('broken.net'), 'net a {')
    const { code, err } = await fusenet(['fmt', at('broken.net')])
    expect(code).toBe(1)
    expect(err).toContain('broken.net:1:')
    expect(await readFile(at('broken.net'), 'utf8')).toBe('net a {')
  })

  // Of the same text nothing else can be said.
  test('the samples are laid out, and are again when they have lost their layout', async () => {
    for (const name of (await readdir('samples')).filter((name) => name.endsWith('.net'))) {
      const text = await readFile(join('samples', name), 'utf8')
      await writeFile(at(name), text.replace(/^ +/gm, ''))
      expect((await fusenet(['fmt', at(name)])).code).toBe(0)
      expect(await readFile(at(name), 'utf8')).toBe(text)
    }
  })
})
