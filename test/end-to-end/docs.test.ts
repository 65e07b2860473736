import { readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { mkdir } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { arrays, bundleFiles, open, wasm } from '../../runtime/index.ts'
// Loaded before any script is: it has hooks of its own.
import '../devices/webgpu.ts'
import { butForNumbers, runLine } from './docs/commands.ts'
import { fixture, folderOf, SMALL } from './docs/fixture.ts'
import { doors, pages, root } from './docs/pages.ts'
import { type Chain, chainsOf, complaints, pageFolder } from './docs/scripts.ts'
import { kindOf, type Snippet, snippetsOf } from './docs/snippets.ts'

/*
 * What README and the pages of docs/ show is run as it stands, a page after the other, each in a folder of its own: commands, programs,
 * nets. Given beside it is only what the text speaks of: a bundle at `/mnist/`, a picture, a dataset. A remark before a block, which
 * readers do not see, says more of it:
 *   <!-- file: NAME -->              the block is the file NAME, which commands and programs of the page then have; `NAME, broken`: with a mistake
 *   <!-- output -->                  the block is what the commands before it print, to the letter
 *   <!-- output but for numbers -->  the same, but numbers and widths differ
 *   <!-- kernel: FILE STYLE NAME -->  the block is a kernel of `infer` for WebGPU, from `fn main` on; or `from TEXT`
 *   <!-- exits N -->                 the last of these commands ends with the exit code N
 *   <!-- throws PATTERN -->          the program throws
 *   <!-- part -->                    of something larger: looked at by readers alone
 * UPDATE_DOCS=1 writes outputs and kernels anew into the pages, where they are no longer what is printed.
 */

const all = await pages()
const snippets = new Map(all.map(({ file, text }) => [file, snippetsOf(file, text).filter(({ mark }) => mark !== 'part')]))
const chains = [...snippets.values()].flatMap(chainsOf)

let folder: string
let home: string
beforeAll(async () => {
  folder = await fixture()
  home = process.cwd()
})
afterAll(async () => {
  process.chdir(home)
  await rm(folder, { recursive: true, force: true })
})

describe.each([...snippets].filter(([, found]) => found.length > 0))('%s', (file, found) => {
  const written = new Set<string>()
  let said = ''
  beforeAll(async () => {
    process.chdir(await folderOf(folder, pageFolder(file)))
  })

  test.each(found.map((snippet) => [snippet.line, kindOf(snippet), snippet] as const))('line %i: %s', async (line, kind, snippet) => {
    const { text, mark } = snippet
    const name = /^file: ([^\s,]+)/.exec(mark)?.[1]
    if (name) {
      written.add(name)
      await mkdir(dirname(name), { recursive: true })
      await writeFile(name, `${text}\n`)
    }
    if (mark.startsWith('output')) {
      const like = mark === 'output' ? (all: string) => all.trimEnd() : butForNumbers
      expectShown(snippet, said, like)
    } else if (mark.startsWith('kernel: ')) expectShown(snippet, await kernelOf(mark), (all) => all.trimEnd())
    else if (kind === 'json') JSON.parse(text)
    else if (mark.endsWith(', broken')) return
    else if (kind === 'program') compile(text, { targets: [], programs: ['infer'] })
    else if (kind === 'statement')
      compile(`net n { input image: f32[3, 32, 32] input label: class[10] ${text} output y = x }`, { targets: [], programs: ['infer'] })
    else if (kind === 'commands') said = await runCommands(snippet, written)
    else if (kind === 'script') {
      const chain = chains.find((one) => one.file === file && one.line === line)
      // A block that goes on with the one before it was run with it.
      if (chain && !chain.inPage) await runScript(chain)
    }
  })
})

const stale: { snippet: Snippet; text: string }[] = []

/** Compares what a page shows with what is; or takes note to write it anew. */
function expectShown(snippet: Snippet, is: string, like: (text: string) => string): void {
  if (process.env['UPDATE_DOCS'] && like(is) !== like(snippet.text)) stale.push({ snippet, text: is.trimEnd() })
  else expect(like(is)).toBe(like(snippet.text))
}

afterAll(async () => {
  // The last block of a page first: lines before it stay where they are.
  for (const { snippet, text } of stale.reverse()) {
    const path = join(root, snippet.file)
    const lines = (await readFile(path, 'utf8')).split('\n')
    lines.splice(snippet.line - 1, snippet.text === '' ? 0 : snippet.text.split('\n').length, ...text.split('\n'))
    await writeFile(path, lines.join('\n'))
  }
})

/** The text of a kernel as a bundle has it. */
async function kernelOf(mark: string): Promise<string> {
  const [, net, style, name, from = 'fn main'] = /^kernel: (\S+) (\S+) (\S+)(?: from (.*))?$/.exec(mark)!
  const bundle = compile(await readFile(net!, 'utf8'), { style: style as 'merged' | 'split', targets: ['webgpu'], programs: ['infer'] })
  const text = `\n${String(bundle.files.get('webgpu/infer.wgsl'))}`.split('\n//// ').find((section) => section.startsWith(`${name}\n`))
  if (!text) throw new Error(`${net} has no kernel ${name}`)
  return text.slice(text.lastIndexOf('\n', text.indexOf(from)) + 1)
}

async function runCommands({ text, mark }: Snippet, written: ReadonlySet<string>): Promise<string> {
  const lines = text.replace(/\\\n\s*/g, '').split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))
  let out = ''
  for (const [i, line] of lines.entries()) {
    const result = await runLine(line, written)
    const code = i === lines.length - 1 ? Number(/^exits (\d+)/.exec(mark)?.[1] ?? 0) : 0
    if (result) expect(result.code, `${line}\n${result.err}`).toBe(code)
    out += (result?.out ?? '') + (result?.err ?? '')
  }
  return out
}

