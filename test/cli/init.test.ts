import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { declarationsOf } from '../../bundlers/declarations.ts'
import { check, compile } from '../../compiler/index.ts'
import { fusenet, json } from './helper.ts'

const folder = mkdtempSync(join(tmpdir(), 'fusenet-init-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const files = (root: string): string[] =>
  readdirSync(root, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile()).map((entry) =>
    join(entry.parentPath, entry.name)
  )
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }

describe.each(['vite', 'node', 'page'])('fusenet init --template %s', (template) => {
  const root = join(folder, template)

  test('begins a project that says what to type next, in words that are in it', async () => {
    const { code, out } = await fusenet(['init', root, '--template', template, '--name', 'my-net'])
    expect(code).toBe(0)
    const readme = readFileSync(join(root, 'README.md'), 'utf8')
    const next = out.slice(out.indexOf('What to type next:')).split('\n').slice(1).map((line) => line.trim()).filter((line) =>
      line && !line.startsWith('cd ')
    )
    expect(next.length).toBeGreaterThan(2)
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      name: string
      scripts: Record<string, string>
      dependencies: Record<string, string>
    }
    expect(manifest).toMatchObject({ name: 'my-net', dependencies: { fusenet: `^${version}` } })
    for (const command of next) {
      expect(readme).toContain(command)
      const [, script] = /^npm (?:run )?(?!install)(\w+)/.exec(command) ?? []
      if (script) expect(Object.keys(manifest.scripts)).toContain(script)
    }
  })

  test('whose files are whole, and whose net has no mistakes', () => {
    expect(existsSync(join(root, '.gitignore'))).toBe(true)
    for (const file of files(root)) expect(readFileSync(file, 'utf8'), file).not.toMatch(/\{\{|\}\}/)
    const net = join(root, 'src/spirals.net')
    expect(check(readFileSync(net, 'utf8'), { file: net })).toEqual([])
    // Every file that a line of its README names.
    for (const [, name] of readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^\| `([\w./]+)`/gm))
      expect(existsSync(join(root, name!)), name).toBe(true)
  })

  test('is not begun where something is', async () => {
    const before = files(root).map((file) => readFileSync(file, 'utf8'))
    const { code, err } = await fusenet(['init', root])
    expect([code, err]).toEqual([1, expect.stringContaining('holds files already (.gitignore, README.md,')])
    expect(files(root).map((file) => readFileSync(file, 'utf8'))).toEqual(before)
  })
})

test('types of the template are those of its net', async () => {
  const net = compile(readFileSync('templates/common/src/spirals.net', 'utf8'), { file: 'src/spirals.net' })
  expect(readFileSync('templates/vite/src/spirals.d.net.ts', 'utf8')).toBe(declarationsOf({ bundle: net }))
})

describe('fusenet init', () => {
  test('takes the name of its folder as npm would have it, and a folder with a repository alone', async () => {
    const root = join(folder, 'Mein Nètz 1')
    mkdirSync(join(root, '.git'), { recursive: true })
    const { name, next } = json(await fusenet(['init', root, '--json'])) as { name: string; next: string[] }
    expect([name, next[0]]).toEqual(['mein-netz-1', expect.stringMatching(/^cd ".*Mein Nètz 1"$/)])
  })

  test.runIf(existsSync('/proc/self'))('is told where no folder can be made', async () => {
    const said = await fusenet(['init', '/proc/fusenet'])
    expect([said.code, said.err]).toEqual([
      1,
      expect.stringMatching(/^error: \/proc\/fusenet.* cannot be written: a folder of it is not there/),
    ])
  })
  test('says what is wrong with names, templates and places', async () => {
    writeFileSync(join(folder, 'file'), '')
    expect(await fusenet(['init', join(folder, 'new'), '--name', 'My Net'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('such as my-net'),
    })
    expect(await fusenet(['init', join(folder, 'new'), '--template', 'react'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('vite, node, page'),
    })
    expect(await fusenet(['init', join(folder, 'file')])).toMatchObject({
      code: 1,
      err: expect.stringContaining('is a file; a project is a folder'),
    })
    expect(existsSync(join(folder, 'new'))).toBe(false)
  })
})