/** What texts speak of without making it. */
const given = (): Record<string, unknown> => ({
  image: new Float32Array(784),
  label: Int32Array.of(7),
  images: new Float32Array(78400),
  labels: new Int32Array(100),
  source: SMALL,
  dataset: arrays({
    image: { shape: [1, 28, 28], type: 'f32', data: new Float32Array(78400) },
    label: { shape: [], type: 'i32', data: new Int32Array(100), classes: 10 },
  }),
})

async function runScript({ file, line, code, mark }: Chain): Promise<void> {
  const source = (path: string): string => pathToFileURL(path).href.replace('file://', '')
  const modules = new Map([...await doors()].map(([door, path]) => [door, source(path)]))
  modules.set('webgpu', source(join(root, 'test/end-to-end/webgpu-of-tests.ts')))
  const runnable = code
    .replace(
      /^(import .* from )'(.*?)'/gm,
      (_, start: string, name: string) => `${start}'${modules.get(name) ?? (name.startsWith('.') ? join(process.cwd(), name) : name)}'`,
    )
    // Below the page in the text, a folder here. Other than that, the bundle and the data of the text are in the working folder.
    .replace(/'\/((?:models\/)?(?:mnist|digits)\/)'/g, (_, path: string) => `'${join(process.cwd(), path)}'`)
    // What is computed is small enough for any machine.
    .replaceAll("loadDataset('mnist'", "(() => dataset)('mnist'")
  const path = join(process.cwd(), `run-${line}.ts`)
  await writeFile(path, `${runnable}\nexport {}`)
  Object.assign(globalThis, given())
  const heard = vi.spyOn(console, 'log').mockImplementation(() => {})
  const run = import(/* @vite-ignore */ path)
  const pattern = /throws (.*)/.exec(mark)?.[1]
  await (pattern ? expect(run, `${file}:${line}`).rejects.toThrow(new RegExp(pattern)) : run)
  heard.mockRestore()
}

// After the pages: they wrote the modules that programs import.
test('TypeScript has nothing to say to any program', async () => {
  expect(await complaints(folder, chains)).toBe('')
})

test('the list of files is what is written', async () => {
  const { text } = [...snippets.values()].flat().find((snippet) => kindOf(snippet) === 'files')!
  const listed = [...text.matchAll(/([\w./-]+\.(?:json|safetensors|wgsl|wasm))/g)].map(([, name]) => name!)
  const net = await open(compile(SMALL), { device: await wasm({ threads: 1 }) })
  const names = Object.keys(Object.fromEntries(await bundleFiles(await net.save())))
  net.close()
  // The last ones are named in the remarks beside others.
  const named = new Set(listed.map((name) => (name.includes('/') || /^(bundle|weights)/.test(name) ? name : `wasm/${name}`)))
  expect([...named].sort()).toEqual(names.sort())
})
